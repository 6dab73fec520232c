"""What of a plan must not be done, by what exists and by the project's policies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dbx_cd.enumeration import listed
from dbx_cd.plan.deploy_plan import DeployPlan
from dbx_cd.plan.leaks import Leak
from dbx_cd.plan.resolution import Resolution, by_hooks
from dbx_cd.policies import Leaks, Policies

_SHOWN = 5


def refusals(plan: DeployPlan, policies: Policies) -> Iterator[str]:
    """Why a plan must not be carried out, a line each, with the ways out.

    Args:
        plan: the plan.
        policies: those of the release's own project.
    """
    yield from (_missing(plan, r) for r in plan.resolutions if r.place == "nowhere" and not by_hooks(r.readers))
    if policies.untagged_changes == "error":
        yield from (_untagged(plan, unique_id) for unique_id in plan.untagged)
    yield from (_leak(plan, leak) for leak in refused_leaks(plan.leaks, policies))


def leak_rule(leak: Leak, policies: Policies) -> Leaks:
    """Which word of `policies.staging_leak` is about a leak."""
    return policies.staging_leak.views if leak.kind == "view" else policies.staging_leak.tables


def refused_leaks(leaks: Iterable[Leak], policies: Policies) -> Iterator[Leak]:
    """Those that must not be; what only cannot be read is told, and refuses nothing."""
    return (leak for leak in leaks if leak.is_certain and leak_rule(leak, policies) == "error")


def _missing(plan: DeployPlan, found: Resolution) -> str:
    return (
        f"{found.parent} is read by {listed(found.readers, most=_SHOWN)} and is in neither {plan.target} nor "
        f"{plan.state_target} ({found.relation}): select it, so that it ships; or let {plan.state_target} build it, if "
        f"it is excluded there; or have {plan.target} build it once"
    )


def _untagged(plan: DeployPlan, unique_id: str) -> str:
    readers = next((r.readers for r in plan.resolutions if r.parent == unique_id), ())
    whom = f"; {listed(readers, most=_SHOWN)} would read it" if readers else ""
    return (
        f"{unique_id} is not what {plan.target} has and does not ship (policies.untagged_changes: error){whom}: "
        "select it (tag it `deploy`, say), or set the policy to read_staging, read_existing or build_in_prod"
    )


def _leak(plan: DeployPlan, leak: Leak) -> str:
    which = "views" if leak.kind == "view" else "tables"
    return (
        f"{leak} (policies.staging_leak.{which}: error): select what is read there, so that {plan.target} has its own; "
        f"or set untagged_changes to build_in_prod, or to read_existing where {plan.target} has it already"
    )
