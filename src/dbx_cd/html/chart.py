"""Small pictures of numbers."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup


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
        '<polyline fill="none" stroke="var(--accent,#2f6fab)" stroke-width="1.5" points="{}"/></svg>'
    ).format(width, height, width + 2, height + 2, points)
