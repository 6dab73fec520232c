"""The events of a release that are records of their own and belong to no other module."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from dbx_cd.dbt.selection import Selection
from dbx_cd.records import Record


@dataclass(frozen=True)
class Release(Record):
    """One run of the Workflow for one commit."""

    KIND: ClassVar[str] = "opened"

    id: str
    """UTC time of opening and short SHA: sorts by time."""
    commit: str
    """The full SHA that the run was started at."""
    run_id: str
    """The job run's id, which repairs keep."""
    requester: str
    """Who started the run, as the platform names them."""
    opened_at: datetime
    """When, UTC."""
    reason: str | None = None
    """Why, where somebody gave a reason."""

    def __str__(self) -> str:
        return f"release {self.id} of commit {self.commit[:12]}"


@dataclass(frozen=True)
class Superseded(Record):
    """A newer release has overtaken an undecided one."""

    KIND: ClassVar[str] = "superseded"

    by: str
    """The newer release's id."""

    def __str__(self) -> str:
        return f"superseded by {self.by}"


@dataclass(frozen=True)
class Deploying(Record):
    """A gated target is about to be changed: the claim that no other release may have at the same time."""

    KIND: ClassVar[str] = "deploying"

    target: str
    """The gated target."""
    compute: str = "warehouse"
    """Where dbt's SQL runs, as `compute` of the settings has it."""

    def __str__(self) -> str:
        return f"{self.target} is about to be changed"


@dataclass(frozen=True)
class BuildBegun(Record):
    """An open target is about to be changed by a build that may leave unchanged relations as they stand.

    Where no `built` follows, the build was killed, and nobody knows what it has changed.
    """

    KIND: ClassVar[str] = "build_begun"

    target: str
    """The open target."""

    def __str__(self) -> str:
        return f"{self.target} is about to be built"


@dataclass(frozen=True)
class Deployed(Record):
    """A gated target was built."""

    KIND: ClassVar[str] = "deployed"

    target: str
    """The gated target."""
    project_digest: str
    """The sha256 of the project archive that it was built from."""

    def __str__(self) -> str:
        return f"{self.target} was built"


@dataclass(frozen=True)
class ClaimWithdrawn(Record):
    """A deploy stepped back right after its claim, before it changed anything: all is as it was before the claim."""

    KIND: ClassVar[str] = "claim_withdrawn"

    target: str
    """The gated target."""
    reason: str
    """Whom it gave way to, or what had changed."""

    def __str__(self) -> str:
        return f"{self.target} was left as it is: {self.reason}"


@dataclass(frozen=True)
class Failed(Record):
    """A step failed in a way that ends the deploy."""

    KIND: ClassVar[str] = "failed"

    target: str
    """The gated target."""
    reason: str
    """What failed."""

    def __str__(self) -> str:
        return f"{self.target}: {self.reason}"


@dataclass(frozen=True)
class WithSelection(Record):
    """A record that says what was, or would be, built."""

    FORMAT: ClassVar[int] = 2

    @classmethod
    def upgrade(cls, d: dict[Any, Any], written: int) -> dict[Any, Any]:
        """Format 1 had the fields of the selection among its own."""
        names = ("select", "exclude", "with_parents", "full_refresh", "favor_state")
        return d | {"selection": {name: d[name] for name in names if name in d}} if written < 2 else d


@dataclass(frozen=True)
class Built(WithSelection):
    """One build: what was asked, where its artifacts are, how it ended."""

    KIND: ClassVar[str] = "built"

    target: str
    """The dbt target."""
    gated: bool
    """Whether the target has a gate: then `deployed` or `failed` follows."""
    ok: bool
    """Whether dbt succeeded."""
    outcome: str
    """How dbt ended, in one line."""
    timestamp: str
    """The artifacts' version; "" when dbt left nothing to publish."""
    project_digest: str
    """The sha256 of the project archive; "" where there is none, for the build failed before it was made."""
    selection: Selection = field(default_factory=Selection)
    """What was asked for."""

    def __str__(self) -> str:
        return self.outcome
