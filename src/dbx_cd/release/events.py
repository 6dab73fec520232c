"""The events of a release that are records of their own and belong to no other module."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from dbx_cd.dbt.selection import WithParents
from dbx_cd.records import Record


@dataclass(frozen=True)
class Release(Record):
    """One run of the Workflow for one commit."""

    KIND: ClassVar[str] = "opened"

    id: str
    commit: str
    run_id: str
    requester: str
    opened_at: datetime
    reason: str | None = None

    def __str__(self) -> str:
        return f"release {self.id} of commit {self.commit[:12]}"


@dataclass(frozen=True)
class Superseded(Record):
    """A newer release has overtaken an undecided one."""

    KIND: ClassVar[str] = "superseded"

    by: str


@dataclass(frozen=True)
class Deploying(Record):
    """A gated target is about to be changed."""

    KIND: ClassVar[str] = "deploying"

    target: str


@dataclass(frozen=True)
class Deployed(Record):
    """A gated target was built; `project_digest` is the sha256 of the project archive it was built from."""

    KIND: ClassVar[str] = "deployed"

    target: str
    project_digest: str


@dataclass(frozen=True)
class Failed(Record):
    """A step failed in a way that ends the deploy."""

    KIND: ClassVar[str] = "failed"

    target: str
    reason: str


@dataclass(frozen=True)
class Built(Record):
    """One build: what was asked, where its artifacts are, how it ended.

    `timestamp` is "" when dbt left nothing to publish. `project_digest` is the sha256 of the project archive.
    """

    KIND: ClassVar[str] = "built"

    target: str
    gated: bool
    ok: bool
    outcome: str
    timestamp: str
    project_digest: str
    select: str | None = None
    exclude: str | None = None
    with_parents: WithParents = "none"
    full_refresh: bool = False

    def __str__(self) -> str:
        return self.outcome
