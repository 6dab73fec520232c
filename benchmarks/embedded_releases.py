"""Releases of a generated project in the embedded workspace: dbt, Delta and the log are real, people are not asked."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

from benchmarks.compared_rows import Row
from benchmarks.full_build import Landed
from benchmarks.generated_project import ROWS, Project
from dbx_cd import approve, build_release, plan_restore, reject, request_approval, restore
from dbx_cd.approval.request import ApprovalRequest
from dbx_cd.artifacts.store import ArtifactStore
from dbx_cd.config import WARM_DBT, CdConfig
from dbx_cd.dbt.artifacts import BUILT_TYPES
from dbx_cd.deploy.build_result import BuildResult
from dbx_cd.local.standard_grants import grant_everything
from dbx_cd.local.workspace import OWNER, RELEASE_BOT, EmbeddedWorkspace
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Release
from dbx_cd.release.log import ReleaseLog
from dbx_cd.smoke.report import CheckResult, SmokeReport
from dbx_cd.warm.parent import WarmParent

CATALOGS = ("stg", "prod", "dev_raw")
_TOKEN = "DBT_ENV_SECRET_GENERATED_TOKEN"
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


class Sources:
    """The tables that generated projects read and do not build.

    Args:
        workspace: where they are.
        schema: catalog and schema.
    """

    def __init__(self, workspace: EmbeddedWorkspace, schema: str) -> None:
        self._spark = workspace.spark
        self.schema = schema
        self.landed = Landed()
        self._spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")

    def land(self, name: str, *, count: int = ROWS) -> None:
        """Append rows to a table, which is made where it is not there yet."""
        first, end = self.landed.land(name, count=count)
        at = f"timestamp'2026-01-01' + make_interval(0, 0, 0, {first})"
        rows = f"select id, pmod(id * 7919, 100003) as v, {at} as changed_at from range({first}, {end})"
        table = f"{self.schema}.{name}"
        self._spark.sql(f"create table {table} as {rows}" if first == 1 else f"insert into {table} {rows}")

    def change(self, name: str, id: int, value: int) -> None:
        """Give a row another value, as of later."""
        self.landed.change(name, id, value)
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
        """The folder of the project."""
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

    def rolled_back(self, release: Release) -> tuple[str, ...]:
        """Bring production's data back to before a release, or change nothing; what cannot be brought back."""
        plan = plan_restore(self.cd(), release, target="prod", new_tables="drop")
        if plan.blocked:
            return tuple(str(item.name) for item in plan.blocked)
        restore(self.cd(), plan, seal=plan.seal, discard_later_writes=True)
        return ()

    def write_to(self, target: str, name: str) -> None:
        """Change rows of a table, as somebody would who is no release."""
        self.workspace.spark.sql(f"update {target}.{self.schema}.{name} set v = v + 1 where id % 2 = 0")

    def rows(self, target: str, relations: Mapping[str, Sequence[str]]) -> dict[str, list[Row] | None]:
        """The rows of relations; None where there is none. By name, with the expressions to look at."""
        spark, schema = self.workspace.spark, f"{target}.{self.schema}"
        there = {name for name in relations if spark.catalog.tableExists(f"{schema}.{name}")}
        # One query: each takes longer than its rows.
        texts = [
            f"SELECT '{n}' AS n, to_json(array({', '.join(relations[n])})) AS row FROM {schema}.{n}" for n in there
        ]
        found: dict[str, list[Row]] = {name: [] for name in there}
        for name, row in spark.sql(" UNION ALL ".join(texts)).collect() if texts else ():
            found[name].append(tuple(json.loads(row)))
        return {name: found.get(name) for name in relations}

    def _smoke(self, release: Release, built: BuildResult) -> None:
        of = built.artifacts
        report = SmokeReport(
            target=of.target, artifacts=of.timestamp, commit=release.commit, release_id=release.id, tiny=False,
            seconds=0.0, checks=(replace(_PASSED),),
        )  # fmt: skip
        self.cd().log.append(release, report)


def relations_built(result: BuildResult) -> int:
    """How many relations a build made, or tried to."""
    return sum(node.resource_type in BUILT_TYPES for node in result.run.nodes)
