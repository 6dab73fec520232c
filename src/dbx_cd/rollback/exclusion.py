"""Who may change a gated target: a restore excludes every deploy to it, and the restore of another release in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dbx_cd.errors import RestoreRefused
from dbx_cd.release.reading import LogReading
from dbx_cd.release.turn import gates_after
from dbx_cd.rollback.journal import RestoreResult, restoring_since
from dbx_cd.rollback.plan import RestorePlan

if TYPE_CHECKING:
    from dbx_cd.release.context import Cd
    from dbx_cd.release.events import Release


def claim_restore(cd: Cd, release: Release, plan: RestorePlan, *, discard_later_writes: bool) -> None:
    """Say in the log that the restore begins, then look once more whether somebody else began at the same time.

    A deploy writes `deploying` and then looks for `restore_planned`: whoever writes second sees the other one.
    """
    cd.log.append(release, plan)
    try:
        refuse_while_others_work(
            cd.log.read(release),
            target=plan.target,
            gates=cd.config.gates,
            discard_later_writes=discard_later_writes,
        )
    except RestoreRefused as refused:
        withdrawn = f"withdrawn: {refused.what}"
        cd.log.append(
            release,
            RestoreResult(
                release.id,
                plan.seal,
                (),
                False,
                datetime.now(UTC),
                0.0,
                reason=withdrawn,
                withdrawn=True,
                brought_back=False,
                target=plan.target,
            ),
        )
        raise


def refuse_while_others_work(log: LogReading, *, target: str, gates: Sequence[str], discard_later_writes: bool) -> None:
    """A restore excludes any deploy to its target, and the restore of another release: whichever began first goes on.

    What another release does in another target is independent of it. A deploy of this very release to a target that is
    promoted to later is not: it goes there only while it is in place here.

    Whether a deploy of this very release still runs, or was killed, the log cannot tell: that is for a person to say.

    Args:
        log: a reading of the release that is to be undone.
        target: where; "" where the log does not say, which means everywhere.
        gates: the gated targets in promotion order.
        discard_later_writes: whether the person says that no run of the release is left.
    """
    release = log.release
    assert release is not None
    since = restoring_since(log.events, target=target)
    mine = since.pop(release.id, None)
    half_done = next((release_id for release_id, began in since.items() if mine is None or began < mine), None)
    if half_done is not None:
        raise RestoreRefused(
            f"release {half_done} is being restored, or its restore was killed",
            next_step="finish that restore first: plan and restore it again",
        )
    for other, state in log.history:
        if other.id == release.id:
            continue
        for name in state.deploying if not target else {target} & set(state.deploying):
            if mine is None or state.of(name).claimed < mine:
                raise RestoreRefused(f"{other} is deploying to {name}", next_step="wait until it has ended")
    for name in log.state.deploying:
        if name in gates_after(gates, target):
            raise RestoreRefused(
                f"{release} is still deploying to {name}, or its run was killed, and {name} comes after {target}",
                next_step=f"make sure that no run of it is left, and roll it back in {name} first",
            )
        if name == target and not discard_later_writes:
            raise RestoreRefused(
                f"{release} is still deploying to {name}, or its run was killed",
                next_step="make sure that no run of it is left, then restore with discard_later_writes=True",
            )
