"""Emulated statements about volumes: they are in the catalog, and their files in a folder of the state directory."""

from __future__ import annotations

import fnmatch

import pyarrow as pa

from dbx_cd.local.emulation.catalog_bridge import CatalogBridge, StatementFailed
from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import SCHEMA_OF_NAME, Need
from dbx_cd.local.emulation.sql_text import NAMED, STRING
from dbx_cd.local.emulation.statement import Answer, Emulated, emulated, text_table

_TESTS = "tests/spark/local/test_volumes.py"
_NO_VOLUMES = "Spark has no volumes"


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


_TEST = (f"{_TESTS}::test_a_volume_is_created_described_listed_and_dropped_with_its_files",)
STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        rf"create volume(?P<absent> if not exists)? {NAMED}(?: comment (?P<text>{STRING}))?",
        create,
        _NO_VOLUMES,
        statement="CREATE VOLUME [IF NOT EXISTS] name [COMMENT text]",
        does="creates a volume; its files are in a folder of the state directory",
        tests=_TEST,
        needs=(Need("CREATE VOLUME", "SCHEMA", SCHEMA_OF_NAME),),
    ),
    emulated(
        r"create external volume .*",
        create_external,
        _NO_VOLUMES,
        statement="CREATE EXTERNAL VOLUME ...",
        does="is refused: there is no cloud storage here",
        tests=(f"{_TESTS}::test_what_cannot_be_done_with_a_volume_is_refused_in_the_platform_s_words",),
        needs="none: it is refused anyway",
    ),
    emulated(
        rf"drop volume(?P<exists> if exists)? {NAMED}",
        drop,
        _NO_VOLUMES,
        statement="DROP VOLUME [IF EXISTS] name",
        does="drops a volume and its files",
        lacks="the files are gone at once; Databricks keeps them for seven days",
        tests=_TEST,
        needs=(Need("MANAGE", "VOLUME"),),
    ),
    emulated(
        rf"comment on volume {NAMED} is (?P<text>null|{STRING})",
        comment_on,
        _NO_VOLUMES,
        statement="COMMENT ON VOLUME name IS text",
        does="sets the comment",
        tests=_TEST,
        needs=(Need("MANAGE", "VOLUME"),),
    ),
    emulated(
        rf"show volumes(?: (?:in|from) {NAMED})?(?: (?:like )?(?P<like>{STRING}))?",
        show,
        _NO_VOLUMES,
        statement="SHOW VOLUMES [IN schema] [LIKE pattern]",
        does="lists the volumes of a schema",
        tests=_TEST,
        needs="none: it lists the volumes that the user is told of",
    ),
    emulated(
        rf"desc(?:ribe)? volume {NAMED}",
        describe,
        _NO_VOLUMES,
        statement="DESCRIBE VOLUME name",
        does="describes a volume",
        lacks="storageLocation is null",
        tests=_TEST,
        needs=(Need("READ VOLUME", "VOLUME", seeing=True),),
    ),
)
