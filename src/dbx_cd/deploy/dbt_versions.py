"""Whether production would be built by the dbt that staging was built and tested with."""

from __future__ import annotations

import logging

from dbx_cd.artifacts.version import ArtifactVersion, installed_version
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.errors import SetupError

_log = logging.getLogger(__name__)


def refuse_other_dbt(staged: ArtifactVersion, manifest: Manifest) -> None:
    """Compare the dbt that is at work with the one that made the staging artifacts; one that is not known is reported.

    Another version may write other SQL for the same project: nobody has tested or approved that.

    Args:
        staged: the staging artifacts that were approved.
        manifest: what this task's dbt made of the same project.

    Raises:
        SetupError: dbt-core or dbt-databricks is of another version.
    """
    made_by = {
        "dbt-core": staged.dbt_version or str(staged.manifest().metadata.get("dbt_version") or ""),
        "dbt-databricks": staged.adapter_version,
    }
    at_work = {
        "dbt-core": str(manifest.metadata.get("dbt_version") or ""),
        "dbt-databricks": installed_version("dbt-databricks"),
    }
    unknown = [name for name in made_by if not (made_by[name] and at_work[name])]
    if unknown:
        _log.warning("%s: nothing tells whether its %s was of today's version", staged, " and ".join(unknown))
    others = [name for name in made_by if name not in unknown and made_by[name] != at_work[name]]
    if others:
        differences = ", ".join(f"{name} {at_work[name]} here, {made_by[name]} there" for name in others)
        versions = " ".join(f"{name}=={made_by[name]}" for name in others)
        raise SetupError(
            f"another dbt than the one staging was built with: {differences}",
            where=staged,
            next_step=f"install {versions}, or run the Workflow again from stg_build on",
        )
