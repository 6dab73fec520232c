"""Proof that a copy on which a restore was tried is what the table was."""

from __future__ import annotations

from dbx_cd.delta.clones import column_types, row_hash
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.errors import RestoreFailed
from dbx_cd.relations import RelationName
from dbx_cd.rollback.plan_item import PlanItem


def is_copy_of(tables: SparkTables, item: PlanItem, name: RelationName, *, by_files: bool) -> str:
    """Compare a restored copy with the version that the plan goes back to.

    Args:
        tables: tables of a session.
        item: the table, with the version and its fingerprint.
        name: the copy.
        by_files: whether the copy has the table's own data files; else all rows are read and compared.

    Returns:
        The proof, for people.

    Raises:
        RestoreFailed: something differs.
    """
    assert item.to_version is not None
    if by_files and item.fingerprint is not None:
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
    return f"RESTORE of a {'clone' if by_files else 'copy'} gave {what} and the columns of version {item.to_version}"
