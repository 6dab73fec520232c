"""A number as a small picture: where it is now, where its baseline was, and the band it may be in."""

from __future__ import annotations

from markupsafe import Markup

from dbx_cd.smoke.numbers import Number, as_decimal, digits, is_finite, position, within

_WIDTH, _HEIGHT, _MARGIN = 160, 26, 8


def band(observed: Number, *, baseline: Number | None, low: Number | None, high: Number | None) -> Markup:
    """The observed value as a dot and the baseline as a line over the allowed band; open ends run to the edge.

    Nothing where the value is no finite number; a baseline or a limit that is none is left out.
    """
    if not is_finite(observed):
        return Markup("")
    baseline, low, high = (value if is_finite(value) else None for value in (baseline, low, high))
    known = [as_decimal(value) for value in (observed, baseline, low, high) if value is not None]
    least, most = min(known), max(known)

    def x(value: Number) -> float:
        return _MARGIN + position(value, least, most) * (_WIDTH - 2 * _MARGIN)

    left, right = 0.0 if low is None else x(low), float(_WIDTH) if high is None else x(high)
    line = "" if baseline is None else _baseline(x(baseline))
    return Markup(
        '<svg width="{w}" height="{h}" viewBox="0 0 {w} {h}" role="img"><title>{title}</title>'
        '<rect x="{left:.1f}" y="7" width="{width:.1f}" height="12" fill="#cfe8d8"/>{line}'
        '<circle cx="{dot:.1f}" cy="13" r="5" fill="{colour}"/></svg>'
    ).format(
        w=_WIDTH,
        h=_HEIGHT,
        title=_title(observed, baseline=baseline, low=low, high=high),
        left=left,
        width=max(right - left, 1.0),
        line=line,
        dot=x(observed),
        colour="#1a7f4b" if within(observed, low, high) else "#b3261e",
    )


def _baseline(x: float) -> Markup:
    return Markup('<line x1="{0:.1f}" x2="{0:.1f}" y1="3" y2="23" stroke="#1b2733" stroke-width="2"/>').format(x)


def _title(observed: Number, *, baseline: Number | None, low: Number | None, high: Number | None) -> str:
    words = (("now", observed), ("baseline", baseline), ("at least", low), ("at most", high))
    return ", ".join(f"{word} {digits(value)}" for word, value in words if value is not None)
