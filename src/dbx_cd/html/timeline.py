"""A picture of what ran when, a row for each thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dbx_cd.html.parts import join

_WIDTH, _LEFT, _ROW = 760.0, 24.0, 24
_LETTER = 6.6
"""How wide a letter is, about, in a picture's own units."""
_SHORT = 1.5
_MOST_BARS = 1000


@dataclass(frozen=True)
class Span:
    """Something that ran in one row."""

    name: str
    """What ran."""
    row: int
    """The row, from 1."""
    start: float
    """When it began, in seconds."""
    seconds: float
    """How long it took."""
    note: str = ""
    """More about it, shown where it is pointed at."""
    failed: bool = False
    """Whether it failed."""
    slowest: int = 0
    """Its place in the slowest chain, from 1; 0 where it is not in it."""


@dataclass(frozen=True)
class _Short:
    """Neighbours in a row that are too short to be seen one by one."""

    row: int
    start: float
    end: float
    count: int


def timeline_picture(spans: Sequence[Span], *, seconds: float, before: float | None = None) -> Markup:
    """The picture; nothing for no spans.

    What is too short to be seen is drawn together with its neighbours, unless it failed or is in the slowest chain.

    Args:
        spans: what ran.
        seconds: how long all of it took.
        before: how long it took the time before, drawn as a line.
    """
    if not spans:
        return Markup("")
    whole = max(seconds, before or 0.0, 0.001)
    scale = (_WIDTH - _LEFT - 2) / whole
    short = _SHORT
    while len(drawn := _drawn(spans, short / scale)) > _MOST_BARS and short < _WIDTH:
        short *= 2
    rows = max(span.row for span in spans)
    merged = sum(part.count for part in drawn if isinstance(part, _Short))
    about = f"{len(spans)} bars in {rows} rows, {seconds:.1f} seconds"
    if merged:
        about += f"; {merged} that are too short to be seen are drawn together"
    parts = [
        *_scale(whole, scale, rows),
        *(_bar(part, scale) if isinstance(part, Span) else _together(part, scale) for part in drawn),
        *([_line_before(before, scale, rows)] if before else []),
    ]
    height = rows * _ROW + 22
    return Markup(
        '<svg viewBox="0 0 {0:.0f} {1}" width="1100" role="img" aria-label="{2}"><title>{2}</title>{3}</svg>'
    ).format(_WIDTH, height, about, join(parts))


def _drawn(spans: Sequence[Span], short: float) -> list[Span | _Short]:
    """The spans, with neighbours that take less than so many seconds put together."""
    drawn: list[Span | _Short] = []
    for span in sorted(spans, key=lambda span: (span.row, span.start)):
        last = drawn[-1] if drawn else None
        if span.seconds >= short or span.failed or span.slowest:
            drawn.append(span)
        elif isinstance(last, _Short) and last.row == span.row and span.start - last.end < short:
            drawn[-1] = _Short(last.row, last.start, span.start + span.seconds, last.count + 1)
        else:
            drawn.append(_Short(span.row, span.start, span.start + span.seconds, 1))
    return drawn


def _bar(span: Span, scale: float) -> Markup:
    x, y, width = _LEFT + span.start * scale, (span.row - 1) * _ROW + 2, max(span.seconds * scale, 1.0)
    label = f"{span.slowest} {span.name}" if span.slowest else span.name
    fits = int(width / _LETTER) - 1
    shown = label if len(label) <= fits else f"{label[: fits - 1]}…" if fits > 3 else str(span.slowest or "")
    text = (
        Markup('<text x="{:.1f}" y="{}">{}</text>').format(x + 3, y + 14, shown)
        if shown and width >= _LETTER * (len(shown) + 0.5)
        else ""
    )
    classes = f"bar{' failed' * span.failed}{' slowest' * bool(span.slowest)}"
    note = f"{span.name}: {span.seconds:.1f} s{f', {span.note}' if span.note else ''}"
    return Markup('<g><title>{}</title><rect class="{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>{}</g>').format(
        note, classes, x, y, width, _ROW - 5, text
    )


def _together(part: _Short, scale: float) -> Markup:
    count = f"{part.count} short one{'s' * (part.count > 1)}"
    return Markup(
        '<g><title>{} in {:.1f} s</title><rect class="short" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/></g>'
    ).format(
        *(count, part.end - part.start, _LEFT + part.start * scale, (part.row - 1) * _ROW + 7),
        *(max((part.end - part.start) * scale, 1.0), _ROW - 15),
    )


def _scale(whole: float, scale: float, rows: int) -> Iterator[Markup]:
    """The rows' numbers, and the seconds below."""
    bottom = rows * _ROW
    for row in range(1, rows + 1):
        yield Markup('<text class="quiet" x="2" y="{}">{}</text>').format((row - 1) * _ROW + 16, row)
    step = next(s * 10**power for power in range(-2, 8) for s in (1, 2, 5) if whole / (s * 10**power) <= 8)
    for tick in range(int(whole / step) + 1):
        x = _LEFT + tick * step * scale
        yield Markup('<line class="grid" x1="{0:.1f}" x2="{0:.1f}" y1="0" y2="{1}"/>').format(x, bottom)
        anchor = "end" if x > _WIDTH - 40 else "start"
        yield Markup('<text class="quiet" x="{:.1f}" y="{}" text-anchor="{}">{:g} s</text>').format(
            x, bottom + 14, anchor, tick * step
        )


def _line_before(before: float, scale: float, rows: int) -> Markup:
    x = _LEFT + before * scale
    return Markup(
        "<g><title>the time before: {0:.1f} s</title>"
        '<line class="before" x1="{1:.1f}" x2="{1:.1f}" y1="0" y2="{2}"/></g>'
    ).format(before, x, rows * _ROW)
