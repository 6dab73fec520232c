"""Whether production would be built by the dbt that staging was built and tested with."""

from __future__ import annotations

import logging

from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.environment import EnvironmentRecord
from dbx_cd.errors import SetupError

_log = logging.getLogger(__name__)


def refuse_other_dbt(staged: ArtifactVersion, manifest: Manifest, *, at_work: EnvironmentRecord) -> None:
    """Compare the dbt that is at work with the one that made the staging artifacts; one that is not known is reported.

    Another version, or the same one with other packages, may write other SQL for the same project: nobody has tested or
    approved that.

    Args:
        staged: the staging artifacts that were approved.
        manifest: what this task's dbt made of the same project.
        at_work: the environment that this task's dbt runs in.

    Raises:
        SetupError: dbt-core or dbt-databricks is of another version, or dbt runs in another environment.
    """
    made_by = {
        "dbt-core": staged.dbt_version or str(staged.manifest().metadata.get("dbt_version") or ""),
        "dbt-databricks": staged.adapter_version,
    }
    here = {
        "dbt-core": str(manifest.metadata.get("dbt_version") or ""),
        "dbt-databricks": at_work.dbt_databricks,
    }
    unknown = [name for name in made_by if not (made_by[name] and here[name])]
    if unknown:
        _log.warning("%s: nothing tells whether its %s was of today's version", staged, " and ".join(unknown))
    others = [name for name in made_by if name not in unknown and made_by[name] != here[name]]
    if others:
        differences = ", ".join(f"{name} {here[name]} here, {made_by[name]} there" for name in others)
        versions = " ".join(f"{name}=={made_by[name]}" for name in others)
        raise SetupError(
            f"another dbt than the one staging was built with: {differences}",
            where=staged,
            next_step=f"install {versions}, or run the Workflow again from stg_build on",
        )
    _refuse_other_environment(staged, at_work)


def _refuse_other_environment(staged: ArtifactVersion, at_work: EnvironmentRecord) -> None:
    if staged.environment is None:
        if at_work.digest:
            _log.warning("%s: nothing tells in which environment its dbt ran; here it is %s", staged, at_work)
        return
    if not at_work.is_as(staged.environment):
        raise SetupError(
            f"dbt runs in another environment than the one staging was built in: {at_work} here, "
            f"{staged.environment} there",
            where=staged,
            next_step="give prod_build and stg_build compute of the same runtime and architecture, or run the Workflow "
            "again from stg_build on",
        )
