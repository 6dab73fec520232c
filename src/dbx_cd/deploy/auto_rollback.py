"""Bring production's data back by itself after a failed deploy, where the policy says so and nothing can be lost."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from dbx_cd.errors import RestoreRefused
from dbx_cd.records import Record
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Failed, Release
from dbx_cd.rollback.capture import record_versions_after
from dbx_cd.rollback.of_target import afters_of, points_of
from dbx_cd.rollback.plan import RestorePlan, plan_restore
from dbx_cd.rollback.restore import RestoreResult, restore_inside_its_run
from dbx_cd.smoke.report import SmokeReport

_log = logging.getLogger(__name__)

_OF_ONE_RUN = timedelta(days=1)
"""How long after its restore point a build's commits are taken for its own by the names of its writers alone; a task
that is repaired later than that leaves it to a person."""


@dataclass(frozen=True)
class NotRolledBack(Record):
    """Nothing was to be done."""

    KIND: ClassVar[str] = "not_rolled_back"

    reason: str
    """Why."""

    def __str__(self) -> str:
        return f"not rolled back: {self.reason}"


def auto_rollback(cd: Cd, release: Release, *, target: str) -> RestoreResult | NotRolledBack:
    """Undo a release's changes of a target after its build or smoke test failed; those of other targets stay.

    Acts only when the log says that this release was deploying to the target, and only as `policies.auto_rollback`
    allows: "any" failure, or "contracts": a failed build, or a smoke test in which a contract failed. What the release
    created is kept. This task runs when the build's own has ended, so a build that never said how it ended was killed:
    what the release's writers have committed by now is taken for its own. Other tasks of the run that are still at work
    are waited for. A task with `run_if: AT_LEAST_ONE_FAILED`
    also runs when an approval is being waited for; then nothing is done.

    Args:
        cd: the context.
        release: the release of this run.
        target: the gated target.

    Returns:
        What was restored, or why nothing was.

    Raises:
        RestoreRefused: something cannot be brought back, or others have written since; the message says what a human
            has to decide. Nothing has been changed.
        RestoreFailed: the restore began and did not finish.
    """
    policy = cd.config.policies.auto_rollback
    reason = _reason_not_to(cd, release, target, policy)
    if reason is not None:
        _log.info("%s: not rolled back: %s", release, reason)
        return NotRolledBack(reason)
    _end_killed_build(cd, release, target)
    plan = plan_restore(cd, release, target=target)
    blocked = [f"{item.name} ({item.reason})" for item in plan.blocked]
    blocked += [f"{item.name} (others wrote: {'; '.join(item.later_writes)})" for item in plan.later_writes]
    if blocked:
        raise RestoreRefused(
            f"{len(blocked)} relations need a decision before {release} is rolled back: {', '.join(blocked)}",
            where=target,
            next_step="open the notebook rollback, read its plan, and leave them out with skip or agree to the loss",
        )
    here = cd.log.state(release).of(target)
    begun = [p for p in cd.log.all(release, RestorePlan) if p.target in ("", target)]
    if not plan.changes and here.failed_in != "smoke" and not begun:
        # It stays failed, so that it can be repaired: a release that was rolled back is over.
        reason = f"{release} has changed nothing in {target} that a rollback would bring back"
        _log.info("%s: not rolled back: %s", release, reason)
        return NotRolledBack(reason)
    why = here.failure or "its deploy was cut off"
    reason = f"policies.auto_rollback is {policy}: {why}"
    _log.warning("%s: rolling %s back: %s", release, target, reason)
    return restore_inside_its_run(cd, plan, reason=reason)


def _end_killed_build(cd: Cd, release: Release, target: str) -> None:
    """Write down what a build could not: where it left the relations, and that it failed, where it was killed."""
    log = cd.log.read(release)
    point = points_of(log, target)[-1]
    is_said = any(after.taken_at >= point.taken_at for after in afters_of(log, target))
    if not is_said and datetime.now(UTC) - point.taken_at < _OF_ONE_RUN:
        record_versions_after(cd, release, point)
    if log.state.of(target).deployment == "deploying":
        cd.log.append(release, Failed(target, "its task ended before it could say how"))


def _reason_not_to(cd: Cd, release: Release, target: str, policy: str) -> str | None:
    if policy == "never":
        return "policies.auto_rollback is never"
    log = cd.log.read(release)
    here = log.state.of(target)
    if here.deployment is None or not points_of(log, target):
        return f"{release} has changed nothing in {target}"
    if here.deployment not in ("failed", "deploying"):
        return f"{release} is {here.deployment.replace('_', ' ')} in {target}"
    if policy == "any" or here.failed_in != "smoke":
        return None
    report = next(r for r in reversed(log.all(SmokeReport)) if r.target == target)
    if any(check.kind == "contract" for check in report.failed):
        return None
    return "policies.auto_rollback is contracts, and no contract failed"
