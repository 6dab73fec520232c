"""The parts of the page of a deploy plan, each made of what it shows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from markupsafe import Markup

from dbx_cd import html
from dbx_cd.dbt.changes import NodeChange
from dbx_cd.html.lineage import Box, lineage_picture
from dbx_cd.plan.leaks import Leak
from dbx_cd.plan.loss import Loss
from dbx_cd.plan.resolution import Place, Resolution

_CHANGED_FIRST = ("new", "modified", "environment", "unchanged")


def warnings_part(refused: Sequence[str], mind: Sequence[str]) -> Iterator[Markup]:
    """Why it must not be done, and what else to know before agreeing."""
    for line in refused:
        yield html.paragraph(html.badge("error"), " ", line)
    for line in mind:
        yield html.paragraph(html.badge("warn"), " ", line)


def lines_part(title: str, lines: Sequence[str]) -> Markup:
    """Lines under a title; nothing where there are none."""
    return html.table((title,), [(line,) for line in lines]) if lines else Markup("")


def losses_part(losses: Sequence[Loss], *, target: str, consent: Collection[str]) -> Markup:
    """What the target loses; first what somebody has to agree to."""
    if not losses:
        return html.paragraph(f"{target} loses nothing.")
    ordered = sorted(losses, key=lambda loss: not loss.destructive)
    rows = [
        (html.badge("consent" if loss.name in consent else "told"), loss.name, loss.detail,
         ", ".join((*loss.exposures, *loss.readers)))
        for loss in ordered
    ]  # fmt: skip
    return html.join([html.paragraph(f"{target} loses:"), html.table(("", "name", "what", "read by"), rows)])


def leaks_part(leaks: Sequence[Leak], *, target: str, state: str) -> Markup:
    """What of the target will refer to what it defers to."""
    if not leaks:
        return Markup("")
    rows = [(leak.relation, leak.refers_to, leak.through, ", ".join(leak.path)) for leak in leaks]
    table = html.table(("relation", "refers to", "by", "through"), rows)
    return html.join([html.paragraph(f"In {target} these will refer to {state} from then on:"), table])


def resolutions_part(found: Sequence[Resolution], places: Mapping[Place, str]) -> Markup:
    """Where the refs resolve that leave the selection."""
    if not found:
        return html.paragraph("All that it reads, but for sources, it builds itself.")
    rows = [
        (r.parent, places[r.place], r.relation, "changed" if r.changed else "", ", ".join(r.readers), r.reason)
        for r in found
    ]
    table = html.table(("read but not built", "from", "relation", "", "by", "since"), rows)
    return html.fold(f"{len(rows)} parents that are not built: where their refs resolve", table, opened=True)


def nodes_part(
    nodes: Sequence[NodeChange], removed: Sequence[str], renamed: Mapping[str, str], *, counted: str, against: str
) -> Markup:
    """What is built, what changes first."""
    order = {change: place for place, change in enumerate(_CHANGED_FIRST)}
    rows = [
        (html.badge(node.change), node.unique_id, ", ".join(node.reasons))
        for node in sorted(nodes, key=lambda node: (order[node.change], node.unique_id))
    ]
    rows += [(html.badge("removed"), name, f"now {renamed[name]}" if name in renamed else "") for name in removed]
    table = html.table(("", "node", "what differs"), rows)
    return html.fold(f"{len(nodes)} nodes: {counted}; compared with {against}", table)


def lineage_part(
    edges: Collection[tuple[str, str]],
    nodes: Sequence[NodeChange],
    found: Sequence[Resolution],
    places: Mapping[Place, str],
) -> Markup:
    """A picture of what changes and of what is next to it."""
    marks = {node.unique_id: node.change for node in nodes}
    read = {r.parent: r.place for r in found}
    names = sorted({name for edge in edges for name in edge})
    boxes = [
        Box(
            name,
            name.split(".", 2)[-1],  # with the version of a model, and the source of a table
            name.split(".")[0],
            mark="unchanged" if marks.get(name) == "environment" else marks.get(name, ""),
            place=places[read[name]] if name in read else "",
            elsewhere=read.get(name) in ("state", "nowhere"),
        )
        for name in names
    ]
    return html.fold("What it touches", lineage_picture(boxes, edges)) if boxes else Markup("")
