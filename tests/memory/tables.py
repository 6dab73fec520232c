"""Tables with histories, and views, in memory: what a rollback decides by, without Spark."""

from __future__ import annotations

import itertools
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from dbx_cd.delta.history import Commit, History
from dbx_cd.delta.retention import retention
from dbx_cd.delta.tables import CatalogEntry, CatalogSettings, Column, Fingerprint, Function, Kind, TableDetail
from dbx_cd.delta.view_reading import UNKNOWN_READING, ViewReading
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName

_FILES = itertools.count(1)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
TOO_OLD = "DELTA_UNSUPPORTED_TIME_TRAVEL_BEYOND_DELETED_FILE_RETENTION_DURATION"


@dataclass(frozen=True)
class Content:
    """What one version of a table holds: files that never change, each with its rows."""

    files: Mapping[int, tuple[object, ...]]
    columns: tuple[Column, ...] = (Column("id", "bigint"),)
    properties: Mapping[str, str] = field(default_factory=dict)
    partitioned_by: tuple[str, ...] = ()
    clustered_by: tuple[str, ...] = ()
    comment: str = ""

    @property
    def rows(self) -> list[object]:
        """All rows, sorted."""
        return sorted((row for rows in self.files.values() for row in rows), key=repr)


@dataclass
class MemoryTable:
    """One table's versions."""

    contents: list[Content] = field(default_factory=list)
    commits: list[Commit] = field(default_factory=list)
    lost: set[int] = field(default_factory=set)
    comment: str | None = None
    begins: datetime = _LONG_AGO
    table_type: str = "MANAGED"
    defaults: dict[str, str] = field(default_factory=dict)

    @property
    def now(self) -> Content:
        """The current version's content."""
        return self.contents[-1]

    def commit(
        self,
        operation: str,
        content: Content,
        *,
        signature: str | None = None,
        user: str | None = None,
        **parameters: str,
    ) -> None:
        """Add a version."""
        at = max(datetime.now(UTC), self.begins)
        if self.commits:
            at = max(at, self.commits[-1].at + timedelta(milliseconds=1))
        self.contents.append(content)
        version = len(self.commits)
        self.commits.append(Commit(version, at, operation, user, parameters=parameters, user_metadata=signature))


@dataclass(frozen=True)
class MemoryView:
    """One view: a query over one relation, and the columns that it needs of it."""

    text: str
    columns: tuple[Column, ...] = ()
    comment: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    reading: ViewReading = UNKNOWN_READING


class MemoryTables:
    """`Tables` in memory, and what a build or somebody else does to them.

    Args:
        has_undrop: whether a dropped table can be brought back, as on Databricks.
    """

    def __init__(self, *, has_undrop: bool = False) -> None:
        self._has_undrop = has_undrop
        self._signature: str | None = None
        self.user: str | None = "bot"
        self.refuses_properties_of: set[str] = set()
        self.catalog_settings: dict[str, CatalogSettings] = {}
        self.current_schema: tuple[str, ...] = ("spark_catalog", "default")
        self.relations: dict[str, MemoryTable | MemoryView] = {}
        self.hidden: set[str] = set()
        self.hidden_texts: set[str] = set()
        self.known_functions: dict[str, Function] = {}
        self.dropped_tables: dict[str, MemoryTable] = {}

    # What a build, or somebody else, does

    def create(self, name: RelationName, *rows: object, columns: Sequence[str] = ("id",)) -> None:
        """CREATE OR REPLACE TABLE with these rows: a table that is there keeps its history, and no properties."""
        found = self.relations.get(name.key)
        table = found if isinstance(found, MemoryTable) else MemoryTable(begins=self._after_what_was_dropped(name))
        operation = "CREATE OR REPLACE TABLE AS SELECT" if table.commits else "CREATE TABLE AS SELECT"
        content = Content({next(_FILES): rows}, tuple(Column(c, "bigint") for c in columns))
        table.commit(operation, content, signature=self._signature, user=self.user)
        self.relations[name.key] = table

    def _after_what_was_dropped(self, name: RelationName) -> datetime:
        """A second later than a table of that name was written to last, as nobody is quicker than that."""
        dropped = self.dropped_tables.get(name.key)
        return _LONG_AGO if dropped is None else dropped.commits[-1].at + timedelta(seconds=1)

    def insert(self, name: RelationName, *rows: object) -> None:
        """INSERT INTO."""
        table = self.table(name)
        content = replace(table.now, files={**table.now.files, next(_FILES): rows})
        table.commit("WRITE", content, signature=self._signature, user=self.user, mode="Append")

    def optimize(self, name: RelationName) -> None:
        """OPTIMIZE: the same rows in another file."""
        table = self.table(name)
        table.commit("OPTIMIZE", replace(table.now, files={next(_FILES): tuple(table.now.rows)}), user=self.user)

    def vacuum(self, name: RelationName) -> None:
        """VACUUM of everything that the current version does not need."""
        table = self.table(name)
        table.lost |= {f for c in table.contents for f in c.files} - set(table.now.files)

    def age(self, name: RelationName, *, days: float) -> None:
        """Make every commit so much older."""
        table = self.table(name)
        table.commits = [replace(c, at=c.at - timedelta(days=days)) for c in table.commits]

    def view(self, name: RelationName, over: RelationName, *, column: str = "id") -> None:
        """CREATE OR REPLACE VIEW."""
        text = f"SELECT {column} FROM {over.quoted}"
        self.create_view(name, text=text, columns=(Column(column, "bigint"),), comment=None, properties={})

    def clone(self, name: RelationName, source: RelationName) -> None:
        """CREATE TABLE ... SHALLOW CLONE."""
        table = MemoryTable(table_type="MANAGED_SHALLOW_CLONE")
        table.commit("CLONE", self.table(source).now, user=self.user, source=str(source))
        self.relations[name.key] = table

    def default(self, name: RelationName, column: str, expression: str) -> None:
        """ALTER TABLE ... ALTER COLUMN ... SET DEFAULT."""
        self.table(name).defaults[column] = expression

    def function(self, name: RelationName, body: str | None, *, language: str = "SQL") -> None:
        """CREATE FUNCTION; without a body it is one whose body this user may not read."""
        self.known_functions[name.key] = Function(str(name), language, body)

    def table(self, name: RelationName) -> MemoryTable:
        """The table of that name."""
        found = self.relations.get(name.key)
        if not isinstance(found, MemoryTable):
            raise SqlFailed(f"[TABLE_OR_VIEW_NOT_FOUND] {name.quoted}", condition="TABLE_OR_VIEW_NOT_FOUND")
        return found

    def rows(self, name: RelationName) -> list[object]:
        """What a SELECT returns."""
        return self.table(name).now.rows

    # The interface

    def entries(self, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
        """See `Tables`."""
        if hidden := [str(r) for r in relations if r.key in self.hidden]:
            raise SqlFailed(f"{', '.join(hidden)} exists, but information_schema does not show it to this user")
        return {r.key: self._entry(r) for r in relations}

    def listed(self, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
        """See `Tables`."""
        return {r.key: self._entry(r) for r in relations if r.key in self.relations}

    def settings(self, relations: Sequence[RelationName]) -> dict[str, CatalogSettings]:
        """See `Tables`."""
        nothing = CatalogSettings(
            keys=(), tags={}, column_tags={}, grants=(), owner="owner", row_filter="", column_masks={}
        )
        return {r.key: self.catalog_settings.get(r.key, nothing) for r in relations}

    def functions(self, catalog: str, names: Collection[str]) -> dict[str, Function]:
        """See `Tables`."""
        wanted = {name.lower() for name in names}
        known = {key: RelationName.parse(key) for key in self.known_functions}
        mine = {key for key, name in known.items() if name.catalog == catalog.lower() and name.identifier in wanted}
        return {key: self.known_functions[key] for key in mine}

    def detail(self, table: RelationName) -> TableDetail:
        """See `Tables`."""
        now = self.table(table).now
        return TableDetail(
            str(id(now)),
            now.properties,
            now.partitioned_by,
            now.clustered_by,
            files=len(now.files),
            size=100 * len(now.rows),
            comment=now.comment,
        )

    def history(self, table: RelationName, *, limit: int | None = None) -> History:
        """See `Tables`."""
        commits = self.table(table).commits
        return History.of(commits[-limit:] if limit else commits)

    def is_newest(self, table: RelationName, version: int) -> bool:
        """See `Tables`."""
        found = self.relations.get(table.key)
        return isinstance(found, MemoryTable) and len(found.commits) == version + 1

    def properties(self, relation: RelationName) -> dict[str, str]:
        """See `Tables`."""
        found = self.relations.get(relation.key)
        if isinstance(found, MemoryView):
            return dict(found.properties)
        return dict(self.table(relation).now.properties)

    def fingerprint(
        self, table: RelationName, version: int | None = None, *, positions: bool | None = None
    ) -> Fingerprint:
        """See `Tables`."""
        content = self._content(table, version)
        gone = set(content.files) & self.table(table).lost
        if gone:
            raise SqlFailed(f"[FAILED_READ_FILE.FILE_NOT_EXIST] {sorted(gone)}", condition="FAILED_READ_FILE")
        sizes = sorted((f, len(rows)) for f, rows in content.files.items() if rows)
        return Fingerprint(len(sizes), sum(n for _, n in sizes), hash(tuple(sizes)), bool(positions))

    def schema_json(self, table: RelationName, version: int | None = None) -> str:
        """See `Tables`."""
        return json.dumps([vars(column) for column in self._content(table, version).columns])

    def dropped(self, *, catalog: str, schema: str) -> frozenset[str] | None:
        """See `Tables`."""
        if not self._has_undrop:
            return None
        names = map(RelationName.parse, self.dropped_tables)
        return frozenset(n.identifier for n in names if (n.catalog, n.schema) == (catalog.lower(), schema.lower()))

    def view_reading(self, view: RelationName) -> ViewReading:
        """See `Tables`."""
        found = self.relations.get(view.key)
        assert isinstance(found, MemoryView)
        return found.reading

    def read_one(self, relation: RelationName) -> None:
        """See `Tables`; a view needs its columns in what it reads."""
        found = self.relations.get(relation.key)
        if not isinstance(found, MemoryView):
            self._content(relation, None)
            return
        over = RelationName.parse(found.text.rsplit(" ", 1)[1])
        self.read_one(over)
        there = self._entry(over).columns
        missing = {c.name for c in found.columns} - {c.name for c in there}
        if missing:
            raise SqlFailed(f"[UNRESOLVED_COLUMN] {sorted(missing)}", condition="UNRESOLVED_COLUMN")

    def restore(self, table: RelationName, version: int) -> None:
        """RESTORE: always a commit of its own, also of properties."""
        self.fingerprint(table, version)
        content = self._content(table, version)
        self.table(table).commit("RESTORE", content, signature=self._signature, user=self.user, version=str(version))

    def set_properties(self, table: RelationName, properties: Mapping[str, str]) -> None:
        """See `Tables`."""
        found = self._alterable(table)
        content = replace(found.now, properties={**found.now.properties, **properties})
        found.commit("SET TBLPROPERTIES", content, user=self.user, properties=json.dumps(dict(properties)))

    def unset_properties(self, table: RelationName, names: Sequence[str]) -> None:
        """See `Tables`."""
        found = self._alterable(table)
        content = replace(found.now, properties={k: v for k, v in found.now.properties.items() if k not in names})
        found.commit("UNSET TBLPROPERTIES", content, user=self.user, properties=json.dumps(list(names)))

    def _alterable(self, table: RelationName) -> MemoryTable:
        if table.key in self.refuses_properties_of:
            raise SqlFailed(f"[INSUFFICIENT_PERMISSIONS] MODIFY {table.quoted}", condition="INSUFFICIENT_PERMISSIONS")
        return self.table(table)

    def undrop(self, table: RelationName) -> None:
        """See `Tables`."""
        if not self._has_undrop or table.key not in self.dropped_tables or table.key in self.relations:
            raise SqlFailed(f"[UNDROP] cannot bring {table.quoted} back", condition="PARSE_SYNTAX_ERROR")
        self.relations[table.key] = self.dropped_tables.pop(table.key)

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
        """See `Tables`."""
        if isinstance(self.relations.get(view.key), MemoryTable):
            raise SqlFailed(f"[EXPECT_VIEW_NOT_TABLE] {view.quoted}", condition="EXPECT_VIEW_NOT_TABLE")
        if reading.namespace is None:
            reading = replace(reading, namespace=self.current_schema)
        self.relations[view.key] = MemoryView(text, tuple(columns), comment, dict(properties), reading)

    def drop(self, relation: RelationName, *, kind: Kind) -> None:
        """See `Tables`."""
        found = self.relations.get(relation.key)
        if found is not None and (kind == "view") != isinstance(found, MemoryView):
            raise SqlFailed(f"[WRONG_COMMAND_FOR_OBJECT_TYPE] {relation.quoted}", condition="WRONG_COMMAND")
        self.relations.pop(relation.key, None)
        if isinstance(found, MemoryTable):
            self.dropped_tables[relation.key] = found

    def rename(self, relation: RelationName, to: RelationName, *, kind: Kind) -> None:
        """See `Tables`."""
        if to.key in self.relations or relation.key not in self.relations:
            raise SqlFailed(f"cannot rename {relation.quoted} to {to.quoted}", condition="TABLE_OR_VIEW_NOT_FOUND")
        self.relations[to.key] = self.relations.pop(relation.key)

    def signed(self, user_metadata: str) -> MemoryTables:
        """See `Tables`: the same relations."""
        other = MemoryTables(has_undrop=self._has_undrop)
        other.catalog_settings = self.catalog_settings
        other.hidden, other.hidden_texts, other.known_functions = self.hidden, self.hidden_texts, self.known_functions
        other.relations, other.dropped_tables = self.relations, self.dropped_tables
        other._signature, other.user, other.refuses_properties_of = user_metadata, self.user, self.refuses_properties_of
        return other

    def _entry(self, name: RelationName) -> CatalogEntry:
        match self.relations.get(name.key):
            case MemoryView() as view:
                text = None if name.key in self.hidden_texts else view.text
                return CatalogEntry("view", "VIEW", view.comment, text, view.columns)
            case MemoryTable() as table:
                kind: Kind = "table" if table.table_type == "MANAGED" else "other"
                return CatalogEntry(
                    kind,
                    table.table_type,
                    table.comment,
                    None,
                    table.now.columns,
                    created=table.commits[0].at,
                    defaults=table.defaults,
                )
        return CatalogEntry("missing")

    def _content(self, name: RelationName, version: int | None) -> Content:
        table = self.table(name)
        if version is None:
            return table.now
        if version >= len(table.contents):
            raise SqlFailed(f"[DELTA_VERSION_NOT_FOUND] {version}", condition="DELTA_VERSION_NOT_FOUND")
        kept = retention(table.now.properties, "delta.deletedFileRetentionDuration")
        if version < len(table.contents) - 1 and table.commits[version].at < datetime.now(UTC) - kept:
            raise SqlFailed(f"[{TOO_OLD}] version {version}", condition=TOO_OLD)
        return table.contents[version]
