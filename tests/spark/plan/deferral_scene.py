"""The project of deferral in an embedded workspace: its releases, and what is seen of them afterwards."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from deferral_project import NAME, Parent, fill
from emulated_statements import Run, runner

from dbx_cd import (
    ArtifactStore,
    Cd,
    CdConfig,
    DeployPlan,
    Release,
    ReleaseLog,
    SmokeReport,
    approve,
    build_release,
    request_approval,
)
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.local.workspace import OWNER, RELEASE_BOT, EmbeddedWorkspace
from dbx_cd.policies import Policies, StagingLeak
from dbx_cd.release.events import Built
from dbx_cd.smoke.report import CheckResult

TOKEN = "DBT_ENV_SECRET_DEFERRAL_TOKEN"


@dataclass(frozen=True)
class Deployed:
    """A release that was deployed: what its plan said, what dbt compiled, and what was built."""

    plan: DeployPlan
    manifest: Manifest
    texts: Mapping[str, str]
    rows: Mapping[str, Mapping[str, str]]
    keys: Mapping[str, str]
    failures: Mapping[str, int]


@dataclass
class Deferral:
    """The project, its store and its log, in schemas of its own."""

    workspace: EmbeddedWorkspace
    folder: Path
    schema: str
    run: Run

    @classmethod
    def create(cls, workspace: EmbeddedWorkspace, folder: Path) -> Deferral:
        scene = cls(workspace, folder, f"deferral_{uuid.uuid4().hex[:8]}", runner(workspace.spark))
        fill(scene.project)
        given = {**workspace.profile_connection, "token": f"{{{{ env_var('{TOKEN}') }}}}"}
        outputs = {
            target: {"type": "databricks", "catalog": target, "schema": scene.schema, "threads": 4, **given}
            for target in ("stg", "prod")
        }
        (scene.project / "profiles.yml").write_text(yaml.safe_dump({NAME: {"target": "stg", "outputs": outputs}}))
        return scene

    @property
    def project(self) -> Path:
        return self.folder / "project"

    def cd(self, user: str = RELEASE_BOT, **policies: Any) -> Cd:
        given = {"destructive_changes": "warn", "staging_leak": StagingLeak("allow", "allow"), **policies}
        config = CdConfig.load(self.project, overrides={"artifacts_root": str(self.folder / "artifacts")})
        log = ReleaseLog(self.workspace.spark, f"ops.{self.schema}.log", actor=user)
        store = ArtifactStore(self.folder / "artifacts")
        return Cd(
            self.workspace.spark, replace(config, policies=Policies(**given)), store, log, self.workspace.client(user)
        )

    def make(self, parent: Parent) -> None:
        """Have a parent where it is said to be, after all have been built in staging."""
        if parent.where in ("both", "production"):
            self.run(parent.made_by.replace("@", parent.relation("prod", self.schema)))
        if parent.where == "production":
            self.run(parent.dropped_by.replace("@", parent.relation("stg", self.schema)))

    def tested(self, release: Release) -> None:
        """Write down a smoke test of its staging build."""
        cd = self.cd()
        check = CheckResult(name="rows", kind="metric", status="pass", domain="d", where="d.yml:3", guardrail=True)
        report = SmokeReport(
            target="stg", artifacts=cd.store.find("stg", release.id).timestamp, commit=release.commit,
            release_id=release.id, tiny=False, seconds=0.0, checks=(check,),
        )  # fmt: skip
        cd.log.append(release, report)

    def staged_again(self, run_id: str) -> Release:
        """A release with the staging build of the first one: another build of the same would leave the same."""
        cd = self.cd()
        release = cd.log.open(run_id * 40, run_id=run_id, requester="ci")
        first = cd.store.list("stg")[0]
        made = cd.store.publish("stg", first.path, commit=release.commit, release_id=release.id, latest=True)
        before = next(b for e in cd.log.read().history for b in cd.log.read(e[0]).all(Built) if b.target == "stg")
        cd.log.append(release, replace(before, timestamp=made.timestamp))
        self.tested(release)
        return release

    def deploy(self, release: Release, *, select: str, **policies: Any) -> Deployed:
        """Ask for a selection, approve it, and build it in production."""
        cd = self.cd(**policies)
        request = request_approval(cd, release, target="prod", select=select)
        approve(self.cd(OWNER, **policies), request, seal=request.seal, consent=request.consent)
        built = build_release(cd, release, target="prod", select=select)
        plan = cd.log.last(release, DeployPlan)
        assert plan is not None
        return self.observed(plan, built.artifacts.manifest(), built.artifacts.run_results().results, select)

    def observed(self, plan: DeployPlan, manifest: Manifest, results: Any, select: str) -> Deployed:
        rule = select.split()[0].removeprefix("tag:")
        audit = f"prod.{self.schema}_dbt_test__audit.{rule}_test"
        own = f"prod.{self.schema}.{rule}"
        where = {reader: f"{own}_{reader}" for reader in ("table", "view", "incremental", "snapshot")}
        where |= {"test": audit, "post_hook": f"{own}_post_hook_seen", "hook": f"prod.{self.schema}.hook_seen"}
        views = {r: where[r] for r in ("view", "post_hook", "hook")}
        return Deployed(
            plan,
            manifest,
            {reader: self.view_text(name) for reader, name in views.items()},
            {r: self.read(name) for r, name in where.items()},
            self.foreign_keys(f"{rule}_key"),
            {r.unique_id.split(".")[2]: r.failures for r in results},
        )

    def read(self, name: str) -> dict[str, str]:
        """Where each parent was made, as a reader has read it."""
        return dict(self.run(f"SELECT parent, made_in FROM {name}"))

    def view_text(self, name: str) -> str:
        schema, table = name.split(".")[1:]
        ((text,),) = self.run(
            "SELECT view_definition FROM prod.information_schema.views "
            f"WHERE table_schema = '{schema}' AND table_name = '{table}'"
        )
        return str(text)

    def foreign_keys(self, table: str) -> dict[str, str]:
        """The relations that a table's foreign keys refer to, by its columns."""
        text = self.run(f"DESCRIBE TABLE EXTENDED prod.{self.schema}.{table} AS JSON")[0][0]
        constraints = str(json.loads(text).get("table_constraints"))
        found = re.findall(r"FOREIGN KEY \(`(\w+)`\) REFERENCES (\S+)", constraints)
        return {column: to.replace("`", "") for column, to in found}
