"""What a deploy is asked to build, before anything is planned."""

from __future__ import annotations

from dataclasses import replace

from dbx_cd.artifacts.version import DEPLOYABLE_COMMANDS
from dbx_cd.dbt.selection import Selection
from dbx_cd.errors import ApprovalRequired, ConfigError
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Built, Release
from dbx_cd.release.reading import LogReading


def deployable(cmd: str) -> str:
    """The command, if it is one that may build a release, be the target gated or open.

    Raises:
        ConfigError: it is not.
    """
    if cmd not in DEPLOYABLE_COMMANDS:
        words = " or ".join(DEPLOYABLE_COMMANDS)
        raise ConfigError(
            f"a release is built by {words}, not by {cmd!r}",
            where="parameter cmd",
            next_step="give what to build as select and exclude, so that it can be approved",
        )
    return cmd


def asked_selection(cd: Cd, log: LogReading, release: Release, *, target: str, selection: Selection) -> Selection:
    """A selection as it is sealed: what staging was asked to build where it names nothing, and with the project's rule.

    Args:
        cd: the context.
        log: a reading of the release.
        release: the release.
        target: the gated target.
        selection: what the task's parameters say.

    Raises:
        ConfigError: another command, or a flag among the selection, since nothing else may change a gated target; or
            the target defers to nothing.
        ApprovalRequired: staging has no successful build.
    """
    staging = cd.config.staging_of(target)
    built = next((b for b in reversed(log.all(Built)) if b.target == staging and b.ok), None)
    if built is None:
        raise ApprovalRequired(
            f"{staging} has no successful build", where=release, next_step=f"run the task that builds {staging} again"
        )
    selection.refuse_flags()
    return replace(
        selection,
        cmd=deployable(selection.cmd),
        select=selection.select or built.selection.select,
        exclude=selection.exclude or None,
        favor_state=cd.config.policies.untagged_changes == "read_staging",
    )
