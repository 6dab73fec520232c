"""How fresh the sources of a release are, with dbt's log among the release's pages where dbt failed."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from dbx_cd.artifacts.installed import require_packages
from dbx_cd.dbt.freshness import SourceFreshness
from dbx_cd.dbt.invocation import run_dbt
from dbx_cd.deploy.connection import connected
from dbx_cd.deploy.failures import keep_log
from dbx_cd.errors import DbxCdError, what_failed
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Release

_log = logging.getLogger(__name__)


def freshness_for(
    cd: Cd, release: Release, target: str, *, project_dir: str | Path = ".", profiles_dir: str | Path | None = None
) -> tuple[SourceFreshness, ...]:
    """Run `dbt source freshness` for a release; writes no table.

    Where dbt fails, as it does when a source is too old, its log is attached to the release as
    `source-freshness-<target>-dbt.log`: the folder that dbt works in goes.

    Args:
        cd: the context.
        release: the release that is tested.
        target: the dbt target.
        project_dir: folder with `dbt_project.yml`.
        profiles_dir: folder with `profiles.yml`; "" or None for the one that dbt takes when started in the project's
            folder, as `run_dbt` says.

    Returns:
        One result for every source with a freshness rule, for `run_smoke(freshness=)`.

    Raises:
        ArtifactError: the target is gated, and the project has not all packages that it names.
        ConfigError: there is no dbt project or profile.
        SetupError: dbt is not installed beside dbx_cd.
    """
    if target in cd.config.gates:
        require_packages(Path(project_dir), of=release, target=target)
    with (
        tempfile.TemporaryDirectory(prefix="dbx_cd-", ignore_cleanup_errors=True) as folder,
        connected(cd) as connection,
    ):
        run = run_dbt(
            "source freshness",
            target=target,
            project_dir=project_dir,
            profiles_dir=profiles_dir or None,
            work_dir=Path(folder),
            runner=cd.dbt,
            connection=connection,
            check=False,
        )
        if not run.ok:
            try:
                kept = keep_log(cd, release, run)
                _log.warning("the log of dbt source freshness is %s", kept or "not there: dbt left none")
            except (DbxCdError, OSError) as exc:
                _log.warning("the log of dbt source freshness cannot be kept: %s", what_failed(exc))
    return run.freshness or ()
