"""Proof that a relation is what a restore was to make it."""

from __future__ import annotations

from collections.abc import Mapping

from dbx_cd.delta.tables import Tables
from dbx_cd.errors import RestoreFailed
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.point import observe
from dbx_cd.rollback.relation_state import RelationState


def verify_table(tables: Tables, item: PlanItem, expected_properties: Mapping[str, str] | None) -> str:
    """Compare a restored table with the version it was restored to: files and row positions, schema, properties.

    The same active files with the same row positions are the same rows, whatever is in them, because Delta never
    changes a data file.

    Args:
        tables: where the table is.
        item: what was planned, with the fingerprint of the version.
        expected_properties: what the properties were; None where that is not known.

    Returns:
        The proof, for people.

    Raises:
        RestoreFailed: something differs.
    """
    positions = item.fingerprint.positions if item.fingerprint else None
    found = tables.fingerprint(item.relation, positions=positions)
    if item.fingerprint is not None and found != item.fingerprint:
        raise RestoreFailed(f"its files are not those of version {item.to_version}", where=item.name)
    if tables.schema_json(item.relation) != tables.schema_json(item.relation, item.to_version):
        raise RestoreFailed(f"its schema is not that of version {item.to_version}", where=item.name)
    if expected_properties is None:
        return f"the {found.files} files ({found.rows} rows) and the schema are those of version {item.to_version}"
    wanted = {**expected_properties, **item.keep_properties}
    differing = _differing(wanted, _settings(tables.properties(item.relation)))
    if differing:
        # A platform may list properties of its own there; DESCRIBE DETAIL, which the record is from, decides.
        differing = _differing(wanted, tables.detail(item.relation).properties)
    if differing:
        raise RestoreFailed(f"its properties differ: {', '.join(differing)}", where=item.name)
    kept = f"; kept {', '.join(sorted(item.keep_properties))}" if item.keep_properties else ""
    return (
        f"the {found.files} files ({found.rows} rows), schema and properties are those of version "
        f"{item.to_version}{kept}"
    )


def _settings(properties: Mapping[str, str]) -> Mapping[str, str]:
    """Properties without the protocol, which SHOW TBLPROPERTIES lists and RESTORE does not revert (measured)."""
    protocol = ("delta.feature.", "delta.minReaderVersion", "delta.minWriterVersion")
    return {k: v for k, v in properties.items() if not k.startswith(protocol)}


def _differing(wanted: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    return sorted(k for k in wanted.keys() | found.keys() if wanted.get(k) != found.get(k))


def verify_view(tables: Tables, before: RelationState) -> str:
    """Check that a view is defined as it was, and that it answers.

    Raises:
        RestoreFailed: its definition differs.
        SqlFailed: it does not answer.
    """
    (now,) = observe(tables, [before.relation], prove=False)
    if now.definition != before.definition:
        raise RestoreFailed("the view's definition is not the recorded one", where=before.name)
    tables.read_one(before.relation)
    return "text, columns, comment and properties are the recorded ones, and it answers"
