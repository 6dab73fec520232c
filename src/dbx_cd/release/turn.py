"""Whether a release may go on: it is not over, no newer one has taken its place, and it is where it has to be first."""

from __future__ import annotations

from collections.abc import Sequence

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


def gates_before(gates: Sequence[str], target: str) -> tuple[str, ...]:
    """The gated targets that a release has to be in before a target; all of them before one that is not listed."""
    return tuple(gates[: gates.index(target)] if target in gates else gates)


def gates_after(gates: Sequence[str], target: str) -> tuple[str, ...]:
    """The gated targets that a release goes into after a target; none after one that is not listed."""
    return tuple(gates[gates.index(target) + 1 :] if target in gates else ())


def require_promoted(log: LogReading, *, gates: Sequence[str], target: str) -> None:
    """Refuse a release for a gated target before it is in place in every one that comes first.

    In place is what was deployed there, has not failed its smoke test there, and was not rolled back, not even in part.
    A target that was gated once and that no list of gates names any more has no place in the order: then all come
    first, so that a commit does not skip a gate by taking another one away.

    Args:
        log: a reading of the release.
        gates: the gated targets in promotion order.
        target: the gated target.

    Raises:
        ApprovalRequired: it is not; the message names the target that comes first.
    """
    for gate in gates_before(gates, target):
        there = log.state.of(gate)
        if not there.is_in_place:
            partly = ", but for what was rolled back" if there.is_partly_rolled_back else ""
            stands = (there.deployment or "not deployed").replace("_", " ")
            raise ApprovalRequired(
                f"{gate} comes before {target}, and {log.release} is {stands} there{partly}",
                where=log.release,
                next_step=f"promote it to {gate} first; where it was rolled back there, trigger a new release",
            )


def may_be_decided(log: LogReading, *, gates: Sequence[str], target: str) -> bool:
    """Whether somebody may still be asked about the reading's release in a gated target."""
    try:
        refuse_ended(log, target=target)
        require_promoted(log, gates=gates, target=target)
    except ApprovalRequired:
        return False
    return True


def refuse_ended(log: LogReading, *, target: str) -> None:
    """Refuse a release that was rejected, rolled back in the target, or overtaken there.

    A newer release overtakes an undecided one when it is opened, and an approved one when it begins to change the
    target: building the older one then would take production back without anybody having asked for it. That the newer
    one has failed halfway makes no difference; that it was rolled back there does.

    A release that is in an earlier gated target is not superseded when a newer one opens, for then nobody could say
    what that target holds. As long as nobody has approved it for this one, it is overtaken here as soon as a newer
    release has been asked about, unless that one was rejected or rolled back as a whole.

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
    mine = state.of(target)
    if state.phase == "rolled_back" or mine.is_undone:
        where = f" in {target}" if state.where else ""
        raise ApprovalRequired(f"{release} was rolled back{where}", next_step="trigger the Workflow for a new release")
    is_undecided = mine.approval is None or mine.approval.phase == "waiting"
    is_elsewhere = any(name != target for name in state.changed_gates)
    for newer, newer_state in log.after(release):
        there = newer_state.of(target)
        if is_undecided and is_elsewhere and there.approval is not None and not newer_state.ended:
            raise ApprovalSuperseded(
                f"{release} was overtaken by {newer.id}, about which {target} was asked since",
                next_step="decide about that one; this release goes on when that one is rejected",
            )
        # Of two claims at once the earlier commit has the target: the other one, too, looks after its claim.
        if not there.is_changed or (
            mine.deployment == there.deployment == "deploying" and mine.claimed < there.claimed
        ):
            continue
        raise ApprovalSuperseded(
            f"{release} was overtaken by {newer.id}, which is {there.deployment} in {target}",
            next_step="to go back to this commit on purpose, trigger the Workflow at it",
        )
