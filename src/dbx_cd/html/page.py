"""What parts are shown in: a titled section for a notebook, or a whole document, each with the one style sheet."""

from __future__ import annotations

from markupsafe import Markup

from dbx_cd.html.parts import join

# One style sheet for all parts, by day and by night. Nothing is wider than the page: long names and code are broken.
_STYLE = Markup(
    "<style>"
    ".dbxcd{color-scheme:light dark;--ink:#1b2733;--paper:#fff;--soft:#f3f5f8;--line:#d7dde4;--faint:#5c6b7a;"
    "--good:#1a7f4b;--bad:#b3261e;--warn:#8a5d00;--plain:#5c6b7a;--accent:#2f6fab;"
    "--plus:#0f5132;--plus-bg:#e3f4ea;--minus:#842029;--minus-bg:#fde7e5;--changed:#664d03;--changed-bg:#fff3d6;"
    "font:14px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:72rem;"
    "overflow-wrap:anywhere}"
    "@media(prefers-color-scheme:dark){.dbxcd{--ink:#e4e9ee;--paper:#14191f;--soft:#1f262e;--line:#38424d;"
    "--faint:#9fadba;--good:#2c9c63;--bad:#d0453b;--warn:#b07b14;--plain:#6c7c8c;--accent:#6aa9e0;"
    "--plus:#a3e5bd;--plus-bg:#12351f;--minus:#f5b5b0;--minus-bg:#44191a;--changed:#f0d58a;--changed-bg:#3d2f05}"
    "body:has(>.dbxcd){background:#14191f}}"
    ".dbxcd h1{font-size:1.5rem}.dbxcd h2{font-size:1.15rem;margin:1.2rem 0 .4rem}"
    ".dbxcd table{border-collapse:collapse;margin:.4rem 0;max-width:100%}"
    ".dbxcd th,.dbxcd td{border-bottom:1px solid var(--line);padding:.25rem .7rem;text-align:left;vertical-align:top}"
    ".dbxcd th{background:var(--soft);overflow-wrap:normal}"
    ".dbxcd .badge{border-radius:.6rem;padding:.05rem .55rem;color:#fff;background:var(--plain);white-space:nowrap}"
    ".dbxcd .good{background:var(--good)}.dbxcd .bad{background:var(--bad)}.dbxcd .warn{background:var(--warn)}"
    ".dbxcd details{margin:.3rem 0}.dbxcd summary{cursor:pointer}"
    ".dbxcd pre{background:var(--soft);padding:.5rem;overflow:auto;white-space:pre-wrap}"
    ".dbxcd .plus{color:var(--plus);background:var(--plus-bg)}.dbxcd .minus{color:var(--minus);"
    "background:var(--minus-bg)}.dbxcd .changed{color:var(--changed);background:var(--changed-bg)}"
    ".dbxcd .place{color:var(--faint)}.dbxcd ul.marked{list-style:none;margin:.2rem 0;padding-left:1rem}"
    ".dbxcd svg{display:block;max-width:100%;height:auto}"
    ".dbxcd svg text{font:11px system-ui,sans-serif;fill:var(--ink)}"
    ".dbxcd svg .quiet{fill:var(--faint)}.dbxcd svg .grid{stroke:var(--line)}"
    ".dbxcd svg .edge{fill:none;stroke:var(--faint);opacity:.7}"
    ".dbxcd svg rect{fill:var(--soft);stroke:var(--line)}"
    ".dbxcd svg .bar{fill:var(--accent);fill-opacity:.35;stroke:var(--paper)}"
    ".dbxcd svg .short{fill:var(--faint);stroke:none}"
    ".dbxcd svg .failed{fill:var(--bad);fill-opacity:.6}.dbxcd svg .slowest{stroke:var(--ink);stroke-width:2}"
    ".dbxcd svg .before{stroke:var(--ink);stroke-dasharray:4 3}"
    ".dbxcd svg .new{fill:var(--plus-bg);stroke:var(--plus)}.dbxcd svg .modified{fill:var(--changed-bg);"
    "stroke:var(--changed)}.dbxcd svg .removed{fill:var(--minus-bg);stroke:var(--minus)}"
    ".dbxcd svg .elsewhere{stroke-dasharray:5 3;stroke-width:2}"
    "</style>"
)


def section(title: str, *parts: object) -> Markup:
    """A titled part with the style sheet, fit for `displayHTML`."""
    return Markup('{}<div class="dbxcd"><h2>{}</h2>{}</div>').format(_STYLE, title, join(parts))


def page(title: str, *parts: object) -> Markup:
    """A whole document."""
    return Markup(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>{}</title>{}</head>'
        '<body><div class="dbxcd"><h1>{}</h1>{}</div></body></html>'
    ).format(title, _STYLE, title, join(parts))
