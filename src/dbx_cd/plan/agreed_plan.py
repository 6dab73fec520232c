"""The plan of a release that somebody has agreed to: made again, it must say the same, whatever data came since."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dbx_cd.plan.deploy_plan import DeployPlan
from dbx_cd.release.reading import LogReading

SEALED_AS = "deploy plan"
"""What the plan's digest is called among the parts of a seal."""


def sealed_plans(log: LogReading, target: str, sealed: Mapping[str, str]) -> Iterator[DeployPlan]:
    """The logged plans of a target that have the digest among the parts of a seal, the newest first.

    Args:
        log: a reading of the release.
        target: the gated target.
        sealed: the digest of each part, by its name; none is of a plan in requests of wheels that made none.
    """
    return (p for p in reversed(log.all(DeployPlan)) if p.target == target and p.digest == sealed.get(SEALED_AS))


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
    return next(sealed_plans(log, target, asked[-1].get("sealed") or {}), None)
