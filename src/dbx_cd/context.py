"""The context that functions touching the release log take first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbx_cd.artifact_store import ArtifactStore
from dbx_cd.config import CdConfig
from dbx_cd.release_log import ReleaseLog

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class Cd:
    """Where one project's releases live: session, settings, artifacts, log and workspace."""

    spark: SparkSession
    config: CdConfig
    store: ArtifactStore
    log: ReleaseLog
    workspace: WorkspaceClient

    @cached_property
    def user(self) -> str:
        """Who is at work here, as the platform says; never taken from an argument."""
        return str(self.workspace.current_user.me().user_name)


def open_cd(
    spark: SparkSession,
    *,
    project_dir: str | Path = ".",
    workspace: WorkspaceClient | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Cd:
    """Open the releases of a project.

    Args:
        spark: a classic or Spark Connect session.
        project_dir: the folder with `dbt_project.yml` and, optionally, `dbx_cd.yml`.
        workspace: a client of the SDK; by default one that authenticates as the SDK does by itself, which in a
            notebook is the notebook's user.
        overrides: settings that win over the file.

    Raises:
        ConfigError: the settings are not valid.
    """
    config = CdConfig.load(project_dir, overrides=overrides)
    if workspace is None:
        from databricks.sdk import WorkspaceClient

        workspace = WorkspaceClient()
    log = ReleaseLog(spark, config.release_log, actor=str(workspace.current_user.me().user_name))
    return Cd(spark, config, ArtifactStore(config.artifacts_root), log, workspace)
