"""What can be asked of tables and views, and done to them: the interface, and the records it answers with.

`SparkTables` answers in SQL. Whatever decides about tables takes a `Tables`, and so can be tested on tables in memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from dbx_cd.delta.history import History
from dbx_cd.relations import RelationName

Kind = Literal["table", "view", "missing", "other"]


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


class Tables(Protocol):
    """Every method but `entries`, `keys`, `tags` and `dropped` raises `SqlFailed` where its relation is missing."""

    def entries(self, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
        """What exists under these names, by `RelationName.key`.

        A relation whose catalog or schema does not exist is missing. The text of a view is None when this user may not
        read it (Unity Catalog shows it to the owner only).
        """

    def keys(self, relations: Sequence[RelationName]) -> dict[str, tuple[Constraint, ...]]:
        """The informational primary and foreign keys, by `RelationName.key`."""

    def tags(self, relations: Sequence[RelationName]) -> dict[str, dict[str, str]]:
        """The tags of tables and views, by `RelationName.key`, as far as this user may see them."""

    def detail(self, table: RelationName) -> TableDetail:
        """What Delta says of a table's current version."""

    def history(self, table: RelationName, *, limit: int | None = None) -> History:
        """The newest `limit` commits, or all that the table's log still has."""

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

    def read_one(self, relation: RelationName) -> None:
        """Read one row, which a view that has lost a column does not survive."""

    def restore(self, table: RelationName, version: int) -> None:
        """Make a table what it was at a version, by a commit of its own."""

    def set_properties(self, table: RelationName, properties: Mapping[str, str]) -> None:
        """Set properties of a table."""

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
    ) -> None:
        """Create or replace a view."""

    def drop(self, relation: RelationName, *, kind: Kind) -> None:
        """Drop a table or view, where it exists."""

    def rename(self, relation: RelationName, to: RelationName, *, kind: Kind) -> None:
        """Give a table or view another name."""

    def signed(self, user_metadata: str) -> Tables:
        """Tables whose commits carry a text in their history, where the platform lets them."""
