"""Lists in sentences: the first items by themselves, and how many more there are."""

from __future__ import annotations

from collections.abc import Sequence


def listed(items: Sequence[object], *, most: int, separator: str = ", ") -> str:
    """The first items, and the number of those left out: `a, b and 3 more`, or `a; b; and 3 more`.

    Args:
        items: what is listed, in its order.
        most: how many are written out.
        separator: what stands between items; items that are clauses of their own have "; ".
    """
    shown = separator.join(str(item) for item in items[:most])
    if len(items) <= most:
        return shown
    return f"{shown}{' ' if separator == ', ' else separator}and {len(items) - most} more"
