"""Whether a plan may be carried out now: it was read, it still describes the relations, and nothing is lost unsaid."""

from __future__ import annotations

from dataclasses import replace

from dbx_cd.errors import RestoreRefused
from dbx_cd.rollback.ownership import is_as_planned
from dbx_cd.rollback.plan import RestorePlan
from dbx_cd.rollback.plan_item import PlanItem


def require_consent(plan: RestorePlan, *, seal: str, discard_later_writes: bool) -> None:
    """Refuse a plan that was not read, that cannot be carried out, or that loses what nobody agreed to lose.

    Args:
        plan: what somebody agreed to.
        seal: what they gave as the plan's seal.
        discard_later_writes: whether they agreed to erase what others wrote.

    Raises:
        RestoreRefused: see `restore`.
    """
    if seal != plan.seal:
        raise RestoreRefused(
            "the seal is not this plan's: the plan was not read, or things have changed since",
            next_step="read the plan as it is now, and give its seal",
        )
    if plan.blocked:
        raise RestoreRefused(
            "cannot be brought back: " + "; ".join(f"{i.name} ({i.reason})" for i in plan.blocked),
            next_step="do what their reasons say, and plan again; or leave them out with "
            f"skip={[i.name for i in plan.blocked]}, and build those again from earlier code",
        )
    if plan.later_writes and not discard_later_writes:
        listed = "; ".join(f"{i.name}: {', '.join(i.later_writes)}" for i in plan.later_writes)
        raise RestoreRefused(
            f"others wrote after the release, and a restore would erase it: {listed}",
            next_step="agree with them and give discard_later_writes=True, or leave these tables out with skip=",
        )


def agreed(plan: RestorePlan, now: RestorePlan) -> list[PlanItem]:
    """The items to carry out, as things are now.

    Args:
        plan: what somebody agreed to.
        now: the same, assessed now.

    Raises:
        RestoreRefused: a relation is neither what the plan says nor what an earlier attempt made of it.
    """
    current = {i.name: i for i in now.items}
    planned = {i.name: i for i in plan.items}
    moved = sorted(
        name
        for name in planned.keys() | current.keys()  # also what a later attempt to deploy has touched besides
        if name not in planned or name not in current or not is_as_planned(planned[name], current[name])
    )
    if moved:
        raise RestoreRefused(f"changed since the plan: {', '.join(moved)}", next_step="plan again and read it")
    return [_execution(i, current[i.name]) for i in plan.items]


def _execution(planned: PlanItem, now: PlanItem) -> PlanItem:
    """The item as it is now, with what only the plan has: the proof of the version to go back to, and what to keep."""
    return replace(
        now,
        fingerprint=planned.fingerprint or now.fingerprint,
        schema=planned.schema,
        differences=planned.differences,
        keep_properties={**now.keep_properties, **planned.keep_properties},
    )
