"""A copy of a table on which a restore can be tried: it was once what the table was, and is something else now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from dbx_cd.delta import tables as delta_tables
from dbx_cd.errors import RestoreFailed
from dbx_cd.relations import RelationName
from dbx_cd.rollback.decision import PlanItem

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@dataclass(frozen=True)
class ScratchCopy:
    """Its versions, and whether it is a clone, which shares its data files with the table."""

    then: int
    now: int
    is_clone: bool

    @classmethod
    def make(cls, spark: SparkSession, table: RelationName, name: RelationName, *, then: int) -> Self:
        """Copy a table as it was at a version, and empty the copy, with the columns that the table has now.

        A shallow clone costs no data. Where none can be made (column mapping in this catalog, measured), rows are
        copied.

        Args:
            spark: a session.
            table: the table; it is only read.
            name: the copy, which does not exist yet.
            then: the version to go back to.

        Raises:
            pyspark.errors.PySparkException: the version cannot be read, or the copy cannot be made.
        """
        try:
            spark.sql(f"CREATE TABLE {name.quoted} SHALLOW CLONE {table.quoted} VERSION AS OF {then}")
            is_clone = True
        except delta_tables.sql_errors():
            spark.sql(f"DROP TABLE IF EXISTS {name.quoted}")
            spark.sql(f"CREATE TABLE {name.quoted} USING delta AS SELECT * FROM {table.quoted} VERSION AS OF {then}")
            is_clone = False
        # Not version 0 of the copy: here a clone is made by two commits (measured).
        filled = delta_tables.history(spark, name, limit=1).version
        # RESTORE sets this again, as everything else that the version had.
        spark.sql(f"ALTER TABLE {name.quoted} SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
        # What RESTORE needs are the files of the version to go back to; the rows of today are not copied for it.
        spark.sql(f"CREATE OR REPLACE TABLE {name.quoted} USING delta AS SELECT * FROM {table.quoted} LIMIT 0")
        return cls(then=filled, now=delta_tables.history(spark, name, limit=1).version, is_clone=is_clone)


def is_copy_of(spark: SparkSession, item: PlanItem, name: RelationName, *, by_files: bool) -> str:
    """Compare a restored copy with the version that the plan goes back to.

    Args:
        spark: a session.
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
        found = delta_tables.fingerprint(spark, name, positions=item.fingerprint.positions)
        if found != item.fingerprint:
            raise RestoreFailed(f"the copy's files are not those of version {item.to_version}", where=item.name)
        what = f"the {found.files} files ({found.rows} rows)"
    else:
        then = _rows(spark, f"{item.relation.quoted} VERSION AS OF {item.to_version}")
        if _rows(spark, name.quoted) != then:
            raise RestoreFailed(f"the copy's rows are not those of version {item.to_version}", where=item.name)
        what = f"all {then[0]} rows"
    if _types(spark, name) != _types(spark, item.relation, item.to_version):
        raise RestoreFailed(f"the copy's columns are not those of version {item.to_version}", where=item.name)
    return f"RESTORE of a {'clone' if by_files else 'copy'} gave {what} and the columns of version {item.to_version}"


def _rows(spark: SparkSession, source: str) -> tuple[int, int]:
    """How many rows, and a hash over all of them whatever their order; as JSON, since a map has no hash."""
    row = spark.sql(
        "SELECT count(*) AS n, coalesce(sum(CAST(xxhash64(to_json(struct(*))) AS DECIMAL(38, 0))), 0) AS h "
        f"FROM {source}"
    ).collect()[0]
    return int(row["n"]), int(row["h"])


def _types(spark: SparkSession, table: RelationName, version: int | None = None) -> list[tuple[str, str]]:
    at = "" if version is None else f" VERSION AS OF {version}"
    return [(f.name, f.dataType.simpleString()) for f in spark.sql(f"SELECT * FROM {table.quoted}{at}").schema.fields]
