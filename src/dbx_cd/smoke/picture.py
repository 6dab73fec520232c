"""A number as a small picture: where it is now, where its baseline was, and the band it may be in."""

from __future__ import annotations

from markupsafe import Markup

_WIDTH, _HEIGHT, _MARGIN = 160, 26, 8


def band(observed: float, *, baseline: float | None, low: float | None, high: float | None) -> Markup:
    """The observed value as a dot and the baseline as a line over the allowed band; open ends run to the edge."""
    known = [value for value in (observed, baseline, low, high) if value is not None]
    least, most = min(known), max(known)
    span = (most - least) or abs(most) or 1.0

    def x(value: float) -> float:
        return _MARGIN + (value - least) / span * (_WIDTH - 2 * _MARGIN)

    left, right = 0.0 if low is None else x(low), float(_WIDTH) if high is None else x(high)
    allowed = (low is None or observed >= low) and (high is None or observed <= high)
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
        colour="#1a7f4b" if allowed else "#b3261e",
    )


def _baseline(x: float) -> Markup:
    return Markup('<line x1="{0:.1f}" x2="{0:.1f}" y1="3" y2="23" stroke="#1b2733" stroke-width="2"/>').format(x)


def _title(observed: float, *, baseline: float | None, low: float | None, high: float | None) -> str:
    words = [f"now {observed:g}"]
    words += [] if baseline is None else [f"baseline {baseline:g}"]
    words += [] if low is None else [f"at least {low:g}"]
    words += [] if high is None else [f"at most {high:g}"]
    return ", ".join(words)
