"""The plan of a release that somebody has agreed to: made again, it must say the same, whatever data came since."""

from __future__ import annotations

from dbx_cd.plan.deploy_plan import DeployPlan
from dbx_cd.release.reading import LogReading

_SEALED = "deploy plan"


def agreed_plan(log: LogReading, target: str) -> DeployPlan | None:
    """The plan that the newest request about a target seals, where that is approved; None where there is none.

    Args:
        log: a reading of the release. Whether an approval counts is not judged here: whoever builds judges it.
        target: the gated target.
    """
    assert log.release is not None
    events = log.of(log.release.id, kinds=("approval_requested", "approved"))
    asked = [e.payload for e in events if e.kind == "approval_requested" and e.payload.get("target") == target]
    seals = {e.payload.get("seal") for e in events if e.kind == "approved"}
    if not asked or asked[-1].get("seal") not in seals:
        return None
    digest = (asked[-1].get("sealed") or {}).get(_SEALED)
    return next((p for p in reversed(log.all(DeployPlan)) if p.target == target and p.digest == digest), None)
