"""The deploy plan as people read it: what must be decided first, then what is built, from what, at which loss."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from markupsafe import Markup

from dbx_cd import html

if TYPE_CHECKING:
    from dbx_cd.plan.deploy_plan import DeployPlan

_CHANGED_FIRST = ("new", "modified", "environment", "unchanged")


def plan_part(plan: DeployPlan) -> Markup:
    """The plan as a titled part, fit for `displayHTML`."""
    parts = [*_warnings(plan), *_lost(plan), *_leaking(plan), _read(plan), _built(plan), _time(plan)]
    return html.section(f"What the deploy to {plan.target} will do", *parts)


def _warnings(plan: DeployPlan) -> Iterator[Markup]:
    for line in plan.refused:
        yield html.paragraph(html.badge("error"), " ", line)
    for line in plan.mind:
        yield html.paragraph(html.badge("warn"), " ", line)
    if plan.untagged:
        names = ", ".join(plan.untagged)
        yield html.paragraph(
            html.badge("warn"), f" Above what ships, and not what {plan.target} has, but does not ship: {names}"
        )


def _lost(plan: DeployPlan) -> Iterator[Markup]:
    if not plan.losses:
        return
    rows = [
        (
            loss.name,
            loss.detail,
            html.badge("consent" if loss.destructive else "told"),
            ", ".join((*loss.exposures, *loss.readers)),
        )
        for loss in plan.losses
    ]
    yield html.paragraph(f"{plan.target} would lose:")
    yield html.table(("loss", "what", "", "read by"), rows)


def _leaking(plan: DeployPlan) -> Iterator[Markup]:
    if plan.leaks:
        yield html.paragraph(f"In {plan.target} these would refer to {plan.state_target} from then on:")
        yield html.table(
            ("relation", "refers to", "by"), [(leak.relation, leak.refers_to, leak.through) for leak in plan.leaks]
        )


def _read(plan: DeployPlan) -> Markup:
    if not plan.resolutions:
        return html.paragraph(
            f"Everything that it reads, but for sources, is built in {plan.target} by this very deploy."
        )
    places = {"target": plan.target, "state": plan.state_target, "nowhere": "nowhere"}
    rows = [
        (r.parent, places[r.place], r.relation, "changed" if r.changed else "", ", ".join(r.readers), r.reason)
        for r in plan.resolutions
    ]
    table = html.table(("read but not built", "from", "relation", "", "by", "since"), rows)
    return html.fold(f"{len(rows)} parents that are not built: where their refs resolve", table, opened=True)


def _built(plan: DeployPlan) -> Markup:
    order = {change: place for place, change in enumerate(_CHANGED_FIRST)}
    nodes = sorted(plan.nodes, key=lambda node: (order.get(node.change, 0), node.unique_id))
    rows = [(html.badge(node.change), node.unique_id, ", ".join(node.reasons)) for node in nodes]
    rows += [(html.badge("removed"), name, f"now {plan.renamed[name]}" if name in plan.renamed else "")
             for name in plan.removed]  # fmt: skip
    against = f"{plan.target}/{plan.baseline}" if plan.baseline else f"nothing: {plan.target} has no build in place"
    table = html.table(("", "node", "what differs"), rows)
    return html.fold(f"{len(plan.nodes)} nodes: {plan.counted()}; compared with {against}", table)


def _time(plan: DeployPlan) -> Markup:
    return html.paragraph(f"Time, by the last builds: {plan.estimate or 'not known'}")
