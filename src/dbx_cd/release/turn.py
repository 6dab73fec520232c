"""Whether a release may go on: it is not over, and no newer one has taken its place."""

from __future__ import annotations

from dbx_cd.errors import ApprovalRejected, ApprovalRequired, ApprovalSuperseded, ReleaseError, ReleaseSuperseded
from dbx_cd.release.events import Release
from dbx_cd.release.reading import LogReading
from dbx_cd.release.state import ReleaseState


def refuse_over(release: Release, state: ReleaseState) -> None:
    """Refuse to build anything more from a release that is over, into whichever target.

    Raises:
        ReleaseSuperseded: a newer release has overtaken it.
        ReleaseError: it was rejected or rolled back.
    """
    if state.phase == "superseded":
        raise ReleaseSuperseded(
            f"{release} was overtaken by {state.superseded_by}", next_step="nothing to do here: that one goes on"
        )
    if state.phase == "rejected":
        raise ReleaseError(f"{release} was rejected by {state.actor}: {state.reason}", next_step="merge a new change")
    if state.phase == "rolled_back":
        raise ReleaseError(f"{release} was rolled back", next_step="trigger the Workflow for a new release")


def refuse_ended(log: LogReading, *, target: str) -> None:
    """Refuse a release that was rejected, rolled back or overtaken.

    A newer release overtakes an undecided one when it is opened, and an approved one when it begins to change the
    target: building the older one then would take production back without anybody having asked for it. That the newer
    one has failed halfway makes no difference; that it was rolled back does.

    Args:
        log: a reading of the release.
        target: the gated target.
    """
    release, state = log.release, log.state
    assert release is not None
    if state.phase == "rejected":
        raise ApprovalRejected(
            f"{release} was rejected by {state.actor}: {state.reason}", next_step="fix it and merge again"
        )
    if state.phase == "superseded":
        raise ApprovalSuperseded(f"{release} was overtaken by {state.superseded_by}", next_step="approve that one")
    if state.phase == "rolled_back":
        raise ApprovalRequired(f"{release} was rolled back", next_step="trigger the Workflow for a new release")
    mine = state.of(target)
    for newer, newer_state in log.after(release):
        there = newer_state.of(target)
        # Of two claims at once the earlier commit has the target: the other one, too, looks after its claim.
        if not there.is_changed or (
            mine.deployment == there.deployment == "deploying" and mine.claimed < there.claimed
        ):
            continue
        raise ApprovalSuperseded(
            f"{release} was overtaken by {newer.id}, which is {there.deployment} in {target}",
            next_step="to go back to this commit on purpose, trigger the Workflow at it",
        )
