"""How long Delta keeps what a table was: two table properties, with Delta's defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

# What VACUUM and log cleaning go by, with Delta's defaults (documentation of table properties).
FILES_KEPT = "delta.deletedFileRetentionDuration"
LOG_KEPT = "delta.logRetentionDuration"
RETENTION = {FILES_KEPT: timedelta(days=7), LOG_KEPT: timedelta(days=30)}

# Properties of these names say how a table is kept, and nothing of what is in it. The second is this library's own: the
# value that the first had before a version of today was made; see `rollback.refresh`.
CHECKPOINT_INTERVAL = "delta.checkpointInterval"
CHECKPOINT_INTERVAL_BEFORE = "dbx_cd.checkpoint_interval"
DEFAULT_CHECKPOINT_INTERVAL = 10

_UNITS = {
    "week": 7 * 86400, "day": 86400, "hour": 3600, "minute": 60, "second": 1, "millisecond": 1e-3, "microsecond": 1e-6,
}  # fmt: skip
_PART = r"([+-]?)\s*(\d+(?:\.\d*)?|\.\d+)\s+(week|day|hour|minute|second|millisecond|microsecond)s?\b"
_LONGEST = timedelta(days=36500)
"""As good as for ever: Delta takes longer ones (measured), and dates end."""


def retention(properties: Mapping[str, str], name: str) -> timedelta:
    """How long a retention property keeps things: its value, or Delta's default where it is unset.

    Of a value that cannot be read nothing is known, so nothing is promised.
    """
    if not properties.get(name):
        return RETENTION[name]
    return parse_interval(properties[name]) or timedelta(0)


def unreadable_retention(properties: Mapping[str, str]) -> dict[str, str]:
    """The retention properties whose value cannot be read: how long they keep things is not known."""
    found = {name: properties.get(name) for name in RETENTION}
    return {name: value for name, value in found.items() if value and parse_interval(value) is None}


def shorter_retention(name: str, before: Mapping[str, str], after: Mapping[str, str] | None) -> timedelta:
    """How long a retention property keeps things at least, of a table whose properties a build may change.

    Delta goes by the properties of the newest version (measured): those after the build, where it succeeds.
    """
    kept = retention(before, name)
    return kept if after is None else min(kept, retention(after, name))


def parse_interval(text: str) -> timedelta | None:
    """`interval 7 days`, `168 hours` or `interval 8 days -24 hours` as a duration; None for anything else.

    Each part may have a sign (measured on Delta 4.4). Months and years have no fixed length, and of less than nothing
    there is no retention; Delta refuses both in retention properties as well.
    """
    body = text.strip().lower().removeprefix("interval").strip()
    found = re.findall(_PART, body)
    if not found or re.sub(_PART, "", body).strip():
        return None
    seconds = sum(float(f"{sign}{number}") * _UNITS[unit] for sign, number, unit in found)
    return timedelta(seconds=min(seconds, _LONGEST.total_seconds())) if seconds >= 0 else None


def in_days(duration: timedelta) -> str:
    """A duration for people."""
    return f"{duration / timedelta(days=1):g} days"
