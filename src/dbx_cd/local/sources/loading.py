"""Source tables made and kept in step with their files; what anybody else wrote is left as it is.

The commit of a load names the content that it loaded (`userMetadata` of the table's history). So a later start knows
whether a table still is what a file was, without a record beside it that could say something else.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dbx_cd.delta.operations import MAINTENANCE
from dbx_cd.local.sources.declared import DeclaredColumn, declared_columns
from dbx_cd.local.sources.reading import empty, read
from dbx_cd.local.sources.tables import SourceTable
from dbx_cd.local.spark_session import RESERVED_CATALOGS, may_be_catalog
from dbx_cd.relations import RelationName, quote

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SIGNATURE = "dbx_cd source file "
"""How the text of a load's commit begins; a digest of what was loaded follows."""
_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
# Names that Delta takes only where it keeps columns by another name in its files.
_ODD_NAME = re.compile(r"[ ,;{}()\n\t=]")
_SHOWN = 20


def load_sources(
    spark: SparkSession,
    tables: Iterable[SourceTable],
    *,
    project_dir: Path,
    say: Callable[[str], None],
    temporary: Path | None = None,
) -> None:
    """Make the tables of a project's sources, as the workspace itself: somebody else than the job writes them.

    A table with a file has its rows; one without has none, and the columns that the project declares. A table that
    somebody else has written since, that the project itself builds, or that is there by other means stays as it is. All
    that is not simply as before is said, in one line for each table.

    Args:
        spark: a session of the embedded workspace.
        tables: the tables.
        project_dir: the project's folder, for the lines of its files.
        say: takes what a person should read.
        temporary: the folder for temporary files, which are gone afterwards; None for the system's.

    Raises:
        ConfigError: a file contradicts what the project declares, or cannot be read.
    """
    session = spark.newSession()
    lines_of: dict[str, list[str]] = defaultdict(list)
    unchanged = 0
    for table in tables:
        declared = declared_columns(table.node, project_dir)
        with tempfile.TemporaryDirectory(prefix="dbx_cd-", dir=temporary, ignore_cleanup_errors=True) as folder:
            kind, text = _load(session, table, declared, Path(folder))
        if text:
            lines_of[kind].append(f"{table.relation} {text}")
        unchanged += kind == "same"
    for lines in lines_of.values():
        for line in lines[:_SHOWN]:
            say(f"source {line}")
        if len(lines) > _SHOWN:
            say(f"and {len(lines) - _SHOWN} more sources alike")
    if unchanged:
        say(f"sources: {unchanged} as an earlier start has loaded them")


def missing_sources(spark: SparkSession, tables: Iterable[SourceTable]) -> list[SourceTable]:
    """The sources that have no table or view, and that the project does not build itself.

    Args:
        spark: a session of the embedded workspace.
        tables: the tables of the project's sources.
    """
    asked = [t for t in tables if t.built_by is None and may_be_catalog(t.relation.catalog)]
    return [table for table in asked if not _exists(spark, table.relation)]


def _load(
    session: SparkSession, table: SourceTable, declared: Sequence[DeclaredColumn], temporary: Path
) -> tuple[str, str]:
    """Load one table; returns what kind of thing there is to say, and what, "" where all is as before."""
    name, file = table.relation, table.file
    if table.built_by is not None:
        # Without a file there is nothing to say: so the project means it.
        return "built", f"is built by {table.built_by}: {file.name} is not loaded" if file else ""
    if not may_be_catalog(name.catalog):
        return "reserved", f"is not made: {_why_no_catalog(name.catalog)}"
    if file is None and not declared:
        if _exists(session, name):
            return "there", ""
        return "none", (
            f"does not exist: it has no file and no columns. Next: put {table.short}.csv, .parquet or .json into the "
            f"folder, or declare its columns in {table.declared_in}"
        )
    digest = _digest(file, declared)
    before = _loaded(session, name)
    if before == digest:
        return "same", ""
    if before is None:
        why = f"{file.name} is not loaded" if file else "it is not made empty"
        return "other", f"is left as it is, {why}: something else has written it. Next: drop it to have it loaded"
    frame = empty(session, declared) if file is None else read(session, file, declared, temporary=temporary)
    rows = _write(session, name, frame, digest)
    again = " again" if before else ""
    if file is None:
        return "empty", f"is EMPTY{again}: it has no file; its columns are those that {table.declared_in} declares"
    return "rows", f"has {rows} rows{again} from {file.name}"


def _why_no_catalog(name: str) -> str:
    if name.lower() in RESERVED_CATALOGS:
        return f"the catalog {name} is read-only here"
    return f"Unity Catalog takes no catalog called {name!r}: no blanks, dots, slashes or commas"


def _loaded(session: SparkSession, name: RelationName) -> str | None:
    """The digest of what a table holds; "" where there is no table, None where it is not what was loaded."""
    if not _exists(session, name):
        return ""
    try:
        history = session.sql(f"DESCRIBE HISTORY {name.quoted}").collect()
    except Exception:  # a view, or a table of another format: nothing that was loaded
        return None
    newest = next((commit for commit in history if commit.operation not in MAINTENANCE), None)
    signed = (newest.userMetadata or "") if newest is not None else ""
    return signed.removeprefix(SIGNATURE) if signed.startswith(SIGNATURE) else None


def _write(session: SparkSession, name: RelationName, frame: DataFrame, digest: str) -> int:
    session.sql(f"CREATE SCHEMA IF NOT EXISTS {quote(name.catalog)}.{quote(name.schema)}")
    session.conf.set(_METADATA, SIGNATURE + digest)
    try:
        writer = frame.write.format("delta").mode("overwrite").option("overwriteSchema", "true")
        if any(_ODD_NAME.search(column) for column in frame.columns):
            writer = writer.option("delta.columnMapping.mode", "name")
        writer.saveAsTable(name.quoted)
    finally:
        session.conf.unset(_METADATA)
    return int(session.table(name.quoted).count())


def _exists(session: SparkSession, name: RelationName) -> bool:
    return bool(session.catalog.tableExists(name.quoted))


def _digest(file: Path | None, declared: Sequence[DeclaredColumn]) -> str:
    """Over the file's rows and the declared columns: either may change."""
    digest = hashlib.sha256(repr([(c.name.lower(), c.data_type) for c in declared]).encode())
    parts = [] if file is None else sorted(p for p in file.rglob("*") if p.is_file()) if file.is_dir() else [file]
    for path in parts:
        with path.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()
