"""Releases of a generated project in the embedded workspace: dbt, Delta and the log are real, people are not asked."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.generated_project import ROWS, Project
from dbx_cd import approve, build_release, plan_restore, reject, request_approval, restore
from dbx_cd.approval.request import ApprovalRequest
from dbx_cd.artifacts.store import ArtifactStore
from dbx_cd.config import WARM_DBT, CdConfig
from dbx_cd.deploy.build_result import BuildResult
from dbx_cd.local.standard_grants import grant_everything
from dbx_cd.local.workspace import OWNER, RELEASE_BOT, EmbeddedWorkspace
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Release
from dbx_cd.release.log import ReleaseLog
from dbx_cd.smoke.report import CheckResult, SmokeReport
from dbx_cd.warm.parent import WarmParent

CATALOGS = ("stg", "prod", "dev_raw")
_PASSED = CheckResult(name="rows", kind="metric", status="pass", domain="any", where="any.yml:1", guardrail=True)


@contextmanager
def reached_by_dbt(workspace: EmbeddedWorkspace) -> Iterator[None]:
    """dbt finds the workspace, and is imported once; everybody there may do everything."""
    for user in workspace.connection.tokens:
        grant_everything(workspace.spark, user, catalogs=workspace.catalogs)
    with ExitStack() as stack:
        stack.enter_context(mock.patch.dict("os.environ", workspace.endpoint.client_environment()))
        token = str(workspace.client(RELEASE_BOT).config.token)
        stack.enter_context(mock.patch.dict("os.environ", {_TOKEN: token}))
        parent = stack.enter_context(WarmParent("dbx_cd.dbt.warm"))
        stack.enter_context(mock.patch.dict("os.environ", {WARM_DBT: str(parent.address)}))
        yield


_TOKEN = "DBT_ENV_SECRET_GENERATED_TOKEN"


class Sources:
    """The tables that generated projects read and do not build.

    Args:
        workspace: where they are.
        schema: catalog and schema.
    """

    def __init__(self, workspace: EmbeddedWorkspace, schema: str) -> None:
        self._spark = workspace.spark
        self.schema = schema
        self._landed: dict[str, int] = {}
        self._spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")

    def land(self, name: str, *, count: int = ROWS) -> None:
        """Append rows to a table, which is made where it is not there yet."""
        first = self._landed.get(name, 0) + 1
        at = f"timestamp'2026-01-01' + make_interval(0, 0, 0, {first})"
        rows = f"select id, pmod(id * 7919, 100003) as v, {at} as changed_at from range({first}, {first + count})"
        table = f"{self.schema}.{name}"
        self._spark.sql(f"create table {table} as {rows}" if first == 1 else f"insert into {table} {rows}")
        self._landed[name] = first + count - 1

    def change(self, name: str, id: int, value: int) -> None:
        """Give a row another value, as of later."""
        changed = f"v = {value}, changed_at = changed_at + interval 1 day"
        self._spark.sql(f"update {self.schema}.{name} set {changed} where id = {id}")


@dataclass(frozen=True)
class EmbeddedReleases:
    """Releases of one project, with schemas, log and artifacts of their own."""

    workspace: EmbeddedWorkspace
    folder: Path
    schema: str
    policies: str = "{}"
    """As in `dbx_cd.yml`."""

    @property
    def project(self) -> Path:
        return self.folder / "project"

    def cd(self, user: str = RELEASE_BOT) -> Cd:
        """The context of somebody."""
        root = self.folder / "artifacts"
        config = CdConfig.load(self.project, overrides={"artifacts_root": str(root)})
        log = ReleaseLog(self.workspace.spark, f"ops.{self.schema}.log", actor=user)
        return Cd(self.workspace.spark, config, ArtifactStore(root), log, self.workspace.client(user))

    def write(self, project: Project) -> None:
        """Let a project be what the next release is of."""
        connection = {**self.workspace.profile_connection, "token": f"{{{{ env_var('{_TOKEN}') }}}}"}
        project.write(self.project, connection=connection, schema=self.schema)
        settings = f"targets:\n  stg: {{}}\n  prod: {{gate: approval, defer_to: stg}}\npolicies: {self.policies}\n"
        (self.project / "dbx_cd.yml").write_text(settings)

    def staged(self) -> Release:
        """A release of the project as it is, built and tested in staging."""
        cd, run = self.cd(), uuid.uuid4()
        release = cd.log.open(f"{run.int:040x}"[:40], run_id=str(run), requester="ci")
        built = build_release(
            cd, release, target="stg", select="tag:deploy", with_parents="all", project_dir=self.project
        )
        self._smoke(release, built)
        return release

    def asked(self, release: Release) -> ApprovalRequest:
        """The request to deploy it."""
        return request_approval(self.cd(), release, target="prod")

    def deployed(self, release: Release) -> BuildResult:
        """Approve a release with all consent, and build production."""
        request = self.asked(release)
        if request.seal and self.cd().log.state(release).phase != "approved":
            approve(self.cd(OWNER), request, seal=request.seal, consent=request.consent)
        built = build_release(self.cd(), release, target="prod")
        self._smoke(release, built)
        return built

    def rejected(self, release: Release) -> None:
        """Reject a release that staging has built."""
        reject(self.cd(OWNER), self.asked(release), reason="not this time")

    def rolled_back(self, release: Release) -> None:
        """Bring production's data back to before a release."""
        plan = plan_restore(self.cd(), release, target="prod", new_tables="drop")
        restore(self.cd(), plan, seal=plan.seal)

    def rows(self, target: str, relations: Mapping[str, Sequence[str]]) -> dict[str, list[tuple[Any, ...]] | None]:
        """The rows of relations, sorted; None where there is none. By name, with the columns to look at."""
        return {name: self._rows(target, name, columns) for name, columns in relations.items()}

    def _rows(self, target: str, name: str, columns: Sequence[str]) -> list[tuple[Any, ...]] | None:
        relation = f"{target}.{self.schema}.{name}"
        if not self.workspace.spark.catalog.tableExists(relation):
            return None
        found = self.workspace.spark.table(relation).select(*columns).collect()
        return sorted((tuple(row) for row in found), key=repr)

    def _smoke(self, release: Release, built: BuildResult) -> None:
        of = built.artifacts
        report = SmokeReport(
            target=of.target, artifacts=of.timestamp, commit=release.commit, release_id=release.id, tiny=False,
            seconds=0.0, checks=(replace(_PASSED),),
        )  # fmt: skip
        self.cd().log.append(release, report)
