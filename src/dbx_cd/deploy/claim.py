"""Who may change a gated target now: one release at a time, no rollback in between, and in the order of promotion."""

from __future__ import annotations

from dbx_cd.approval.validity import examined, refuse_overtaken
from dbx_cd.errors import ApprovalStale, DbxCdError, ReleaseError
from dbx_cd.release.context import Cd
from dbx_cd.release.events import ClaimWithdrawn, Deploying, Release
from dbx_cd.release.reading import LogReading
from dbx_cd.release.turn import gates_before, require_promoted
from dbx_cd.rollback.journal import restoring_since


def claim(cd: Cd, release: Release, *, target: str, seal: str | None = None) -> None:
    """Say in the log that a release deploys, then look whether it may.

    Of two releases that say so at once the earlier commit has the target. A restore looks for `deploying` in the same
    way before it begins, so that the two exclude each other. Between the check of the approval and the claim a newer
    release may have been deployed, this one rolled back, or something else asked about it; then, too, it steps back,
    and all is as it was before.

    Args:
        cd: the context.
        release: an approved release.
        target: the gated target.
        seal: the seal that was approved; None where nobody was asked.

    Raises:
        ReleaseError: another release is deploying, or a rollback is under way.
        ApprovalRequired: the release was overtaken, rejected or rolled back by now, also in a gated target that comes
            first, or asked about anew.
    """
    cd.log.append(release, Deploying(target, cd.config.compute))
    try:
        _refuse(cd, examined(cd, release)[0], release, target=target, seal=seal)
    except DbxCdError as refused:
        cd.log.append(release, ClaimWithdrawn(target, refused.what))
        raise


def _refuse(cd: Cd, log: LogReading, release: Release, *, target: str, seal: str | None) -> None:
    mine = log.state.of(target).claimed
    others = [
        other
        for other, state in log.history
        if other.id != release.id and state.of(target).deployment == "deploying" and state.of(target).claimed < mine
    ]
    if others:
        raise ReleaseError(
            f"{others[0]} is deploying to {target}",
            where=release,
            next_step="wait for it; if its run has died, repair that run or roll the release back",
        )
    since = restoring_since(log.events, target=target)
    restoring = [(name, target) for name, began in since.items() if name == release.id or began < mine]
    # This release goes here only while it is in place in the targets before.
    restoring += [
        (release.id, gate)
        for gate in gates_before(cd.config.gates, target)
        if release.id in restoring_since(log.events, target=gate)
    ]
    for name, place in restoring:
        raise ReleaseError(
            f"release {name} is being rolled back in {place}",
            where=release,
            next_step="wait for it; if it has died, restore again: it goes on where it was",
        )
    refuse_overtaken(cd, log, target=target)
    require_promoted(log, gates=cd.config.gates, target=target)
    if log.state.of(target).deployment != "deploying":
        raise ReleaseError(
            f"{release} was brought back in part while it claimed {target}",
            where=release,
            next_step="run its build task again, which claims anew",
        )
    if log.state.of(target).newest_seal != seal:
        raise ApprovalStale(
            f"{release} was asked about anew since its approval was looked at",
            changed=("request",),
            where=target,
            next_step="let somebody decide on what is asked now",
        )
