"""What production was before a release, and where its builds left it: two records of the release log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar

from dbx_cd import html
from dbx_cd.delta.tables import Kind
from dbx_cd.records import Record
from dbx_cd.relations import RelationName
from dbx_cd.rollback.readiness import Readiness, readiness_of
from dbx_cd.rollback.relation_state import RelationState


@dataclass(frozen=True)
class RestorePoint(Record):
    """Every relation a build may touch, as it was before."""

    KIND: ClassVar[str] = "restore_point"
    FORMAT: ClassVar[int] = 2

    release_id: str
    """The release about to change them."""
    taken_at: datetime
    """When, UTC."""
    relations: tuple[RelationState, ...]
    """Each relation as it was."""
    writers: tuple[str, ...] = ()
    """Whose commits are the release's own, as the platform names them; empty in records of format 1."""
    target: str = ""
    """The gated target; "" in records of wheels that took a release to have one."""

    @classmethod
    def upgrade(cls, d: dict[Any, Any], written: int) -> dict[Any, Any]:
        """Format 1 had the keys and tags of a relation among its own, and nothing else that the catalog keeps."""
        if written >= 2:
            return d
        return d | {"relations": [_with_settings(relation) for relation in d["relations"]]}

    @cached_property
    def readiness(self) -> tuple[Readiness, ...]:
        """Whether and until when each relation can be brought back."""
        return tuple(readiness_of(state, self.taken_at) for state in self.relations)

    @property
    def ok(self) -> bool:
        """Whether every relation can be brought back by the restore itself."""
        return all(r.status == "restorable" for r in self.readiness)

    def state(self, relation: RelationName) -> RelationState | None:
        """The state of one relation, or None when it is not in the restore point."""
        return self._by_key.get(relation.key)

    @cached_property
    def _by_key(self) -> Mapping[str, RelationState]:
        return {state.relation.key: state for state in self.relations}

    def __str__(self) -> str:
        blocked = [r for r in self.readiness if r.status != "restorable"]
        ends = [r.until for r in self.readiness if r.until]
        until = f", until {min(ends):%Y-%m-%d %H:%M} UTC (longer: extend_retention)" if ends else ""
        lost = "".join(f"; {r.status}: {r.name} ({r.reason})" for r in blocked)
        restorable = len(self.relations) - len(blocked)
        return f"restore point of {len(self.relations)} relations: {restorable} restorable{until}{lost}"

    def to_html(self) -> str:
        """The relations with what would bring each one back."""
        rows = [
            (s.name, s.table_type or s.kind, s.version, s.fingerprint.rows if s.fingerprint else None,
             html.badge(r.status), f"{r.until:%Y-%m-%d %H:%M} UTC" if r.until else None, r.reason)
            for s, r in zip(self.relations, self.readiness, strict=True)
        ]  # fmt: skip
        headers = ("relation", "kind", "version", "rows", "rollback", "until", "why")
        return str(html.section("Restore point", html.paragraph(str(self)), html.table(headers, rows)))


def _with_settings(relation: dict[str, Any]) -> dict[str, Any]:
    settings = {name: relation[name] for name in ("keys", "tags") if name in relation}
    return {name: value for name, value in relation.items() if name not in settings} | {"settings": settings}


@dataclass(frozen=True)
class VersionAfter:
    """Where the release's own build left one relation."""

    name: str
    """The relation, with catalog and schema."""
    kind: Kind
    """What it was then."""
    version: int | None = None
    """A table's version."""
    committed_at: datetime | None = None
    """When that version was committed, UTC."""
    commit_mark: str | None = None
    """The mark of the commit that made it."""
    definition: str | None = None
    """A digest of what a view was."""
    is_built: bool | None = None
    """Whether dbt says that it has built it; None where it could not say, and in records of format 1."""


@dataclass(frozen=True)
class VersionsAfter(Record):
    """The relations of a restore point after the build: later commits are not the release's own."""

    KIND: ClassVar[str] = "built_versions"
    FORMAT: ClassVar[int] = 2

    release_id: str
    """The release."""
    taken_at: datetime
    """When, UTC."""
    relations: tuple[VersionAfter, ...]
    """Each relation as the build left it."""
    target: str = ""
    """The gated target; "" in records of wheels that took a release to have one."""

    def of(self, relation: RelationName) -> VersionAfter | None:
        """One relation, or None when it is not among them."""
        return self._by_key.get(relation.key)

    @cached_property
    def _by_key(self) -> Mapping[str, VersionAfter]:
        return {RelationName.parse(after.name).key: after for after in self.relations}

    def __str__(self) -> str:
        return f"versions of {len(self.relations)} relations after the build"
