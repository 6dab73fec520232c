"""Small HTML parts made from plain values.

Everything is built with `markupsafe.Markup`, which escapes each value put into a template: a hostile model name or
message stays text. This module knows no record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

_STYLE = Markup(
    "<style>"
    ".dbxcd{font:14px/1.45 system-ui,sans-serif;color:#1b2733;max-width:72rem}"
    ".dbxcd h1{font-size:1.5rem}.dbxcd h2{font-size:1.15rem;margin:1.2rem 0 .4rem}"
    ".dbxcd table{border-collapse:collapse;margin:.4rem 0}"
    ".dbxcd th,.dbxcd td{border-bottom:1px solid #d7dde4;padding:.25rem .7rem;text-align:left;vertical-align:top}"
    ".dbxcd th{background:#f3f5f8}"
    ".dbxcd .badge{border-radius:.6rem;padding:.05rem .55rem;color:#fff;background:#5c6b7a;white-space:nowrap}"
    ".dbxcd .good{background:#1a7f4b}.dbxcd .bad{background:#b3261e}.dbxcd .warn{background:#9a6700}"
    ".dbxcd details{margin:.3rem 0}.dbxcd pre{background:#f3f5f8;padding:.5rem;overflow:auto;white-space:pre-wrap}"
    "</style>"
)

_TONES = {
    **dict.fromkeys(("pass", "success", "ok", "deployed", "approved", "restorable", "done", "yes"), "good"),
    **dict.fromkeys(("fail", "error", "failed", "rejected", "broken", "impossible", "stale", "no"), "bad"),
    **dict.fromkeys(("runtime error", "partial success"), "bad"),
    **dict.fromkeys(("warn", "skipped", "waiting", "superseded", "expired", "rebuild", "undrop"), "warn"),
}


def trusted(markup: str) -> Markup:
    """HTML that this module's functions made earlier, such as a record's `to_html()`; it is not escaped again."""
    return Markup(markup)


def join(parts: Iterable[object]) -> Markup:
    """The parts one after another; what is not already Markup is escaped."""
    return Markup("").join(parts)  # type: ignore[arg-type]


def badge(status: str) -> Markup:
    """A status word in its colour."""
    return Markup('<span class="badge {}">{}</span>').format(_TONES.get(status, ""), status)


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table; None becomes an empty cell."""
    head = join(Markup("<th>{}</th>").format(h) for h in headers)
    body = join(
        Markup("<tr>{}</tr>").format(join(Markup("<td>{}</td>").format("" if cell is None else cell) for cell in row))
        for row in rows
    )
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>").format(head, body)


def fold(summary: object, body: object, *, opened: bool = False) -> Markup:
    """A part that opens on a click."""
    return Markup("<details{}><summary>{}</summary>{}</details>").format(
        Markup(" open") if opened else "", summary, body
    )


def code(text: str) -> Markup:
    """Text as it is, in a fixed-width block."""
    return Markup("<pre>{}</pre>").format(text)


def paragraph(*parts: object) -> Markup:
    """One paragraph of the parts."""
    return Markup("<p>{}</p>").format(join(parts))


def section(title: str, *parts: object) -> Markup:
    """A titled part with the style sheet, fit for `displayHTML`."""
    return Markup('{}<div class="dbxcd"><h2>{}</h2>{}</div>').format(_STYLE, title, join(parts))


def page(title: str, *parts: object) -> Markup:
    """A whole document."""
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{}</title>{}</head>'
        '<body><div class="dbxcd"><h1>{}</h1>{}</div></body></html>'
    ).format(title, _STYLE, title, join(parts))


def sparkline(values: Sequence[float], *, width: int = 120, height: int = 24) -> Markup:
    """The values as a small line, in pixels; nothing for fewer than two values."""
    if len(values) < 2:
        return Markup("")
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    step = width / (len(values) - 1)
    points = " ".join(f"{i * step:.1f},{height - (v - low) / span * height:.1f}" for i, v in enumerate(values))
    return Markup(
        '<svg width="{}" height="{}" viewBox="-1 -1 {} {}" role="img">'
        '<polyline fill="none" stroke="#2f6fab" stroke-width="1.5" points="{}"/></svg>'
    ).format(width, height, width + 2, height + 2, points)
