"""One relation of a restore plan: what is to be done with it, why, and what that would undo."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

from dbx_cd.delta.tables import Fingerprint, Kind
from dbx_cd.relations import RelationName

Action = Literal["restore", "recreate_view", "drop", "keep", "none", "undrop", "rebuild", "impossible"]
NewTables = Literal["keep", "drop"]

CHANGING: tuple[Action, ...] = ("restore", "recreate_view", "drop", "undrop")
"""The actions that change a relation."""


@dataclass(frozen=True)
class PlanItem:
    """One relation of a restore plan."""

    name: str
    """The relation, with catalog and schema."""
    action: Action
    """What a restore does with it; `rebuild` and `impossible` are what it cannot do."""
    reason: str
    """Why, for people."""
    now: str
    """What the relation is, in a form that maintenance does not change."""
    kind_before: Kind
    """What it was before the release."""
    kind_now: Kind
    """What it is now."""
    from_version: int | None = None
    """A table's current version."""
    to_version: int | None = None
    """The version that a table goes back to."""
    until: datetime | None = None
    """Until when Delta goes back to `to_version`, UTC; None where that has no end."""
    fingerprint: Fingerprint | None = None
    """The files of `to_version`, proved to be there."""
    schema: str | None = None
    """A digest of the schema of `to_version`."""
    created: datetime | None = None
    """When the catalog says that the relation was created which has the name now."""
    rows_written: int | None = None
    """Rows inserted, updated or deleted by commits still in effect, as far as their metrics say."""
    bytes_now: int | None = None
    """The size of a table's current version, in bytes."""
    bytes_then: int | None = None
    """The size that the table had before the release, in bytes."""
    later_writes: tuple[str, ...] = ()
    """Commits of others that a restore would erase, each described."""
    warnings: tuple[str, ...] = ()
    """What readers of the table will meet."""
    differences: tuple[str, ...] = ()
    """What will not be as it was, although the item is carried out."""
    keep_properties: Mapping[str, str] = field(default_factory=dict)
    """Properties that RESTORE would silently revert, and that are set again afterwards."""

    @cached_property
    def relation(self) -> RelationName:
        """The name, parsed."""
        return RelationName.parse(self.name)

    @property
    def changes(self) -> bool:
        """Whether carrying the item out changes the relation."""
        return self.action in CHANGING

    def __str__(self) -> str:
        versions = f", version {self.from_version} -> {self.to_version}" if self.action == "restore" else ""
        written = f", {self.rows_written:,} rows written since" if self.rows_written else ""
        return f"{self.name}{versions}: {self.reason}{written}"

    @property
    def is_view(self) -> bool:
        """Whether the relation is a view when all is done."""
        return self.kind_before == "view" or (self.kind_before == "missing" and self.kind_now == "view")
