"""What parts are shown in: a titled section for a notebook, or a whole document, each with the one style sheet."""

from __future__ import annotations

from markupsafe import Markup

from dbx_cd.html.parts import join

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


def section(title: str, *parts: object) -> Markup:
    """A titled part with the style sheet, fit for `displayHTML`."""
    return Markup('{}<div class="dbxcd"><h2>{}</h2>{}</div>').format(_STYLE, title, join(parts))


def page(title: str, *parts: object) -> Markup:
    """A whole document."""
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{}</title>{}</head>'
        '<body><div class="dbxcd"><h1>{}</h1>{}</div></body></html>'
    ).format(title, _STYLE, title, join(parts))
