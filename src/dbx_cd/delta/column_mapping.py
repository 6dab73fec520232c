"""The mode of a table's column mapping, and which changes of it Delta refuses, also those that a RESTORE would make."""

from __future__ import annotations

from collections.abc import Mapping

from dbx_cd.relations import RelationName

MODE = "delta.columnMapping.mode"
_REFUSED = {("none", "id"), ("name", "id"), ("id", "name")}
"""Modes from and to, of which RESTORE says DELTA_UNSUPPORTED_COLUMN_MAPPING_MODE_CHANGE (measured on Delta 4.4: every
other pair works; not verified on Databricks)."""


def mode_of(properties: Mapping[str, str]) -> str:
    """The mode by a table's properties."""
    return properties.get(MODE, "none").lower()


def is_refused(*, now: Mapping[str, str], then: Mapping[str, str]) -> bool:
    """Whether RESTORE refuses to make a table of these properties what it was with others."""
    return (mode_of(now), mode_of(then)) in _REFUSED


def way_around(table: RelationName, *, then: Mapping[str, str]) -> str:
    """What to do first where it is refused, for people.

    Replacing a table may change the mode where RESTORE may not, and keeps its history (measured for each refused pair).
    """
    mode = mode_of(then)
    statement = f"CREATE OR REPLACE TABLE {table.quoted} (id INT) TBLPROPERTIES ('{MODE}' = '{mode}')"
    return (
        f"replace it by an empty table of that mode, {statement}, and plan again: RESTORE works from there "
        f"(measured for {mode})"
    )
