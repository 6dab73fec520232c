"""Every proof of a rollback.

That a version can be read, before; that a restored relation is what it was, after; that a copy on which a restore was
tried is what the table was.
"""

from __future__ import annotations

from dataclasses import replace

from dbx_cd.delta.clones import Clone, column_types, row_hash
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.tables import Fingerprint, TableDetail, Tables
from dbx_cd.digest import digest
from dbx_cd.errors import RestoreFailed, SqlFailed
from dbx_cd.relations import RelationName
from dbx_cd.rollback.differences import not_brought_back, retyped
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.present import present_of
from dbx_cd.rollback.relation_state import RelationState


def prove_readable(
    tables: Tables, table: RelationName, version: int, *, positions: bool | None = None
) -> tuple[Fingerprint | None, str | None]:
    """The fingerprint of a version, or why it cannot be read: its data files or its log entries are gone."""
    try:
        return tables.fingerprint(table, version, positions=positions), None
    except SqlFailed as exc:
        return None, f"version {version} cannot be read: {exc.what}"


def with_proof(tables: Tables, item: PlanItem) -> PlanItem:
    """The item with the fingerprint of the version it goes back to; blocked when that version is gone or another."""
    if item.action != "restore" or item.to_version is None:
        return item
    positions = item.fingerprint.positions if item.fingerprint else None
    found, unreadable = prove_readable(tables, item.relation, item.to_version, positions=positions)
    if unreadable:
        return replace(item, action="rebuild", reason=unreadable)
    if item.fingerprint is not None and found != item.fingerprint:
        return replace(item, action="impossible", reason=f"version {item.to_version} is not what was recorded of it")
    return replace(item, fingerprint=found, schema=digest(tables.schema_json(item.relation, item.to_version)))


def verify_table(tables: Tables, item: PlanItem, before: TableDetail | None) -> str:
    """Compare a restored table with the version it was restored to: all that RESTORE brings back.

    That is files and row positions, schema (with nullability, comments and defaults of columns), partition and
    clustering columns, comment, and properties, which CHECK constraints are among (measured on Delta 4.4). The same
    active files with the same row positions are the same rows, whatever is in them, because Delta never changes a data
    file.

    Args:
        tables: where the table is.
        item: what was planned, with the fingerprint of the version.
        before: what Delta said of it then; None where that is not known.

    Returns:
        The proof, for people.

    Raises:
        RestoreFailed: something differs.
    """
    proof, differing = verify_again(tables, item, before)
    if differing:
        raise RestoreFailed(f"it is not as it was: {'; '.join(differing)}", where=item.name)
    return proof


def verify_again(tables: Tables, item: PlanItem, before: TableDetail | None) -> tuple[str, tuple[str, ...]]:
    """Compare a table with the version that an earlier attempt has restored it to; see `verify_table`.

    Properties, layout and comment may be somebody else's since.

    Returns:
        The proof, of files and schema alone where those differ, and what differs.

    Raises:
        RestoreFailed: files or schema differ.
    """
    positions = item.fingerprint.positions if item.fingerprint else None
    found = tables.fingerprint(item.relation, positions=positions)
    if item.fingerprint is not None and found != item.fingerprint:
        raise RestoreFailed(f"its files are not those of version {item.to_version}", where=item.name)
    wanted_schema = item.schema or digest(tables.schema_json(item.relation, item.to_version))
    if digest(tables.schema_json(item.relation)) != wanted_schema:
        raise RestoreFailed(f"its schema is not that of version {item.to_version}", where=item.name)
    of_files = f"the {found.files} files ({found.rows} rows)"
    differing: tuple[str, ...] = ()
    if before is not None:
        wanted = replace(before, properties={**before.properties, **item.keep_properties})
        differing = not_brought_back(wanted, tables.detail(item.relation))
    if before is None or differing:
        return f"{of_files} and the schema are those of version {item.to_version}", differing
    kept = f"; kept {', '.join(sorted(item.keep_properties))}" if item.keep_properties else ""
    return f"{of_files}, schema, layout, comment and properties are those of version {item.to_version}{kept}", ()


def verify_view(tables: Tables, before: RelationState) -> tuple[str, tuple[str, ...]]:
    """Check that a view is defined as it was, and that it answers.

    Returns:
        The proof, and the columns whose types are others all the same.

    Raises:
        RestoreFailed: its definition differs.
        SqlFailed: it does not answer.
    """
    view = before.relation
    entry = tables.entries([view])[view.key]
    if entry.kind != "view" or present_of(tables, before, entry, details=False).definition != before.definition:
        raise RestoreFailed("the view's definition is not the recorded one", where=before.name)
    tables.read_one(view)
    proof = "text, how it is read, columns, comment and properties are the recorded ones, and it answers"
    return proof, retyped(before, entry)


def is_copy_of(tables: SparkTables, item: PlanItem, name: RelationName, copy: Clone) -> str:
    """Compare a restored copy with the version that the plan goes back to, and with what the copy was.

    Rows and columns are compared with the version. Nullability, comments, layout and properties are compared with those
    that the copy had: RESTORE has to bring back what there was, and not every table can be copied with all of these.

    Args:
        tables: tables of a session.
        item: the table, with the version and its fingerprint.
        name: the copy.
        copy: what the copy was before it was emptied and restored.

    Returns:
        The proof, for people.

    Raises:
        RestoreFailed: something differs.
    """
    assert item.to_version is not None
    if copy.is_shallow and item.fingerprint is not None:
        found = tables.fingerprint(name, positions=item.fingerprint.positions)
        if found != item.fingerprint:
            raise RestoreFailed(f"the copy's files are not those of version {item.to_version}", where=item.name)
        what = f"the {found.files} files ({found.rows} rows)"
    else:
        then = row_hash(tables, item.relation, version=item.to_version)
        if row_hash(tables, name) != then:
            raise RestoreFailed(f"the copy's rows are not those of version {item.to_version}", where=item.name)
        what = f"all {then[0]} rows"
    if column_types(tables, name) != column_types(tables, item.relation, version=item.to_version):
        raise RestoreFailed(f"the copy's columns are not those of version {item.to_version}", where=item.name)
    wanted = replace(copy.detail, properties={**copy.detail.properties, **item.keep_properties})
    differing = list(not_brought_back(wanted, tables.detail(name)))
    if tables.schema_json(name) != copy.schema:
        differing.append("its columns differ in nullability, comments or defaults")
    if differing:
        raise RestoreFailed(f"the copy is not as it was: {'; '.join(differing)}", where=item.name)
    return (
        f"RESTORE of a {'clone' if copy.is_shallow else 'copy'} gave {what} and the columns of version "
        f"{item.to_version}, and the copy's layout, comments and properties"
    )
