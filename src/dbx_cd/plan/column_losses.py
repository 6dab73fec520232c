"""Columns that a build drops, narrows, moves, or goes on without filling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from dbx_cd.dbt.effects import TABLES, kind_of
from dbx_cd.delta.tables import Column
from dbx_cd.plan.column_types import change_of
from dbx_cd.plan.comparison import Comparison, Existing
from dbx_cd.plan.loss import Loss, LossKind, loss
from dbx_cd.plan.treatment import Treatment

_BY_NAME_SINCE = {"insert_overwrite": (12, 2), "replace_where": (18, 0), "microbatch": (18, 0)}
"""Strategies whose INSERT is by position on clusters of older runtimes; on SQL warehouses none is (read in
dbt-databricks 1.12.7, `dbr_capabilities.py`)."""


def column_losses(existing: Existing, treatment: Treatment, comparison: Comparison) -> Iterator[Loss]:
    """What happens to a relation's columns: where it is made anew, or where dbt goes on with it.

    dbt-databricks looks at `on_schema_change` only where it goes on with an incremental model, and a snapshot adds
    columns and never drops one (read in `incremental.sql` and `snapshot.sql` of 1.12.7).
    """
    after = comparison.columns_after(existing.node)
    if after is None:
        return
    if treatment.how != "goes on":
        yield from _made_anew(existing, after)
    elif existing.node.resource_type == "snapshot":
        yield from _unfilled(existing, after)
    elif existing.node.materialized == "incremental":
        yield from _gone_on_with(existing, after)
        yield from _moved(existing, after, comparison.runtime)
    else:
        yield from _made_anew(existing, after)


def _made_anew(existing: Existing, after: Sequence[Column]) -> Iterator[Loss]:
    # Of a view it says what the query happens to give, and nobody writes to one.
    is_table = existing.entry.kind == "table" and kind_of(existing.node) in TABLES
    now = _by_name(after)
    for name, column in _by_name(existing.entry.columns).items():
        if name not in now:
            yield _dropped(existing, column)
            continue
        change = change_of(column.type, now[name].type)
        changed = f"{column.type} becomes {now[name].type}"
        if change == "narrower":
            yield _of(existing, column, "column_narrowed", f"its type is narrowed: {changed}")
        elif change == "other":
            yield _of(existing, column, "column_retyped", f"its type is another: {changed}", destructive=False)
        if is_table and column.nullable and not now[name].nullable:
            detail = "it may be NULL no more"
            yield loss(existing.relation, "column_narrowed", f"NULL in column {column.name}", detail, destructive=False)


def _gone_on_with(existing: Existing, after: Sequence[Column]) -> Iterator[Loss]:
    policy = str(existing.node.config.get("on_schema_change") or "ignore")
    if policy == "fail":
        yield from _refused_as_changed(existing, after)
    elif policy == "sync_all_columns":
        yield from (_dropped_in_place(existing, column) for column in _missing(existing, after))
        yield from _not_retyped(existing, after)
    elif _needs_all_columns(existing, policy):
        for column in _missing(existing, after):
            detail = "the table has the column and the query does not give it any more: its statement fails"
            yield _of(existing, column, "build_refused", detail, destructive=False)
    else:
        yield from _unfilled(existing, after)


def _needs_all_columns(existing: Existing, policy: str) -> bool:
    """Whether the statement names a column that the query does not give: `merge` by `*` (measured), which does not look
    at columns where schema changes are ignored, and `delete+insert`, which names those of the table (read)."""
    config = existing.node.config
    strategy = str(config.get("incremental_strategy") or "merge")
    evolves = str(config.get("merge_with_schema_evolution")).lower() == "true"
    return strategy == "delete+insert" or (strategy == "merge" and policy == "ignore" and not evolves)


def _dropped(existing: Existing, column: Column) -> Loss:
    prefix = f"{column.name.lower()}."
    tags = [tag for tag in existing.settings.column_tags or {} if tag.lower().startswith(prefix)]
    names = ", ".join(sorted(tag[len(prefix) :] for tag in tags))
    detail = f"the column ({column.type}) is dropped" + (f", with its tags {names}" if names else "")
    return _of(existing, column, "column_dropped", detail)


def _dropped_in_place(existing: Existing, column: Column) -> Loss:
    """Delta drops no column of a table without column mapping (measured); somebody may have given it one by hand."""
    found = _dropped(existing, column)
    properties = existing.node.config.get("tblproperties") or {}
    if str(properties.get("delta.columnMapping.mode", "none")).lower() != "none":
        return found
    return replace(found, detail=f"{found.detail}; Delta refuses that unless the table has delta.columnMapping.mode")


def _of(existing: Existing, column: Column, kind: LossKind, detail: str, *, destructive: bool = True) -> Loss:
    what = f"column {column.name}"
    return loss(existing.relation, kind, what, detail, destructive=destructive, column=column.name)


def _unfilled(existing: Existing, after: Sequence[Column]) -> Iterator[Loss]:
    for column in _missing(existing, after):
        detail = "the column stays, and is NULL in new rows: the query does not give it any more"
        yield _of(existing, column, "column_unfilled", detail, destructive=False)


def _refused_as_changed(existing: Existing, after: Sequence[Column]) -> Iterator[Loss]:
    then, now = _by_name(existing.entry.columns), _by_name(after)
    words = [
        *(f"{then[name].name} is not in the query" for name in then if name not in now),
        *(f"{now[name].name} is new" for name in now if name not in then),
        *(
            f"{then[name].name} is {then[name].type} and would be {now[name].type}"
            for name in then
            if name in now and change_of(then[name].type, now[name].type) != "same"
        ),
    ]
    if words:
        detail = f"dbt refuses to build it (on_schema_change: fail): {'; '.join(words)}"
        yield loss(existing.relation, "build_refused", "schema change", detail, destructive=False)


def _not_retyped(existing: Existing, after: Sequence[Column]) -> Iterator[Loss]:
    """Delta changes no type in place (measured), but to wider ones where the table has type widening (documented)."""
    properties = existing.node.config.get("tblproperties") or {}
    may_widen = str(properties.get("delta.enableTypeWidening")).lower() == "true"
    now = _by_name(after)
    for name, column in _by_name(existing.entry.columns).items():
        change = "same" if name not in now else change_of(column.type, now[name].type)
        if change != "same" and not (change == "wider" and may_widen):
            detail = f"Delta refuses to make {column.type} to {now[name].type} in place (on_schema_change)"
            yield _of(existing, column, "build_refused", detail, destructive=False)


def _moved(existing: Existing, after: Sequence[Column], runtime: tuple[int, int] | None) -> Iterator[Loss]:
    strategy = str(existing.node.config.get("incremental_strategy"))
    if strategy not in _BY_NAME_SINCE:
        return
    by_name = runtime is None or runtime >= _BY_NAME_SINCE[strategy]
    then, now = list(_by_name(existing.entry.columns)), list(_by_name(after))
    for name, column in _by_name(existing.entry.columns).items():
        if name in now and now.index(name) != then.index(name):
            places = f"place {now.index(name) + 1} in the query, {then.index(name) + 1} in the table"
            detail = (
                f"{places}: {strategy} inserts by name, which keeps its values in it"
                if by_name
                else f"{places}: {strategy} inserts by position here, so it gets the values of another column"
            )
            yield loss(
                existing.relation, "column_moved", f"position of column {column.name}", detail, destructive=not by_name
            )


def _missing(existing: Existing, after: Sequence[Column]) -> list[Column]:
    now = _by_name(after)
    columns = [column for name, column in _by_name(existing.entry.columns).items() if name not in now]
    return [c for c in columns if not (existing.node.resource_type == "snapshot" and c.name.lower().startswith("dbt_"))]


def _by_name(columns: Sequence[Column]) -> Mapping[str, Column]:
    return {column.name.lower(): column for column in columns}
