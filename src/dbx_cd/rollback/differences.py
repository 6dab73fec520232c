"""What a relation will not be again after a restore: everything that RESTORE leaves as it is, by name.

RESTORE brings back rows, schema, nullability, defaults, comments, partition and clustering columns, properties and
CHECK constraints, and neither the protocol nor the properties of `STAYING` (measured on Delta 4.4). What the catalog
keeps besides (keys, tags, grants, owner, filters, masks) is none of Delta's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dbx_cd.delta.history import IN_COMMIT_TIMES
from dbx_cd.delta.tables import CatalogEntry, CatalogSettings, TableDetail
from dbx_cd.rollback.relation_state import Present, RelationState

STAYING = (
    "delta.rowTracking.materialized",
    "delta.columnMapping.maxColumnId",
    "delta.inCommitTimestampEnablement",
)
"""How properties begin that RESTORE leaves as they are: the columns that row tracking has chosen in files, and the
number of the newest column where columns are mapped before and after, which never falls."""


def left_by_restore(before: RelationState, now: Present) -> tuple[str, ...]:
    """The differences that are left when RESTORE, or the view's recreation, has done all that it does."""
    return (
        *_of_catalog(before.settings, now.settings),
        *_of_protocol(before.detail, now.detail),
        *_of_properties(before.detail, now.detail, staying=True),
        *_of_timestamps(before.properties, now.properties),
    )


def left_by_recreation(before: RelationState) -> tuple[str, ...]:
    """What a view that is made again cannot be given as it was, since nobody knows it."""
    if before.kind != "view" or (before.view_reading is not None and before.view_reading.settings is not None):
        return ()
    return (
        "SQL settings under which it is read (ANSI mode, time zone) are those of the session that makes it again: the "
        "platform did not say what they were",
    )


def retyped(before: RelationState, now: CatalogEntry) -> tuple[str, ...]:
    """The columns of a view that was made again whose types are others: what it reads, or how, is not what it was."""
    then = {c.name: c.type for c in before.columns}
    return tuple(
        f"column {c.name} is {c.type}, was {then[c.name]}"
        for c in now.columns
        if c.name in then and c.type != then[c.name]
    )


def found_afterwards(planned: tuple[str, ...], before: RelationState, settings: CatalogSettings) -> tuple[str, ...]:
    """What a plan names, with what the catalog keeps otherwise by the time that the restore is done."""
    return tuple(dict.fromkeys([*planned, *_of_catalog(before.settings, settings)]))


def not_brought_back(before: TableDetail, now: TableDetail) -> tuple[str, ...]:
    """The differences of two details in what RESTORE brings back: properties, layout, comment."""
    return tuple(_of_detail(before, now))


def left_where_nothing_is_done(before: RelationState, now: Present) -> tuple[str, ...]:
    """The differences of a relation whose rows are what they were: how they are laid out and kept may not be."""
    return (*left_by_restore(before, now), *_of_detail(before.detail, now.detail), *_of_comments(before, now))


def _of_catalog(before: CatalogSettings, now: CatalogSettings) -> Iterable[str]:
    yield from _of_sets("", _texts(before.keys), _texts(now.keys))
    yield from _of_values("tag", before.tags, now.tags)
    yield from _of_values("column tag", before.column_tags, now.column_tags)
    # A user who may not manage a relation is shown their own grants alone (Unity Catalog's documentation).
    yield from _of_sets("grant of ", before.grants, now.grants, gone="is gone, or not shown to this user")
    yield from _of_values("column mask on", before.column_masks, now.column_masks)
    for what, then, is_now in (
        ("owner", before.owner, now.owner),
        ("row filter", before.row_filter, now.row_filter),
    ):
        if then is not None and is_now is not None and then != is_now:
            yield f"{what} is {is_now or 'gone'}, was {then or 'none'}"


def _of_protocol(before: TableDetail | None, now: TableDetail | None) -> Iterable[str]:
    if before is None or now is None:
        return
    then = (before.reader_version, before.writer_version)
    is_now = (now.reader_version, now.writer_version)
    if then != is_now:
        yield f"protocol is {_versions(is_now)}, was {_versions(then)}"
    yield from _of_sets("table feature ", before.features, now.features)


def _of_timestamps(before: Mapping[str, str], now: Mapping[str, str]) -> Iterable[str]:
    """Turned off since, they are on again from the RESTORE on, and Delta writes down since when."""
    if before.get(IN_COMMIT_TIMES) == "true" and now.get(IN_COMMIT_TIMES) != "true":
        yield "property delta.inCommitTimestampEnablementVersion is new, as is the one of its time: turned on again"


def _of_properties(before: TableDetail | None, now: TableDetail | None, *, staying: bool) -> Iterable[str]:
    if before is None or now is None:
        return
    then, is_now = (
        {name: value for name, value in detail.properties.items() if name.startswith(STAYING) == staying}
        for detail in (before, now)
    )
    if "delta.columnMapping.maxColumnId" in is_now.keys() - then.keys() and staying:
        del is_now["delta.columnMapping.maxColumnId"]  # goes with the mapping itself
    yield from _of_values("property", then, is_now)


def _of_detail(before: TableDetail | None, now: TableDetail | None) -> Iterable[str]:
    if before is None or now is None:
        return
    yield from _of_properties(before, now, staying=False)
    for what, then, is_now in (
        ("partitioned", before.partitioned_by, now.partitioned_by),
        ("clustered", before.clustered_by, now.clustered_by),
    ):
        if then != is_now:
            yield f"{what} by {', '.join(is_now) or 'nothing'}, was by {', '.join(then) or 'nothing'}"
    if before.comment is not None and now.comment is not None and before.comment != now.comment:
        yield f"comment is {now.comment!r}, was {before.comment!r}"


def _of_comments(before: RelationState, now: Present) -> Iterable[str]:
    if before.kind != "table" or now.entry.kind != "table":
        return
    is_compared = before.detail is not None and before.detail.comment is not None
    if not is_compared and (before.comment or "") != (now.entry.comment or ""):
        yield f"comment is {now.entry.comment or 'gone'!r}, was {before.comment or 'none'!r}"
    then, is_now = ({c.name: c for c in columns} for columns in (before.columns, now.entry.columns))
    differing = [name for name in {**then, **is_now} if then.get(name) != is_now.get(name)]
    if differing:
        yield f"columns differ: {', '.join(differing)}"


def _texts(values: Iterable[object] | None) -> tuple[str, ...] | None:
    return None if values is None else tuple(map(str, values))


def _of_sets(
    what: str, before: Iterable[str] | None, now: Iterable[str] | None, *, gone: str = "is gone"
) -> Iterable[str]:
    if before is None or now is None:
        return
    then, is_now = set(before), set(now)
    yield from (f"{what}{name} {gone}" for name in sorted(then - is_now))
    yield from (f"{what}{name} is new, and stays" for name in sorted(is_now - then))


def _of_values(what: str, before: Mapping[str, str] | None, now: Mapping[str, str] | None) -> Iterable[str]:
    if before is None or now is None:
        return
    for name in sorted(before.keys() | now.keys()):
        then, is_now = before.get(name), now.get(name)
        if then != is_now:
            yield f"{what} {name} is {_value(is_now)}, was {_value(then)}"


def _value(value: str | None) -> str:
    return "not there" if value is None else repr(value)


def _versions(protocol: tuple[int, int]) -> str:
    return f"reader {protocol[0]} and writer {protocol[1]}"
