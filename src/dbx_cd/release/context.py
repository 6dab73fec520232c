"""The context that functions touching the release log take first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbx_cd.artifacts.store import ArtifactStore
from dbx_cd.config import CdConfig
from dbx_cd.dbt.runner import Runner
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.tables import Tables
from dbx_cd.errors import ConfigError
from dbx_cd.notebook_place import notebook_folder
from dbx_cd.release.anchor import read_anchor
from dbx_cd.release.authorship import Identities
from dbx_cd.release.log import ReleaseLog
from dbx_cd.release.standing import Standing, log_standing, settle
from dbx_cd.secret_names import SecretReader
from dbx_cd.workspace_calls import whoami
from dbx_cd.workspace_host import current_workspace

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Cd:
    """Where one project's releases live: session, settings, artifacts, log and workspace."""

    spark: SparkSession
    """The session, for smoke tests and for whoever goes on with DataFrames."""
    config: CdConfig
    """The project's settings."""
    store: ArtifactStore
    """What dbt invocations left."""
    log: ReleaseLog
    """The events of all releases."""
    workspace: WorkspaceClient
    """The SDK's client of whoever is at work."""
    tables: Tables = None  # type: ignore[assignment]
    """Tables and views; by default those that the session sees."""
    dbt: Runner | None = None
    """How dbt is run; by default as a process."""
    standing: tuple[Standing, ...] = ()
    """Who says what does not follow the commit; the settings of any other commit go by it as well."""
    staging_identity: str | None = None
    """Who opens releases and builds staging, where a job of its own, run as another, builds what has a gate."""
    secrets: SecretReader | None = None
    """Reads a secret of the workspace, for dbt's processes; None where none can be read."""

    def __post_init__(self) -> None:
        if self.tables is None:
            object.__setattr__(self, "tables", SparkTables.of(self.spark))

    @cached_property
    def user(self) -> str:
        """Who is at work here, as the platform says; never taken from an argument."""
        return str(whoami(self.workspace).user_name)

    @property
    def identities(self) -> Identities:
        """As whom the Workflow works, seen from one of its tasks."""
        return Identities(self.staging_identity or self.user, self.user, self.config.gates)


def open_cd(
    spark: SparkSession,
    *,
    project_dir: str | Path = ".",
    workspace: WorkspaceClient | None = None,
    overrides: Mapping[str, Any] | None = None,
    definition: Standing | None = None,
    staging_identity: str | None = None,
    secrets: SecretReader | None = None,
) -> Cd:
    """Open the releases of a project.

    Where the log is, which targets are gated and who approves does not follow the commit: see `release.standing`.

    Args:
        spark: a classic or Spark Connect session.
        project_dir: the folder with `dbt_project.yml` and, optionally, `dbx_cd.yml`, as `find_project` takes it.
        workspace: a client of the SDK; by default one that authenticates as the SDK does by itself, which in a
            notebook is the notebook's user.
        overrides: settings that win over the file.
        definition: what the Workflow's job says by itself, for its own tasks.
        staging_identity: who opens releases, in a task of a job that only builds what has a gate.
        secrets: reads the secrets that `secrets` in `dbx_cd.yml` names; in a notebook `dbutils.secrets.get`.

    Raises:
        ConfigError: there is no such project, its settings are not valid, there are no credentials, or the artifacts
            belong to another log.
        WorkflowError: the workspace cannot be reached, or does not say who is at work.
    """
    loaded = CdConfig.load(find_project(project_dir), overrides=overrides)
    root = (definition.artifacts_root if definition is not None else None) or loaded.artifacts_root
    # Who names a log in the call wants to read that one, such as a log from before a new one was begun.
    anchor = None if (overrides or {}).get("release_log") else read_anchor(root)
    sources = [source for source in (definition, anchor.standing if anchor is not None else None) if source is not None]
    table = settle(loaded, *sources).release_log
    if anchor is not None:
        anchor.require_log(table, root=root)
    workspace = workspace or current_workspace()
    actor = str(whoami(workspace).user_name)
    log = ReleaseLog(spark, table, actor=actor, anchor=anchor)
    if definition is not None:
        workflow = Identities(staging_identity or actor, actor, definition.gates)
        sources.append(log_standing(log.examined(workflow=workflow)[0]))
    config = settle(loaded, *sources)
    store = ArtifactStore(config.artifacts_root)
    return Cd(
        spark,
        config,
        store,
        log,
        workspace,
        standing=tuple(sources),
        staging_identity=staging_identity,
        secrets=secrets,
    )


def find_project(project_dir: str | Path, *, dbutils: Any = None) -> Path:
    """The folder of the dbt project, seen from the notebook.

    A notebook lies in a folder of the checkout, while `project_dir` is written relative to the root of the repository.
    So the nearest folder above the notebook that has `<project_dir>/dbt_project.yml` counts; where no notebook runs, or
    nothing says where it lies, above the working directory.

    Args:
        project_dir: the folder, relative to the root of the repository.
        dbutils: the notebook's `dbutils`, where it is at hand.

    Raises:
        ConfigError: there is none.
    """
    notebook = notebook_folder(dbutils)
    places = list(dict.fromkeys([*([notebook] if notebook is not None else []), Path.cwd()]))
    for here in places:
        for base in (here, *here.parents):
            if (base / project_dir / "dbt_project.yml").is_file():
                return (base / project_dir).resolve()
    raise ConfigError(
        f"no dbt project at {str(project_dir)!r} in this folder or above it",
        where=" or ".join(map(str, places)),
        next_step="give project_dir relative to the root of the repository",
    )
