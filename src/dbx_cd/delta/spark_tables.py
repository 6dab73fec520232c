"""The tables and views of a workspace, asked and changed in Spark SQL."""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dbx_cd.delta import information_schema, routines
from dbx_cd.delta.catalog_settings import catalog_settings
from dbx_cd.delta.history import Commit, History
from dbx_cd.delta.sql import Sql
from dbx_cd.delta.tables import CatalogEntry, CatalogSettings, Column, Fingerprint, Function, Kind, TableDetail
from dbx_cd.delta.view_reading import UNKNOWN_READING, ViewReading
from dbx_cd.delta.views import AS_WRITTEN, create_view_sql, meaning, property_list
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName, quote, split_name, string_literal

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_log = logging.getLogger(__name__)

_NAMESPACE_ROW = "View Catalog and Namespace"
_NAMESPACE_ROWS = ("View Current Catalog", "View Current Namespace")
# How Spark's own catalog, of Spark 3.5, refuses a new name that has a catalog in it (measured).
_TOO_MANY_PARTS = ("REQUIRES_SINGLE_PART_NAMESPACE", "IDENTIFIER_TOO_MANY_NAME_PARTS")


class SparkTables:
    """`Tables` of a session.

    Args:
        sql: the session's port.
    """

    def __init__(self, sql: Sql) -> None:
        self.sql = sql

    @classmethod
    def of(cls, spark: SparkSession) -> SparkTables:
        """The tables that a session sees."""
        return cls(Sql(spark))

    def entries(self, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
        """See `Tables`; three queries per catalog, and one for each relation that it does not list."""
        return information_schema.entries(self.sql, relations)

    def listed(self, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
        """See `Tables`."""
        return information_schema.listed(self.sql, relations)

    def settings(self, relations: Sequence[RelationName]) -> dict[str, CatalogSettings]:
        """See `Tables`; up to nine queries per catalog, and one for each that foreign keys refer to."""
        return catalog_settings(self.sql, relations)

    def functions(self, catalog: str, names: Collection[str]) -> dict[str, Function]:
        """See `Tables`; one query."""
        return routines.functions(self.sql, catalog, names)

    def detail(self, table: RelationName) -> TableDetail:
        """DESCRIBE DETAIL, without the name: it may show the physical one (measured)."""
        row = self.sql.query(f"DESCRIBE DETAIL {table.quoted}")[0].asDict()
        return TableDetail(
            table_id=row["id"],
            properties=dict(sorted((row["properties"] or {}).items())),
            partitioned_by=tuple(row["partitionColumns"] or ()),
            clustered_by=tuple(row.get("clusteringColumns") or ()),
            reader_version=row["minReaderVersion"],
            writer_version=row["minWriterVersion"],
            features=tuple(row.get("tableFeatures") or ()),
            files=row["numFiles"] or 0,
            size=row["sizeInBytes"] or 0,
            comment=row["description"] or "",
        )

    def history(self, table: RelationName, *, limit: int | None = None) -> History:
        """DESCRIBE HISTORY."""
        rows = self.sql.query(f"DESCRIBE HISTORY {table.quoted}" + (f" LIMIT {limit}" if limit else ""))
        return History.of(Commit.read(row.asDict()) for row in rows)

    def is_newest(self, table: RelationName, version: int) -> bool:
        """Whether Delta has this version and refuses the next one as not there; nothing is read.

        A history takes a Spark job, which is five times the work (measured). The condition is Delta's, and among those
        that Databricks documents.
        """
        return self._refusal(table, version) == "" and self._refusal(table, version + 1) == "DELTA_VERSION_NOT_FOUND"

    def _refusal(self, table: RelationName, version: int) -> str:
        """The condition under which Delta refuses a version; "" where it does not."""
        try:
            self.schema_json(table, version)
        except SqlFailed as exc:
            return exc.condition or "unknown"
        return ""

    def properties(self, relation: RelationName) -> dict[str, str]:
        """SHOW TBLPROPERTIES, without those that Spark keeps in a view for itself."""
        rows = self.sql.query(f"SHOW TBLPROPERTIES {relation.quoted}")
        return {r["key"]: r["value"] for r in sorted(rows) if not r["key"].startswith("view.")}

    def fingerprint(
        self, table: RelationName, version: int | None = None, *, positions: bool | None = None
    ) -> Fingerprint:
        """Read the names of a version's active files, and how many rows each has, but none of its columns.

        This fails when a file of that version is gone, which a row count does not: it is answered from statistics
        (measured). Delta offers the rows' positions only where the version's protocol has deletion vectors (measured).
        They cost at most a fifth on top (4 million rows, two rounds on a busy machine): what takes time is that rows
        are counted by file. Sums or extremes of the positions would hardly save any, and several deletion vectors can
        have the same ones.
        """
        from pyspark.errors import AnalysisException

        if positions is None:
            try:
                return self.fingerprint(table, version, positions=True)
            except SqlFailed as exc:
                if not isinstance(exc.__cause__, AnalysisException):
                    raise
                return self.fingerprint(table, version, positions=False)
        of_rows = ", bit_xor(xxhash64(_metadata.row_index))" if positions else ""
        row = self.sql.query(
            "SELECT count(*) AS files, coalesce(sum(n), 0) AS n_rows, coalesce(bit_xor(h), 0) AS digest FROM ("
            f"SELECT count(*) AS n, xxhash64(_metadata.file_path, count(*){of_rows}) AS h "
            f"FROM {_at(table, version)} GROUP BY _metadata.file_path)"
        )[0]
        return Fingerprint(files=row["files"], rows=row["n_rows"], digest=row["digest"], positions=positions)

    def schema_json(self, table: RelationName, version: int | None = None) -> str:
        """See `Tables`."""
        return self.sql.schema_json(f"SELECT * FROM {_at(table, version)}")

    def dropped(self, *, catalog: str, schema: str) -> frozenset[str] | None:
        """`SHOW TABLES DROPPED` is Databricks SQL (documentation); open-source Spark cannot parse it."""
        try:
            rows = self.sql.query(f"SHOW TABLES DROPPED IN {quote(catalog)}.{quote(schema)}")
        except SqlFailed as exc:
            if exc.condition.startswith("PARSE_SYNTAX_ERROR"):
                return None
            raise
        return frozenset(str(r["tableName"]).lower() for r in rows)

    def view_reading(self, view: RelationName) -> ViewReading:
        """Two forms of DESCRIBE EXTENDED.

        The namespace is in one row (Databricks, and Spark's own catalog), or in two (other catalogs; measured). The SQL
        settings are in the JSON form alone, which Spark has from 4.0 on and Databricks Runtime from 16.2 on
        (documentation); whether Databricks shows them there was not verified.
        """
        rows = {r["col_name"]: r["data_type"] for r in self.sql.query(f"DESCRIBE TABLE EXTENDED {view.quoted}")}
        parts = [rows.get(name) for name in _NAMESPACE_ROWS]
        found = rows.get(_NAMESPACE_ROW) or (".".join(p for p in parts if p) if all(parts) else None)
        more = self._as_json(view)
        settings = more.get("view_creation_spark_configuration")
        return ViewReading(
            namespace=tuple(split_name(found)) if found else None,
            schema_mode=rows.get("View Schema Mode") or None,
            collation=more.get("collation"),
            settings=None if settings is None else meaning(settings),
        )

    def _as_json(self, view: RelationName) -> dict[str, Any]:
        try:
            row = self.sql.query(f"DESCRIBE TABLE EXTENDED {view.quoted} AS JSON")[0]
        except SqlFailed as exc:
            _log.debug("%s: no description as JSON: %s", view, exc)
            return {}
        found: dict[str, Any] = json.loads(row[0])
        return found

    def read_one(self, relation: RelationName) -> None:
        """See `Tables`."""
        self.sql.query(f"SELECT * FROM {relation.quoted} LIMIT 1")

    def restore(self, table: RelationName, version: int) -> None:
        """RESTORE, which is atomic for one table and always adds a commit (measured)."""
        self.sql.execute(f"RESTORE TABLE {table.quoted} TO VERSION AS OF {int(version)}")

    def set_properties(self, table: RelationName, properties: Mapping[str, str]) -> None:
        """ALTER TABLE ... SET TBLPROPERTIES."""
        self.sql.execute(f"ALTER TABLE {table.quoted} SET TBLPROPERTIES ({property_list(properties)})")

    def unset_properties(self, table: RelationName, names: Sequence[str]) -> None:
        """ALTER TABLE ... UNSET TBLPROPERTIES."""
        listed = ", ".join(map(string_literal, names))
        self.sql.execute(f"ALTER TABLE {table.quoted} UNSET TBLPROPERTIES IF EXISTS ({listed})")

    def undrop(self, table: RelationName) -> None:
        """See `Tables`."""
        self.sql.execute(f"UNDROP TABLE {table.quoted}")

    def create_view(
        self,
        view: RelationName,
        *,
        text: str,
        columns: Sequence[Column],
        comment: str | None,
        properties: Mapping[str, str],
        reading: ViewReading = UNKNOWN_READING,
    ) -> None:
        """CREATE OR REPLACE VIEW; Spark keeps the session's catalog, schema and SQL settings with it."""
        statement = create_view_sql(
            view, text=text, columns=columns, comment=comment, properties=properties, reading=reading
        )
        with self.sql.current_schema(reading.namespace), self.sql.settings({**(reading.settings or {}), **AS_WRITTEN}):
            self.sql.execute(statement)

    def drop(self, relation: RelationName, *, kind: Kind) -> None:
        """DROP ... IF EXISTS."""
        self.sql.execute(f"DROP {_word(kind)} IF EXISTS {relation.quoted}")

    def rename(self, relation: RelationName, to: RelationName, *, kind: Kind) -> None:
        """ALTER ... RENAME TO, which keeps a table's history (measured)."""
        change = f"ALTER {_word(kind)} {relation.quoted} RENAME TO"
        try:
            self.sql.execute(f"{change} {to.quoted}")
        except SqlFailed as exc:
            if exc.condition not in _TOO_MANY_PARTS:
                raise
            self.sql.execute(f"{change} {quote(to.schema)}.{quote(to.identifier)}")

    def signed(self, user_metadata: str) -> SparkTables:
        """See `Tables`. Commits that cannot be signed are told apart by the release log alone."""
        own = self.sql.signed(user_metadata)
        return self if own is None else SparkTables(own)


def _at(table: RelationName, version: int | None) -> str:
    return table.quoted if version is None else f"{table.quoted} VERSION AS OF {int(version)}"


def _word(kind: Kind) -> str:
    return "VIEW" if kind == "view" else "TABLE"
