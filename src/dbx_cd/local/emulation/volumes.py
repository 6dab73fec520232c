"""Emulated statements about volumes: they are in the catalog, and their files in a folder of the state directory."""

from __future__ import annotations

import fnmatch

import pyarrow as pa

from dbx_cd.local.emulation.catalog_bridge import CatalogBridge, StatementFailed
from dbx_cd.local.emulation.statement import Answer, Statement, text_table


def create(statement: Statement) -> Answer:
    """CREATE VOLUME; what it is created over stays as it is."""
    _bridge(statement).call("create", statement.parts("name"), _comment(statement), bool(statement["absent"]))
    return pa.table({})


def create_external(_statement: Statement) -> Answer:
    """CREATE EXTERNAL VOLUME is refused by name."""
    raise StatementFailed(
        "[UNSUPPORTED_FEATURE] CREATE EXTERNAL VOLUME: there is no cloud storage here. SQLSTATE: 0A000",
        next_step="create a managed volume: CREATE VOLUME",
    )


def drop(statement: Statement) -> Answer:
    """DROP VOLUME, with its files at once; the platform keeps them for seven days."""
    _bridge(statement).call("drop", statement.parts("name"), bool(statement["exists"]))
    return pa.table({})


def comment_on(statement: Statement) -> Answer:
    """COMMENT ON VOLUME."""
    text = None if statement["text"].upper() == "NULL" else statement.bridge.unquote(statement["text"])
    _bridge(statement).call("comment", statement.parts("name"), text)
    return pa.table({})


def show(statement: Statement) -> Answer:
    """SHOW VOLUMES of a schema."""
    named = statement.parts("name") if statement["name"] else []
    bridge = _bridge(statement)
    schema = bridge.call("schema", named)[1]
    pattern = statement.bridge.unquote(statement["like"]).lower() if statement["like"] else "*"
    found = [name for name in bridge.call("names", named) if any(_like(name, one) for one in pattern.split("|"))]
    return text_table(("database", "volume_name"), [[schema, name] for name in found])


def describe(statement: Statement) -> Answer:
    """DESCRIBE VOLUME; the location of a managed volume is null, as on the platform."""
    name, catalog, schema, owner, kind, comment = _bridge(statement).call("describe", statement.parts("name"))
    columns = ("name", "catalog", "database", "owner", "storageLocation", "volumeType", "comment")
    return text_table(columns, [[name, catalog, schema, owner, None, kind, comment]])


def _bridge(statement: Statement) -> CatalogBridge:
    return CatalogBridge(statement.spark, of="VolumeStatements")


def _comment(statement: Statement) -> str | None:
    return statement.bridge.unquote(statement["text"]) if statement["text"] else None


def _like(name: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(name, pattern.strip())
