"""Changes, each marked by `+`, `-` or `~` and coloured alike: the colour alone says nothing."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from dbx_cd.html.parts import join

_CLASSES = {"+": "plus", "-": "minus", "~": "changed", "@": "place"}
_NAMES = {"+": "added", "-": "removed", "~": "changed"}


def marked(line: str) -> Markup:
    """A line in the colour of its first character."""
    return Markup('<span class="{}"{}>{}</span>').format(
        _CLASSES.get(line[:1], "same"),
        Markup(' title="{}"').format(_NAMES[line[0]]) if line[:1] in _NAMES else "",
        line,
    )


def marked_list(lines: Sequence[str]) -> Markup:
    """Such lines as a list; nothing for none."""
    if not lines:
        return Markup("")
    return Markup('<ul class="marked">{}</ul>').format(
        join(Markup("<li>{}</li>").format(marked(line)) for line in lines)
    )


def code_diff(lines: Sequence[str], *, left_out: int = 0) -> Markup:
    """The lines of a unified diff, and how many more there are; nothing for none."""
    if not lines and not left_out:
        return Markup("")
    shown = Markup("\n").join(marked(line) for line in lines)
    more = Markup('\n<span class="place">{} more lines are left out</span>').format(left_out) if left_out else ""
    return Markup('<pre class="diff">{}{}</pre>').format(shown, more)
