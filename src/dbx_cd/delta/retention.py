"""How long Delta keeps what a table was: two table properties, with Delta's defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

# What VACUUM and log cleaning go by, with Delta's defaults (documentation of table properties).
RETENTION = {
    "delta.deletedFileRetentionDuration": timedelta(days=7),
    "delta.logRetentionDuration": timedelta(days=30),
}

_UNITS = {"week": 7 * 86400, "day": 86400, "hour": 3600, "minute": 60, "second": 1}


def retention(properties: Mapping[str, str], name: str) -> timedelta:
    """How long a retention property keeps things: its value, or Delta's default where it is unset or unreadable."""
    return parse_interval(properties.get(name, "")) or RETENTION[name]


def parse_interval(text: str) -> timedelta | None:
    """`interval 7 days`, `168 hours` or `interval 1 week 2 days` as a duration; None for anything else.

    Months and years have no fixed length; Delta refuses them in retention properties as well.
    """
    body = text.strip().lower().removeprefix("interval").strip()
    found = re.findall(r"(\d+)\s+(week|day|hour|minute|second)s?\b", body)
    if not found or re.sub(r"(\d+)\s+(week|day|hour|minute|second)s?\b", "", body).strip():
        return None
    return timedelta(seconds=sum(int(n) * _UNITS[unit] for n, unit in found))
