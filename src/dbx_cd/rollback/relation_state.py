"""One relation at one moment: as a restore point records it, and as it is when a plan is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from dbx_cd.delta.history import History
from dbx_cd.delta.tables import CatalogEntry, Column, Constraint, Fingerprint, Kind, TableDetail
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
    """When that version was committed, UTC: another table of that name has another time there."""
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
    keys: tuple[Constraint, ...] = ()
    """Its informational keys."""
    view_text: str | None = None
    """The query of a view, where this user may read it."""
    view_properties: Mapping[str, str] = field(default_factory=dict)
    """The properties of a view."""
    replaced_by: str = ""
    """What the build puts in a table's place after dropping it; "" where the table stays."""
    can_undrop: bool = False
    """Whether the platform has UNDROP for a table that the build drops."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Its tags, as far as this user may see them."""
    readers: tuple[str, ...] = ()
    """The nodes of the project that read it."""

    @cached_property
    def relation(self) -> RelationName:
        """The name, parsed."""
        return RelationName.parse(self.name)

    @property
    def definition(self) -> str | None:
        """A digest of what a view is: text, columns, comment and properties; None for what is no view."""
        return view_definition(self, self.view_properties) if self.kind == "view" else None

    @property
    def properties(self) -> Mapping[str, str]:
        """The properties of a table or view."""
        return self.detail.properties if self.detail else self.view_properties


def view_definition(view: RelationState | CatalogEntry, properties: Mapping[str, str]) -> str:
    """A digest of what a view is: text, columns, comment and properties."""
    columns = [(c.name, c.comment) for c in view.columns]
    return digest([view.view_text, columns, view.comment or None, dict(properties)])


@dataclass(frozen=True)
class Present:
    """A relation as it is when a plan is made."""

    entry: CatalogEntry
    """What the catalog says."""
    properties: Mapping[str, str] = field(default_factory=dict)
    """A table's properties."""
    size: int | None = None
    """A table's size in bytes, where it was asked for."""
    history: History | None = None
    """A table's commits."""
    definition: str | None = None
    """A digest of what a view is."""

    @property
    def kind(self) -> Kind:
        """What it is now."""
        return self.entry.kind


def written(relation: RelationName) -> str:
    """The name as records hold it: plain, or in backticks where the plain form would not read back."""
    try:
        return str(relation) if RelationName.parse(str(relation)) == relation else relation.quoted
    except DbxCdError:
        return relation.quoted
