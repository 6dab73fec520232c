"""One relation at one moment: as a restore point records it, and as it is when a plan is made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property

from dbx_cd.delta.history import History
from dbx_cd.delta.tables import NOTHING_KNOWN, CatalogEntry, CatalogSettings, Column, Fingerprint, Kind, TableDetail
from dbx_cd.delta.view_reading import ViewReading
from dbx_cd.digest import digest
from dbx_cd.errors import DbxCdError
from dbx_cd.relations import RelationName


@dataclass(frozen=True)
class RelationState:
    """One relation at one moment; which fields are set depends on what it is."""

    name: str
    """The relation, with catalog and schema."""
    kind: Kind
    """What it is."""
    table_type: str = ""
    """The catalog's own word for it, such as `MANAGED`."""
    version: int | None = None
    """A table's version."""
    committed_at: datetime | None = None
    """When that version was committed, UTC; see `History.has` for how two such times compare."""
    commit_mark: str | None = None
    """The mark of the commit that made it: another table of that name has another one there."""
    refresh_due: bool = False
    """Whether the version is too old to go back to once the build has replaced it; see `refresh`."""
    refreshed_from: int | None = None
    """The version before the release made one of today of it, with the same content."""
    refresh_error: str | None = None
    """Why no version of today could be made, where one was due."""
    detail: TableDetail | None = None
    """What Delta says of a table."""
    fingerprint: Fingerprint | None = None
    """A table's active files, proved to be there."""
    unreadable: str | None = None
    """Why the current files cannot be read, where they cannot."""
    columns: tuple[Column, ...] = ()
    """Its columns, in order."""
    comment: str | None = None
    """Its comment."""
    settings: CatalogSettings = NOTHING_KNOWN
    """What the catalog keeps of it besides."""
    view_text: str | None = None
    """The query of a view, where this user may read it."""
    view_reading: ViewReading | None = None
    """How the view's query is read; None in records of before that was kept."""
    view_properties: Mapping[str, str] = field(default_factory=dict)
    """The properties of a view."""
    properties_after: Mapping[str, str] | None = None
    """What the build makes of a table's properties, as far as the project says; None where it leaves them."""
    replaced_by: str = ""
    """What the build puts in a table's place after dropping it; "" where the table stays."""
    can_undrop: bool = False
    """Whether the platform has UNDROP for a table that the build drops."""
    readers: tuple[str, ...] = ()
    """The nodes of the project that read it."""

    @cached_property
    def relation(self) -> RelationName:
        """The name, parsed."""
        return RelationName.parse(self.name)

    @property
    def definition(self) -> str | None:
        """A digest of what a view is; None for what is no view."""
        if self.kind != "view":
            return None
        return view_definition(self, self.view_properties, reading=self.view_reading)

    @property
    def view_namespace(self) -> tuple[str, ...] | None:
        """Catalog and schema in which names of one or two parts in the view's query mean relations."""
        return self.view_reading.namespace if self.view_reading else None

    @property
    def properties(self) -> Mapping[str, str]:
        """The properties of a table or view."""
        return self.detail.properties if self.detail else self.view_properties


def view_definition(
    view: RelationState | CatalogEntry, properties: Mapping[str, str], *, reading: ViewReading | None
) -> str:
    """A digest of what a view is: text, how that is read, columns, comment and properties.

    `reading` is None for records of before it was kept, and for whatever is compared with them.
    """
    columns = [(c.name, c.comment) for c in view.columns]
    parts: list[object] = [view.view_text, columns, view.comment or None, dict(properties)]
    return digest(parts if reading is None else [*parts, asdict(reading)])


@dataclass(frozen=True)
class Present:
    """A relation as it is when a plan is made."""

    entry: CatalogEntry
    """What the catalog says."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """A table's properties."""
    detail: TableDetail | None = None
    """What Delta says of a table, where it was asked for."""
    settings: CatalogSettings = NOTHING_KNOWN
    """What the catalog keeps of it besides, where it was asked for."""
    history: History | None = None
    """A table's commits."""
    definition: str | None = None
    """A digest of what a view is, in the form of the record that it is compared with."""
    definitions: frozenset[str] = frozenset()
    """The same in every form that records have had."""

    @property
    def kind(self) -> Kind:
        """What it is now."""
        return self.entry.kind


def hides_files(columns: Iterable[Column]) -> bool:
    """Whether a table has a column of the name by which SQL asks for a row's file, and so hides that (measured)."""
    return any(column.name.lower() == "_metadata" for column in columns)


def written(relation: RelationName) -> str:
    """The name as records hold it: plain, or in backticks where the plain form would not read back."""
    try:
        return str(relation) if RelationName.parse(str(relation)) == relation else relation.quoted
    except DbxCdError:
        return relation.quoted
