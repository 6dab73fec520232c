"""The one place that asks Delta and the catalog about tables and views, in SQL only.

SQL works alike on a classic session, on Spark Connect (where the `delta.tables` Python API needs a server plugin) and
on Databricks. A table's storage is never listed and its log never opened: Unity Catalog refuses path access to managed
tables.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from dbx_cd.delta.history import RETENTION, Commit, History
from dbx_cd.relations import RelationName, quote, string_literal

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Kind = Literal["table", "view", "missing", "other"]
T = TypeVar("T")

_UNITS = {"week": 7 * 86400, "day": 86400, "hour": 3600, "minute": 60, "second": 1}


@dataclass(frozen=True)
class Column:
    """A column as the catalog shows it; `type` in SQL."""

    name: str
    type: str
    nullable: bool = True
    comment: str | None = None


@dataclass(frozen=True)
class CatalogEntry:
    """What the catalog knows of one relation. `table_type` is the catalog's own word, `view_text` only of views."""

    kind: Kind
    table_type: str = ""
    comment: str | None = None
    view_text: str | None = None
    columns: tuple[Column, ...] = ()


@dataclass(frozen=True)
class Constraint:
    """An informational key: the catalog keeps it, Delta's RESTORE neither reverts nor drops it."""

    name: str
    type: str


@dataclass(frozen=True)
class TableDetail:
    """What DESCRIBE DETAIL says.

    `table_id` is Delta's own; CREATE OR REPLACE changes it and keeps the history (measured), so it does not tell
    whether a table is still the same one. `files` and `size` (bytes) count the current version's active files.
    """

    table_id: str
    properties: Mapping[str, str] = field(default_factory=dict)
    partitioned_by: tuple[str, ...] = ()
    clustered_by: tuple[str, ...] = ()
    reader_version: int = 1
    writer_version: int = 2
    features: tuple[str, ...] = ()
    files: int = 0
    size: int = 0

    @property
    def may_have_deletion_vectors(self) -> bool:
        """Whether rows can be gone from a file that is still active."""
        return "deletionVectors" in self.features


@dataclass(frozen=True)
class Fingerprint:
    """The active file set of one version: how many files with rows, how many rows, one hash over all of it.

    Two versions with the same fingerprint hold the same rows, because Delta never changes a data file. A deletion
    vector changes a file's rows without changing its name, so where the version may have deletion vectors the rows'
    positions are part of the hash (`positions`). Where it cannot have any, the number of rows of each file is enough.
    """

    files: int
    rows: int
    digest: int
    positions: bool = False


def sql_errors() -> tuple[type[Exception], ...]:
    """What a statement can raise: PySpark leaves a plain SparkException of the JVM, such as a missing file, to py4j."""
    from pyspark.errors import PySparkException

    try:
        from py4j.protocol import Py4JJavaError
    except ImportError:  # a pure Spark Connect client
        return (PySparkException,)
    return (PySparkException, Py4JJavaError)


def explain(error: Exception) -> str:
    """A statement's error as one line without stack traces."""
    java = getattr(error, "java_exception", None)
    text = str(java.getMessage()) if java is not None else str(error)
    return text.strip().split("\n", 1)[0]


def in_parallel(function: Any, items: Iterable[T], *, threads: int) -> list[Any]:
    """The function's results in the order of the items; statements of one session may run at the same time."""
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="dbx_cd") as pool:
        return list(pool.map(function, items))


def catalog_entries(spark: SparkSession, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
    """What exists under these names, by `RelationName.key`; three queries per catalog, however many relations.

    A relation whose catalog or schema does not exist is missing. The text of a view is None when this user may not
    read it (Unity Catalog shows it to the owner only).
    """
    entries: dict[str, CatalogEntry] = {r.key: CatalogEntry("missing") for r in relations}
    by_catalog: dict[str, list[RelationName]] = defaultdict(list)
    for relation in relations:
        by_catalog[relation.catalog].append(relation)
    for catalog, members in by_catalog.items():
        tables = _information(spark, catalog, "tables", members)
        views = {key: row["view_definition"] for key, row in _information(spark, catalog, "views", members)}
        columns: dict[str, list[Any]] = defaultdict(list)
        for key, row in _information(spark, catalog, "columns", members):
            columns[key].append(row)
        for key, row in tables:
            if key in entries:
                entries[key] = CatalogEntry(
                    kind=_kind(row["table_type"], row["data_source_format"]),
                    table_type=row["table_type"],
                    comment=row["comment"],
                    view_text=views.get(key),
                    columns=_columns(columns[key]),
                )
    return entries


def keys_of(spark: SparkSession, relations: Sequence[RelationName]) -> dict[str, tuple[Constraint, ...]]:
    """The informational primary and foreign keys, by `RelationName.key`; one query per catalog."""
    found: dict[str, list[Constraint]] = defaultdict(list)
    for catalog in sorted({r.catalog for r in relations}):
        members = [r for r in relations if r.catalog == catalog]
        for key, row in _information(spark, catalog, "table_constraints", members):
            found[key].append(Constraint(row["constraint_name"], row["constraint_type"]))
    return {key: tuple(sorted(constraints, key=lambda c: c.name)) for key, constraints in found.items()}


def tags_of(spark: SparkSession, relations: Sequence[RelationName]) -> dict[str, dict[str, str]]:
    """The tags of tables and views, by `RelationName.key`, as far as this user may see them; one query per catalog."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for catalog in sorted({r.catalog for r in relations}):
        members = [r for r in relations if r.catalog == catalog]
        for key, row in _information(spark, catalog, "table_tags", members, schema="schema_name"):
            found[key][row["tag_name"]] = row["tag_value"] or ""
    return dict(found)


def detail(spark: SparkSession, table: RelationName) -> TableDetail:
    """DESCRIBE DETAIL, without the name: it may show the physical one (measured)."""
    row = spark.sql(f"DESCRIBE DETAIL {table.quoted}").collect()[0].asDict()
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
    )


def history(spark: SparkSession, table: RelationName, *, limit: int | None = None) -> History:
    """The newest `limit` commits, or all that the table's log still holds."""
    rows = spark.sql(f"DESCRIBE HISTORY {table.quoted}" + (f" LIMIT {limit}" if limit else "")).collect()
    return History.of(Commit.read(row.asDict()) for row in rows)


def fingerprint(
    spark: SparkSession, table: RelationName, version: int | None = None, *, positions: bool | None = None
) -> Fingerprint:
    """Read the names of a version's active files, and how many rows each has, but none of its columns.

    This fails when a file of that version is gone, which a row count does not: it is answered from statistics
    (measured).

    Args:
        spark: a session.
        table: a Delta table.
        version: by default the current one.
        positions: whether to take the rows' positions into the hash; by default if the version offers them. Delta does
            so only where the version's protocol has deletion vectors (measured).

    Raises:
        pyspark.errors.PySparkException: the version, or one of its files, cannot be read any more.
    """
    from pyspark.errors import AnalysisException

    if positions is None:
        try:
            return fingerprint(spark, table, version, positions=True)
        except AnalysisException:
            return fingerprint(spark, table, version, positions=False)
    at = "" if version is None else f" VERSION AS OF {int(version)}"
    of_rows = ", bit_xor(xxhash64(_metadata.row_index))" if positions else ""
    row = spark.sql(
        "SELECT count(*) AS files, coalesce(sum(n), 0) AS n_rows, coalesce(bit_xor(h), 0) AS digest FROM ("
        f"SELECT count(*) AS n, xxhash64(_metadata.file_path, count(*){of_rows}) AS h "
        f"FROM {table.quoted}{at} GROUP BY _metadata.file_path)"
    ).collect()[0]
    return Fingerprint(files=row["files"], rows=row["n_rows"], digest=row["digest"], positions=positions)


def schema_json(spark: SparkSession, table: RelationName, version: int | None = None) -> str:
    """The schema of a version as Spark's JSON, column comments included; nothing is read."""
    at = "" if version is None else f" VERSION AS OF {int(version)}"
    return spark.sql(f"SELECT * FROM {table.quoted}{at}").schema.json()


def properties(spark: SparkSession, relation: RelationName) -> dict[str, str]:
    """The properties of a table or view as a user set them, without those Spark keeps in a view for itself."""
    rows = spark.sql(f"SHOW TBLPROPERTIES {relation.quoted}").collect()
    return {r["key"]: r["value"] for r in sorted(rows) if not r["key"].startswith("view.")}


def dropped_tables(spark: SparkSession, *, catalog: str, schema: str) -> frozenset[str] | None:
    """Names of the dropped tables that UNDROP can bring back, or None where the platform has no UNDROP.

    `SHOW TABLES DROPPED` is Databricks SQL (documentation); open-source Spark cannot parse it.
    """
    try:
        rows = spark.sql(f"SHOW TABLES DROPPED IN {quote(catalog)}.{quote(schema)}").collect()
    except sql_errors():
        return None
    return frozenset(str(r["tableName"]).lower() for r in rows)


def create_view_sql(
    view: RelationName, *, text: str, columns: Sequence[Column], comment: str | None, properties: Mapping[str, str]
) -> str:
    """CREATE OR REPLACE VIEW from its parts; the column list keeps names and comments that the query does not say."""
    listed = ", ".join(quote(c.name) + (f" COMMENT {string_literal(c.comment)}" if c.comment else "") for c in columns)
    parts = [f"CREATE OR REPLACE VIEW {view.quoted}"]
    if listed:
        parts.append(f"({listed})")
    if comment:
        parts.append(f"COMMENT {string_literal(comment)}")
    if properties:
        parts.append(f"TBLPROPERTIES ({property_list(properties)})")
    return " ".join(parts) + f" AS {text}"


def property_list(properties: Mapping[str, str]) -> str:
    """Properties as SQL writes them: 'key' = 'value', ..."""
    return ", ".join(f"{string_literal(k)} = {string_literal(v)}" for k, v in sorted(properties.items()))


def retention(properties: Mapping[str, str], name: str) -> timedelta:
    """How long a retention property keeps things: its value, or Delta's default where it is unset or unreadable."""
    return parse_interval(properties.get(name, "")) or RETENTION[name]


def parse_interval(text: str) -> timedelta | None:
    """`interval 7 days`, `168 hours` or `interval 1 week 2 days` as a duration; None for anything else.

    Months and years have no fixed length; Delta refuses them in retention properties as well.
    """
    body = text.strip().lower().removeprefix("interval").strip()
    found = re.findall(r"(\d+)\s+(week|day|hour|minute|second)s?\b", body)
    if not found or re.sub(r"(\d+)\s+(week|day|hour|minute|second)s?\b", "", body).strip():
        return None
    return timedelta(seconds=sum(int(n) * _UNITS[unit] for n, unit in found))


def _information(
    spark: SparkSession, catalog: str, relation: str, members: Sequence[RelationName], *, schema: str = "table_schema"
) -> list[tuple[str, Any]]:
    """Rows of one information_schema relation with the key of the relation each is about."""
    from pyspark.errors import AnalysisException

    def literals(names: Iterable[str]) -> str:
        # Unity Catalog keeps names in lower case, other catalogs as they were written.
        return ", ".join(string_literal(n) for n in sorted({form for name in names for form in (name, name.lower())}))

    try:
        rows = spark.sql(
            f"SELECT * FROM {quote(catalog)}.information_schema.{relation} "
            f"WHERE {schema} IN ({literals(r.schema for r in members)}) "
            f"AND table_name IN ({literals(r.identifier for r in members)})"
        ).collect()
    except AnalysisException as exc:
        if "NOT_FOUND" in str(exc.getCondition() if hasattr(exc, "getCondition") else exc.getErrorClass()):
            return []  # the catalog does not exist (yet)
        raise
    return [(RelationName(catalog, r[schema], r["table_name"]).key, r) for r in rows]


def _kind(table_type: str, data_source_format: str | None) -> Kind:
    """Types are those of Unity Catalog's information_schema.tables; anything not plain Delta cannot be restored."""
    if table_type == "VIEW":
        return "view"
    plain = table_type in ("MANAGED", "EXTERNAL", "BASE TABLE")
    return "table" if plain and (data_source_format or "DELTA").upper() == "DELTA" else "other"


def _columns(rows: Sequence[Any]) -> tuple[Column, ...]:
    ordered = sorted(rows, key=lambda r: r["ordinal_position"])
    return tuple(
        Column(r["column_name"], r["full_data_type"], r["is_nullable"] == "YES", r["comment"] or None) for r in ordered
    )
