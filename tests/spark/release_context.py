"""A release context of a test's own: its log, its artifacts, a project of one model, and dbt as a function."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbx_cd import ArtifactStore, Cd, CdConfig, Release, ReleaseLog, SmokeReport
from dbx_cd.artifacts.archive import ARCHIVE_NAME, pack
from dbx_cd.dbt.selection import Selection
from dbx_cd.release.events import Built
from memory.dbt import MemoryDbt
from memory.releases import Person
from memory.tables import MemoryTables
from spark_kind import OPS, own_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dbx_cd.local.workspace import EmbeddedWorkspace

SELECTION = Selection(select="tag:deploy")
PROJECT = "name: tiny\nversion: '1.0'\nprofile: tiny\n"


class Releases:
    """Opens contexts as one user or another, on one log and one store."""

    def __init__(
        self,
        workspace: EmbeddedWorkspace | None,
        folder: Path,
        settings: str = "",
        *,
        spark: SparkSession | None = None,
    ) -> None:
        self._workspace = workspace
        self._spark = spark
        self.table = f"{OPS}.releases_{uuid.uuid4().hex[:8]}.log"
        self.project = folder / "project"
        self.project.mkdir(parents=True)
        (self.project / "dbt_project.yml").write_text(PROJECT)
        (self.project / "models").mkdir()
        (self.project / "models" / "m.sql").write_text("select 1")
        (self.project / "dbx_cd.yml").write_text(f"release_log: {self.table}\n{settings}")
        self.root = folder / "artifacts"
        self._folder = folder
        self.dbt = MemoryDbt(MemoryTables())

    def cd(self, user: str | None = None) -> Cd:
        """The context of a user; by default the job's identity, on another Spark somebody."""
        client: Any
        if self._workspace is not None:
            from dbx_cd.local.workspace import RELEASE_BOT

            user = user or RELEASE_BOT
            client, spark = self._workspace.client(user), self._workspace.spark
        else:
            assert self._spark is not None
            user = user or "tester@example.org"
            client, spark = Person(user), self._spark
        config = CdConfig.load(self.project, overrides={"artifacts_root": str(self.root)})
        spark = own_session(spark, user)
        log = ReleaseLog(spark, self.table, actor=user)
        return Cd(spark, config, ArtifactStore(self.root), log, client, dbt=self.dbt)

    def staged(self, run_id: str = "1", *, commit: str = "a" * 40, requester: str = "ci", ok: bool = True) -> Release:
        """A release whose staging build and smoke test are done."""
        cd = self.cd()
        release = cd.log.open(commit, run_id=run_id, requester=requester)
        self.publish(release)
        built = cd.store.find("stg", release.id)
        cd.log.append(release, replace(self.smoke(release, ok=ok), artifacts=built.timestamp))
        return release

    def publish(self, release: Release, *, target: str = "stg", model: str = "select 1") -> None:
        """Publish a successful build of a release."""
        cd = self.cd()
        files = self._folder / uuid.uuid4().hex
        files.mkdir()
        node = {"unique_id": "model.tiny.m", "name": "m", "resource_type": "model", "raw_code": model}
        manifest = {"metadata": {"dbt_version": "1.11.0"}, "nodes": {"model.tiny.m": node}}
        (files / "manifest.json").write_text(json.dumps(manifest))
        results = {"metadata": {}, "args": {"which": "build"},
                   "results": [{"unique_id": "model.tiny.m", "status": "success"}]}  # fmt: skip
        (files / "run_results.json").write_text(json.dumps(results))
        pack(self.project, files / ARCHIVE_NAME)
        version = cd.store.publish(target, files, commit=release.commit, release_id=release.id, latest=True)
        digest = version.files[ARCHIVE_NAME].sha256
        cd.log.append(release, Built(target, False, True, "built", version.timestamp, digest, SELECTION))

    @staticmethod
    def smoke(release: Release, *, ok: bool = True) -> SmokeReport:
        """A report of one check, which has passed or failed."""
        from dbx_cd.smoke.report import CheckResult, Status

        status: Status = "pass" if ok else "fail"
        check = CheckResult(name="revenue", kind="metric", status=status, domain="sales", where="sales.yml:3")
        return SmokeReport(
            target="stg", artifacts="", commit=release.commit, release_id=release.id, tiny=False, seconds=0.0,
            checks=(check,),
        )  # fmt: skip
