"""A picture of what is built from what: from sources at the left to what reads the results at the right."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dbx_cd.html.parts import fold, join, paragraph, table

_WIDTH, _ROW, _HEIGHT, _GAP = 760, 44, 34, 30
_COLUMNS, _ROWS = 5, 14
"""How many columns a band of the picture has at most, and how many boxes a column."""
_LETTER = 6.8
_LETTERS = {"new": "N", "modified": "M", "removed": "R", "unchanged": "="}


@dataclass(frozen=True)
class Box:
    """One node of the picture."""

    key: str
    """What edges call it."""
    label: str
    """Its name."""
    kind: str
    """What it is, such as `model`, `source` or `exposure`; a source is at the left, an exposure at the right."""
    mark: str = ""
    """`new`, `modified`, `removed` or `unchanged`; "" for what is not built."""
    place: str = ""
    """Where it is read, such as `production`; "" where that goes without saying."""
    elsewhere: bool = False
    """Whether that place needs a look: it gets a dashed border."""


@dataclass(frozen=True)
class _Placed:
    box: Box
    x: float
    y: float
    width: float


def lineage_picture(boxes: Sequence[Box], edges: Collection[tuple[str, str]], *, most: int = 60) -> Markup:
    """The picture, a legend, what was left out, and all of it as text; nothing for no boxes.

    Args:
        boxes: the nodes.
        edges: pairs of keys: what is read, and what reads it.
        most: how many boxes are drawn; those that change and their neighbours go first.
    """
    if not boxes:
        return Markup("")
    chosen = _chosen(boxes, edges, most)
    kept = {box.key for box in chosen}
    drawn = [(a, b) for a, b in edges if a in kept and b in kept and a != b]
    placed, height = _placed(_columns(chosen, drawn), {box.key: box for box in chosen})
    about = f"{len(chosen)} nodes and {len(drawn)} edges"
    left_out = [box for box in boxes if box.key not in kept]
    picture = Markup(
        '<svg viewBox="0 0 {0} {1:.0f}" width="1100" role="img" aria-label="{2}"><title>{2}</title>{3}</svg>'
    ).format(
        _WIDTH, height, about, join([*(_edge(placed[a], placed[b]) for a, b in drawn), *map(_drawn, placed.values())])
    )
    legend = paragraph("N new, M modified, R removed, = unchanged, no letter: not built; dashed: read elsewhere.")
    more = [paragraph(f"Not drawn: {_counted(left_out)}.")] if left_out else []
    return join([picture, legend, *more, _as_text(boxes, edges)])


def _chosen(boxes: Sequence[Box], edges: Collection[tuple[str, str]], most: int) -> list[Box]:
    changed = {box.key for box in boxes if box.mark not in ("", "unchanged")}
    near = {key for edge in edges if changed & set(edge) for key in edge}
    ranked = sorted(
        boxes, key=lambda box: (box.key not in changed, not box.elsewhere, box.key not in near, not box.mark)
    )
    kept = {box.key for box in ranked[:most]}
    return [box for box in boxes if box.key in kept]


def _columns(boxes: Sequence[Box], edges: Sequence[tuple[str, str]]) -> list[list[str]]:
    """The keys by column: by the longest way to them, exposures last; a full column goes on in the next."""
    parents: dict[str, list[str]] = {box.key: [] for box in boxes}
    for a, b in edges:
        parents[b].append(a)
    depth: dict[str, int] = dict.fromkeys(parents, 0)
    for _ in parents:  # so often at most: a circle, which dbt has not, ends too
        deeper = {key: max((depth[p] + 1 for p in above), default=0) for key, above in parents.items()}
        if deeper == depth:
            break
        depth = deeper
    last = max(depth.values(), default=0)
    for box in boxes:
        if box.kind == "exposure" and parents[box.key]:
            depth[box.key] = max(last, 1)
    place: dict[str, int] = {}

    def middle(key: str) -> float:
        above = [place[parent] for parent in parents[key] if parent in place]
        return sum(above) / len(above) if above else len(parents)

    columns: list[list[str]] = []
    for at in sorted(set(depth.values())):
        column = sorted((key for key in parents if depth[key] == at), key=middle)
        place |= {key: n for n, key in enumerate(column)}
        columns += [column[n : n + _ROWS] for n in range(0, len(column), _ROWS)]
    return columns


def _placed(columns: list[list[str]], boxes: Mapping[str, Box]) -> tuple[dict[str, _Placed], float]:
    """Where each box is: bands of columns below one another, and the height of all."""
    placed: dict[str, _Placed] = {}
    top = 4.0
    for first in range(0, len(columns), _COLUMNS):
        band = columns[first : first + _COLUMNS]
        step = min(_WIDTH / len(band), 230.0)
        rows = max(map(len, band))
        for n, column in enumerate(band):
            start = top + (rows - len(column)) * _ROW / 2
            for row, key in enumerate(column):
                placed[key] = _Placed(boxes[key], n * step + 2, start + row * _ROW, step - _GAP)
        top += rows * _ROW + 16
    return placed, top


def _drawn(at: _Placed) -> Markup:
    box = at.box
    letter = _LETTERS.get(box.mark, "")
    label = f"{letter} {box.label}" if letter else box.label
    fits = int((at.width - 8) / _LETTER)
    below = ", ".join(filter(None, (box.place, box.kind)))
    whole = ", ".join(filter(None, (box.label, box.kind, box.mark, box.place)))
    classes = " ".join(filter(None, (box.mark, "elsewhere" if box.elsewhere else "")))
    return Markup(
        '<g><title>{}</title><rect class="{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{}" rx="4"/>'
        '<text x="{:.1f}" y="{:.1f}">{}</text><text class="quiet" x="{:.1f}" y="{:.1f}">{}</text></g>'
    ).format(
        *(whole, classes, at.x, at.y, at.width, _HEIGHT),
        *(at.x + 5, at.y + 14, _cut(label, fits), at.x + 5, at.y + 28, _cut(below, fits)),
    )


def _edge(a: _Placed, b: _Placed) -> Markup:
    x1, y1, x2, y2 = a.x + a.width, a.y + _HEIGHT / 2, b.x, b.y + _HEIGHT / 2
    bend = max(20.0, min(abs(x2 - x1) / 2, 60.0))
    return Markup('<path class="edge" d="M{:.1f} {:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}"/>').format(
        x1, y1, x1 + bend, y1, x2 - bend, y2, x2, y2
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _counted(boxes: Sequence[Box]) -> str:
    kinds = Counter(" ".join(filter(None, (box.mark, box.kind))) for box in boxes)
    return ", ".join(f"{count} {kind}{'s' * (count > 1)}" for kind, count in sorted(kinds.items()))


def _as_text(boxes: Sequence[Box], edges: Collection[tuple[str, str]]) -> Markup:
    labels = {box.key: box.label for box in boxes}
    reads: dict[str, list[str]] = {}
    for a, b in edges:
        reads.setdefault(b, []).append(labels.get(a, a))
    rows = [(box.label, box.kind, box.mark, box.place, ", ".join(sorted(reads.get(box.key, ())))) for box in boxes]
    return fold("As text", table(("node", "kind", "change", "read in", "reads"), rows))
