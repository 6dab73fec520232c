"""What can be asked of tables and views, and done to them: the interface, and the records it answers with.

`SparkTables` answers in SQL. Whatever decides about tables takes a `Tables`, and so can be tested on tables in memory.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from dbx_cd.delta.history import History
from dbx_cd.delta.view_reading import UNKNOWN_READING, ViewReading
from dbx_cd.relations import RelationName

Kind = Literal["table", "view", "missing", "other"]


@dataclass(frozen=True)
class Column:
    """A column as the catalog shows it."""

    name: str
    """Its name."""
    type: str
    """Its type in SQL."""
    nullable: bool = True
    """Whether it may be NULL."""
    comment: str | None = None
    """Its comment."""


@dataclass(frozen=True)
class CatalogEntry:
    """What the catalog knows of one relation."""

    kind: Kind
    """What it is to this library."""
    table_type: str = ""
    """The catalog's own word for it, such as `MANAGED`."""
    comment: str | None = None
    """Its comment."""
    view_text: str | None = None
    """The query of a view, where this user may read it."""
    columns: tuple[Column, ...] = ()
    """Its columns, in order."""
    created: datetime | None = None
    """When it was created, UTC, where the catalog says so: one that was made anew has another time."""
    defaults: Mapping[str, str] = field(default_factory=dict)
    """The default expressions of its columns, by column."""

    @property
    def is_query(self) -> bool:
        """Whether it is, or is filled from, a query that the catalog keeps: a view of any kind, a streaming table."""
        return self.table_type.upper() in ("VIEW", "MATERIALIZED_VIEW", "METRIC_VIEW", "STREAMING_TABLE")

    @property
    def is_shallow_clone(self) -> bool:
        """Whether it is a table that has data files of another one."""
        return self.table_type.upper().endswith("_SHALLOW_CLONE")


@dataclass(frozen=True)
class Function:
    """A function as the catalog shows it."""

    name: str
    """Its three-level name."""
    language: str = "SQL"
    """What it is written in: `SQL`, or another in which it reads no relation."""
    body: str | None = None
    """Its expression or query, where this user may read it (Unity Catalog shows it to the owner only)."""


@dataclass(frozen=True)
class Constraint:
    """An informational key: the catalog keeps it, Delta's RESTORE neither reverts nor drops it."""

    name: str
    """Its name."""
    type: str
    """`PRIMARY KEY` or `FOREIGN KEY`."""
    columns: tuple[str, ...] | None = None
    """Its columns, in order; None in records of before they were kept."""
    references: str | None = None
    """The key that a foreign key references, as `catalog.schema.name`."""
    parent: str | None = field(default=None, compare=False)
    """The table of that key, where this user may see it; None in records of before it was kept."""

    def __str__(self) -> str:
        columns = "" if self.columns is None else f" ({', '.join(self.columns)})"
        references = "" if self.references is None else f" references {self.references}"
        return f"{self.type.lower()} {self.name}{columns}{references}"


@dataclass(frozen=True)
class CatalogSettings:
    """What the catalog keeps of a relation besides its definition: RESTORE touches none of it.

    None stands for what is not known: a record of before it was kept, or a platform that does not say it.
    """

    keys: tuple[Constraint, ...] | None = None
    """The informational primary and foreign keys."""
    tags: Mapping[str, str] | None = None
    """Its tags, as far as this user may see them."""
    column_tags: Mapping[str, str] | None = None
    """The tags of its columns, by `column.tag`."""
    grants: tuple[str, ...] | None = None
    """What is granted on it, and not on its schema or catalog, as `PRIVILEGE to grantee`."""
    owner: str | None = None
    """Who owns it."""
    row_filter: str | None = None
    """The function that decides who sees which rows; "" where there is none."""
    column_masks: Mapping[str, str] | None = None
    """The functions that hide values, by column."""

    @property
    def fine_grained(self) -> tuple[str, ...]:
        """Its row filter and column masks, in words."""
        masks = [f"column mask {name} on {column}" for column, name in (self.column_masks or {}).items()]
        return (*([f"row filter {self.row_filter}"] if self.row_filter else []), *masks)


NOTHING_KNOWN = CatalogSettings()


@dataclass(frozen=True)
class TableDetail:
    """What DESCRIBE DETAIL says."""

    table_id: str
    """Delta's own id; CREATE OR REPLACE changes it and keeps the history (measured), so it identifies nothing."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """The properties as a user set them."""
    partitioned_by: tuple[str, ...] = ()
    """The columns it is partitioned by."""
    clustered_by: tuple[str, ...] = ()
    """The columns it is clustered by."""
    reader_version: int = 1
    """The protocol that readers need."""
    writer_version: int = 2
    """The protocol that writers need."""
    features: tuple[str, ...] = ()
    """The table features of its protocol."""
    files: int = 0
    """How many active files the current version has."""
    size: int = 0
    """The size of these files, in bytes."""
    comment: str | None = None
    """The comment that Delta keeps, "" where there is none; None in records of before it was kept."""

    @property
    def may_have_deletion_vectors(self) -> bool:
        """Whether rows can be gone from a file that is still active."""
        return "deletionVectors" in self.features


@dataclass(frozen=True)
class Fingerprint:
    """The active file set of one version.

    Two versions with the same fingerprint have the same rows, because Delta never changes a data file. A deletion
    vector changes a file's rows without changing its name, so where the version may have deletion vectors the rows'
    positions are part of the hash. Where it cannot have any, the number of rows of each file is enough.
    """

    files: int
    """How many files have rows."""
    rows: int
    """How many rows they have."""
    digest: int
    """One hash over the names of the files and the rows of each."""
    positions: bool = False
    """Whether the rows' positions are part of the hash."""


class Tables(Protocol):
    """Every method that is about one relation raises `SqlFailed` where that is missing."""

    def entries(self, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
        """What exists under these names, by `RelationName.key`.

        A relation whose catalog or schema does not exist is missing; one that the catalog merely does not show is not.
        The text of a view is None when this user may not read it (Unity Catalog shows it to the owner only).

        Raises:
            SqlFailed: a catalog cannot be asked, or hides a relation that there is.
        """

    def listed(self, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
        """What the catalog shows of relations, by key, and nothing of those that it does not show.

        A few queries a catalog, however many relations; that something is not there is not proved, see `entries`.
        """

    def settings(self, relations: Sequence[RelationName]) -> dict[str, CatalogSettings]:
        """What the catalog keeps of each besides its definition, by `RelationName.key`."""

    def functions(self, catalog: str, names: Collection[str]) -> dict[str, Function]:
        """The functions of a catalog that have one of these names of their own, in any schema, by `RelationName.key`.

        One that does not exist, or that this user may not see, is not among them.
        """

    def detail(self, table: RelationName) -> TableDetail:
        """What Delta says of a table's current version."""

    def history(self, table: RelationName, *, limit: int | None = None) -> History:
        """The newest `limit` commits, or all that the table's log still has."""

    def is_newest(self, table: RelationName, version: int) -> bool:
        """Whether a version is known to be the current one: a quick look, where a history takes longer.

        False also where that cannot be told; then the history tells.
        """

    def properties(self, relation: RelationName) -> dict[str, str]:
        """The properties of a table or view as a user set them."""

    def fingerprint(
        self, table: RelationName, version: int | None = None, *, positions: bool | None = None
    ) -> Fingerprint:
        """The active files of a version, proved to be there.

        Args:
            table: a Delta table.
            version: by default the current one.
            positions: whether to take the rows' positions into the hash; by default if the version offers them.

        Raises:
            SqlFailed: the version, or one of its files, cannot be read any more.
        """

    def schema_json(self, table: RelationName, version: int | None = None) -> str:
        """The schema of a version as Spark's JSON, column comments included; nothing is read."""

    def dropped(self, *, catalog: str, schema: str) -> frozenset[str] | None:
        """Names, in lower case, of the dropped tables that UNDROP can bring back; None where there is no UNDROP."""

    def view_reading(self, view: RelationName) -> ViewReading:
        """How a view's query is read, as far as the platform says it."""

    def read_one(self, relation: RelationName) -> None:
        """Read one row, which a view that has lost a column does not survive."""

    def restore(self, table: RelationName, version: int) -> None:
        """Make a table what it was at a version, by a commit of its own."""

    def set_properties(self, table: RelationName, properties: Mapping[str, str]) -> None:
        """Set properties of a table."""

    def unset_properties(self, table: RelationName, names: Sequence[str]) -> None:
        """Remove properties of a table, where it has them."""

    def undrop(self, table: RelationName) -> None:
        """Bring a dropped table back. Databricks SQL, by its documentation; not verified."""

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
        """Create or replace a view.

        `reading`: how its query is read; what is not known of that is as in the session.
        """

    def drop(self, relation: RelationName, *, kind: Kind) -> None:
        """Drop a table or view, where it exists."""

    def rename(self, relation: RelationName, to: RelationName, *, kind: Kind) -> None:
        """Give a table or view another name."""

    def signed(self, user_metadata: str) -> Tables:
        """Tables whose commits carry a text in their history, where the platform lets them."""
