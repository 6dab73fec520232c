"""`policies` in `dbx_cd.yml`: what happens where teams differ. They follow the commit, and are approved with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UntaggedChanges = Literal["read_staging", "read_existing", "build_in_prod", "error"]
Leaks = Literal["error", "warn", "allow"]
Orphans = Literal["tell", "drop"]


@dataclass(frozen=True)
class StagingLeak:
    """What becomes of a build after which something in production refers to staging; one word stands for both."""

    views: Leaks = "warn"
    """Of views: with `untagged_changes: read_staging` one over a model that does not ship reads staging's."""
    tables: Leaks = "error"
    """Of tables: their keys, defaults, masks, row filters and clones, and of functions."""


@dataclass(frozen=True)
class Policies:
    """What happens where teams differ; every value is one of the words of its type."""

    untagged_changes: UntaggedChanges = "read_staging"
    """What a production build reads where an upstream model is not selected."""
    heavy_from: Literal["none", "prod"] = "none"
    """What staging reads where a parent is excluded from its build: `prod` is what the gated target has of it."""
    staging_leak: StagingLeak = StagingLeak()
    """What becomes of a production that would refer to staging."""
    destructive_changes: Literal["consent", "warn"] = "consent"
    """`consent`: who approves names each loss; `warn` only says what a release would lose."""
    orphans: Orphans = "tell"
    """What becomes of relations that nothing makes any more: `drop` asks for consent and drops them after the build."""
    changed_only: bool = False
    """Whether a release builds only what changed and what is below that, in staging and in gated targets."""
    refresh: Literal["on_new_data", "code_only"] = "on_new_data"
    """With `changed_only`: whether new data counts as a change; `code_only` leaves that to other jobs."""
    require_rollback_ready: Literal["ignore", "warn", "error"] = "warn"
    """`warn` prints what a rollback could bring back; `error` also refuses a deploy that loses a table."""
    auto_rollback: Literal["never", "contracts", "any"] = "never"
    """After which failures of a production build or smoke test its data is rolled back."""


ONE_WORD = (StagingLeak,)
"""Settings whose parts may all be given by one word."""
