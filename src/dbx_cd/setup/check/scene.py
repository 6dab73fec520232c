"""What checks look at: each fact is found out once, when the first check asks for it, well or not."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dbx_cd.artifacts.store import ArtifactStore
from dbx_cd.config import CdConfig
from dbx_cd.dbt.profiles import profiles_folder
from dbx_cd.dbt.runner import Runner
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.sql import Sql
from dbx_cd.delta.tables import Tables
from dbx_cd.errors import ConfigError
from dbx_cd.patience import Patience, passing_answer
from dbx_cd.release.anchor import LogAnchor, read_anchor
from dbx_cd.release.context import Cd
from dbx_cd.release.job import JobDefinition
from dbx_cd.release.jobs import Jobs
from dbx_cd.release.log import ReleaseLog
from dbx_cd.release.standing import settle
from dbx_cd.release.workflow import JOB_NAME
from dbx_cd.secret_names import SecretReader
from dbx_cd.setup.check.outputs import Output, outputs_of
from dbx_cd.setup.check.project_lists import TargetLists, list_target
from dbx_cd.setup.check.written_job import BuildTask, WrittenJob, is_unknown, written_job
from dbx_cd.workspace_calls import calling, whoami

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from pyspark.sql import SparkSession

T = TypeVar("T")


@dataclass(frozen=True)
class DeployedJob:
    """The job as the workspace has it."""

    job_id: int
    """Its id."""
    settings: Mapping[str, Any]
    """Its settings."""
    run_as: str
    """Whom it runs as."""

    @property
    def parameters(self) -> dict[str, str]:
        """The default of each of its parameters."""
        return {str(p.get("name")): str(p.get("default") or "") for p in self.settings.get("parameters") or ()}


@dataclass
class Scene:
    """One project, and what there is to ask about it."""

    project: Path
    """The project's folder, resolved."""
    repository: Path
    """The root of its repository."""
    given_profiles_dir: str | None = None
    """The folder of `profiles.yml`; by default the job's, else as for `run_dbt`."""
    targets: tuple[str, ...] = ()
    """The targets that are looked at; all where none is named."""
    job: str | None = None
    """The job's name or id; by default the bundle's that has a gate."""
    connect: Callable[[], WorkspaceClient] | None = field(default=None, repr=False)
    """Logs in to the workspace; None where nobody shall be asked."""
    spark: SparkSession | None = None
    """A session in it; None outside of a notebook."""
    secrets: SecretReader | None = field(default=None, repr=False)
    """Reads the secrets that `secrets` in `dbx_cd.yml` names; None where none can be read."""
    runner: Runner | None = field(default=None, repr=False)
    """Runs dbt in another way."""
    facts: dict[Hashable, tuple[Any, Exception | None]] = field(default_factory=dict, repr=False)
    """What was found out so far."""

    def once(self, name: Hashable, find_out: Callable[[], T]) -> T:
        """Find something out once. An error is found out as well: the very same one is raised again."""
        if name not in self.facts:
            try:
                self.facts[name] = (find_out(), None)
            except Exception as exc:
                self.facts[name] = (None, exc)
        value, error = self.facts[name]
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]

    @property
    def own_config(self) -> CdConfig:
        """The settings as the project's file has them."""
        return self.once("own_config", lambda: CdConfig.load(self.project))

    @property
    def config(self) -> CdConfig:
        """The settings that count: what the written job says, else what the file says."""

        def settled() -> CdConfig:
            return self.own_config if self.written is None else settle(self.own_config, self.definition.standing)

        return self.once("config", settled)

    @property
    def bundled(self) -> WrittenJob:
        """The job as the bundle's files have it."""
        return self.once("bundled", lambda: written_job(self.repository, job=self.job))

    @property
    def written(self) -> WrittenJob | None:
        """That job; None where there is none that can be read, of which its own check says why."""
        with suppress(Exception):
            return self.bundled
        return None

    @property
    def definition(self) -> JobDefinition:
        """What that job says by itself."""
        return self.once("definition", lambda: JobDefinition.read(self.bundled.whole))

    @property
    def profiles_dir(self) -> str | None:
        """The folder of `profiles.yml`, where it is not the project's own: what was given, else the job's parameter."""
        own = self.written.parameters.get("profiles_dir") if self.written is not None else None
        if self.connect is not None:
            with suppress(Exception):  # the check of the job says why
                own = self.deployed.parameters.get("profiles_dir", own)
        found = self.given_profiles_dir or own or None
        beside = self.repository / (found or "")
        return str(beside) if found and beside.is_dir() else found

    @property
    def looked_at(self) -> tuple[str, ...]:
        """The targets that are looked at."""
        return self.targets or tuple(self.config.targets)

    def output(self, target: str) -> Output:
        """The output of the profile for a target."""

        def found() -> Output:
            outputs = self.once(
                "outputs", lambda: outputs_of(self.project, self.looked_at, profiles_dir=self.profiles_dir)
            )
            if target not in outputs:
                raise ConfigError(
                    "the profile has no output of this name",
                    where=target,
                    next_step="add it to profiles.yml, or correct `targets` in dbx_cd.yml, and alike in the bundle",
                )
            return outputs[target]

        return self.once(("output", target), found)

    def build_of(self, target: str) -> BuildTask:
        """The task that builds a target: the written job's, else as the packaged job has it."""
        written = list(self.written.builds()) if self.written is not None else []
        own = next((task for task in written if task.target == target), None)
        is_gated = target in self.config.gates
        return own or BuildTask("", target, "tag:deploy", *(("",) if is_gated else ("tag:heavy", "all")))

    def lists(self, target: str) -> TargetLists:
        """The project as a target has it."""

        def listed() -> TargetLists:
            self.output(target)
            profiles = profiles_folder(self.project, given=self.profiles_dir) or self.project
            return list_target(self.project, self.build_of(target), profiles=profiles, runner=self.runner)

        return self.once(("lists", target), listed)

    @property
    def client(self) -> WorkspaceClient:
        """The workspace."""
        assert self.connect is not None  # what needs it is skipped else
        return self.once("client", self.connect)

    @property
    def session(self) -> SparkSession:
        """The session."""
        assert self.spark is not None  # what needs it is skipped else
        return self.spark

    @property
    def sql(self) -> Sql:
        """The port to the session's SQL."""
        return self.once("sql", lambda: Sql(self.session))

    @property
    def tables(self) -> Tables:
        """Tables and views, as the session sees them."""
        return self.once("tables", lambda: SparkTables(self.sql))

    @property
    def anchor(self) -> LogAnchor | None:
        """Which log the artifacts' folder remembers."""
        return self.once("anchor", lambda: read_anchor(self.config.artifacts_root))

    @property
    def log(self) -> ReleaseLog:
        """The release log; there may be no table yet."""
        return self.once("log", lambda: ReleaseLog(self.session, self.config.release_log, anchor=self.anchor))

    @property
    def cd(self) -> Cd:
        """The context by which a release would work here."""
        store = ArtifactStore(self.config.artifacts_root)
        return Cd(self.session, self.config, store, self.log, self.client, tables=self.tables, secrets=self.secrets)

    @property
    def me(self) -> str:
        """As whom the workspace is asked."""
        return self.once("me", lambda: str(whoami(self.client).user_name))

    @property
    def deployed(self) -> DeployedJob:
        """The job as the workspace has it."""

        return self.deployed_as(self.job or (self.written.name if self.written is not None else JOB_NAME))

    def deployed_as(self, name: str) -> DeployedJob:
        """A job of the workspace by its name or id."""

        def found() -> DeployedJob:
            job = Jobs(self.client).job(name)
            settings = job.settings.as_dict() if job.settings is not None else {}
            return DeployedJob(int(job.job_id or 0), settings, job.run_as_user_name or job.creator_user_name or "")

        return self.once(("deployed", name), found)

    def warehouse(self, warehouse_id: str) -> Mapping[str, Any]:
        """A SQL warehouse, as the API has it: its path, since the SDK's types have changed between runtimes."""

        def found() -> Mapping[str, Any]:
            right = "CAN USE on the SQL warehouse"
            with calling("the warehouse cannot be seen", right=right, where=f"warehouse {warehouse_id}"):
                path = f"/api/2.0/sql/warehouses/{warehouse_id}"
                answer = Patience().repeat(lambda: self.client.api_client.do("GET", path), passing=passing_answer)
            return answer if isinstance(answer, dict) else {}

        return self.once(("warehouse", warehouse_id), found)

    @property
    def run_as(self) -> str:
        """Whom the job runs as; "" where neither the workspace nor the files say."""
        if self.connect is not None:
            with suppress(Exception):  # the check of the job says why
                return self.deployed.run_as
        own = self.written.run_as if self.written is not None else ""
        return "" if is_unknown(own) else own

    @property
    def second_identity(self) -> str:
        """Whom the job runs as that builds what has a gate, where that is one of its own; else "" ."""
        own = self.written.others[0].run_as if self.written is not None and self.written.others else ""
        return "" if is_unknown(own) else own

    @property
    def starter(self) -> str:
        """Who has started the newest run of the job; "" where there is none that can be seen."""

        def found() -> str:
            runs = Jobs(self.client).newest_runs(self.deployed.job_id, limit=1)
            return str(runs[0].creator_user_name or "") if runs else ""

        with suppress(Exception):
            return self.once("starter", found)
        return ""
