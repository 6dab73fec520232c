"""Small HTML parts made from plain values.

Everything is built with `markupsafe.Markup`, which escapes each value put into a template: a hostile model name or
message stays text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

_TONES = {
    **dict.fromkeys(("pass", "success", "ok", "deployed", "approved", "restorable", "done", "yes", "new"), "good"),
    **dict.fromkeys(("fail", "error", "failed", "rejected", "broken", "impossible", "stale", "no"), "bad"),
    **dict.fromkeys(("runtime error", "partial success", "removed", "consent"), "bad"),
    **dict.fromkeys(("warn", "skipped", "waiting", "superseded", "expired", "rebuild", "undrop"), "warn"),
    **dict.fromkeys(("modified", "environment", "told"), "warn"),
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
