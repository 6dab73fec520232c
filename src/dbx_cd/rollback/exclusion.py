"""Who may change production: a restore excludes every deploy, and the restore of another release."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dbx_cd.errors import RestoreRefused
from dbx_cd.release.reading import LogReading
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
        refuse_while_others_work(cd.log.read(release), discard_later_writes=discard_later_writes)
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
            ),
        )
        raise


def refuse_while_others_work(log: LogReading, *, discard_later_writes: bool) -> None:
    """A restore excludes any deploy, and the restore of another release: the one that began first goes on.

    Whether a deploy of this very release still runs, or was killed, the log cannot tell: that is for a person to say.
    """
    assert log.release is not None
    since = restoring_since(log.events)
    mine = since.pop(log.release.id, None)
    half_done = next((release_id for release_id, began in since.items() if mine is None or began < mine), None)
    if half_done is not None:
        raise RestoreRefused(
            f"release {half_done} is being restored, or its restore was killed",
            next_step="finish that restore first: plan and restore it again",
        )
    for other, state in log.history:
        if state.deploying_to is None:
            continue
        if other.id != log.release.id:
            if mine is None or state.of(state.deploying_to).claimed < mine:
                raise RestoreRefused(
                    f"{other} is deploying to {state.deploying_to}", next_step="wait until it has ended"
                )
        elif not discard_later_writes:
            raise RestoreRefused(
                f"{other} is still deploying to {state.deploying_to}, or its run was killed",
                next_step="make sure that no run of it is left, then restore with discard_later_writes=True",
            )
