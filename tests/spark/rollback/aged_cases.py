"""Tables by the age of what they hold: every way in which Delta may refuse to go back to it, and pairs of these."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal

Retention = Literal["default", "shorter", "longer", "lengthened"]
Feature = Literal["plain", "column mapping", "deletion vectors", "in-commit timestamps"]
Build = Literal["replace", "reset", "insert", "merge"]
Moment = Literal["at once", "late", "past"]
Entries = Literal["apart", "older", "shared"]

RETENTION: Mapping[str, Mapping[str, str]] = {
    "shorter": {"delta.deletedFileRetentionDuration": "interval 2 days"},
    "longer": {
        "delta.deletedFileRetentionDuration": "interval 20 days",
        "delta.logRetentionDuration": "interval 60 days",
    },
}
FEATURE = {
    "column mapping": {"delta.columnMapping.mode": "name"},
    "deletion vectors": {"delta.enableDeletionVectors": "true"},
    "in-commit timestamps": {"delta.enableInCommitTimestamps": "true"},
}
CHANGE = {
    "column mapping": "ALTER TABLE @@ RENAME COLUMN v TO w",
    "deletion vectors": "DELETE FROM @@ WHERE id = 3",
}


@dataclass(frozen=True)
class Case:
    """One table, what a release does to it, and what happens until somebody wants it back."""

    days: int
    """How old its last commit is when the release begins."""
    retention: Retention
    """`lengthened` is made so after the deploy, by `extend_retention`."""
    vacuum: bool
    """Whether VACUUM runs before anybody wants it back, as maintenance does."""
    clean_up: bool
    """Whether a checkpoint is made then, at which Delta cleans its log."""
    feature: Feature
    """What the table has that old ones have not."""
    checkpointed: bool
    """Whether there is a checkpoint before the release, by a checkpoint interval of the table's own."""
    entries: Entries
    """All but the last log entry are as old as it, 40 days older, or all have one time in whole seconds."""
    whole_seconds: bool
    """Whether the store keeps file times in whole seconds."""
    build: Build
    """What the release does; `reset` replaces the table without the properties that it had."""
    alterable: bool
    """Whether the session that deploys may alter the table."""
    moment: Moment
    """When somebody wants it back: after most of the time that the restore point promised, or a day after it."""

    def __str__(self) -> str:
        values = (f"{f.name}={getattr(self, f.name)}" for f in fields(self))
        return ", ".join(values)

    @cached_property
    def properties(self) -> Mapping[str, str]:
        """What the table is made with."""
        interval = {"delta.checkpointInterval": "2"} if self.checkpointed else {}
        return {**RETENTION.get(self.retention, {}), **FEATURE.get(self.feature, {}), **interval}

    @property
    def before(self) -> tuple[str, ...]:
        """The commits before the release; `@@` is the table."""
        change = CHANGE.get(self.feature, "INSERT INTO @@ VALUES (10, 'b')")
        made = (
            f"CREATE TABLE @@ (id INT, v STRING){self._listed}",
            "INSERT INTO @@ SELECT /*+ REPARTITION(1) */ CAST(id AS INT), 'a' FROM range(6)",
            change,
        )
        return (*made, "INSERT INTO @@ VALUES (11, 'c')") if self.checkpointed else made

    @property
    def release(self) -> str:
        """What the release does."""
        match self.build:
            case "replace":
                return f"CREATE OR REPLACE TABLE @@{self._listed} AS SELECT 7 AS other"
            case "reset":
                return "CREATE OR REPLACE TABLE @@ AS SELECT 7 AS other"
            case "merge":
                return "MERGE INTO @@ t USING (SELECT 2 AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE"
        return "INSERT INTO @@ VALUES (9, 'release')"

    @property
    def _listed(self) -> str:
        listed = ", ".join(f"'{name}' = '{value}'" for name, value in self.properties.items())
        return f" TBLPROPERTIES ({listed})" if listed else ""


VALUES: Mapping[str, Sequence[Any]] = {
    "days": (1, 6, 8, 29, 31, 400),
    "retention": ("default", "shorter", "longer", "lengthened"),
    "vacuum": (True, False),
    "clean_up": (True, False),
    "feature": ("plain", "column mapping", "deletion vectors", "in-commit timestamps"),
    "checkpointed": (True, False),
    "entries": ("older", "apart", "shared"),
    "whole_seconds": (True, False),
    "build": ("replace", "insert", "merge", "reset"),
    "alterable": (True, False),
    "moment": ("late", "past", "at once"),
}
"""The values of each dimension."""

CROSSED = ("days", "retention", "vacuum", "clean_up", "feature")
"""The dimensions of which `whole` has every combination."""


def whole() -> Iterator[Case]:
    """Every combination of the crossed dimensions; those of the rest are dealt out over these, each as often."""
    rest = [name for name in VALUES if name not in CROSSED]
    combinations = list(itertools.product(*(VALUES[name] for name in rest)))
    step = 79  # a prime, so that all combinations have their turn, and no dimension goes along with another
    for n, crossed in enumerate(itertools.product(*(VALUES[name] for name in CROSSED))):
        others = combinations[n * step % len(combinations)]
        yield Case(**dict(zip(CROSSED, crossed, strict=True)), **dict(zip(rest, others, strict=True)))


def pairwise() -> list[Case]:
    """Few cases in which every value of a dimension meets every value of every other one."""
    left = {
        ((a, x), (b, y)): None
        for a, b in itertools.combinations(VALUES, 2)
        for x, y in itertools.product(VALUES[a], VALUES[b])
    }
    cases: list[Case] = []
    while left:
        chosen: dict[str, Any] = dict(next(iter(left)))
        for name in VALUES:
            if name not in chosen:
                chosen[name] = max(VALUES[name], key=lambda value: _new(chosen | {name: value}, left))
        cases.append(Case(**chosen))
        for pair in itertools.combinations(((name, chosen[name]) for name in VALUES), 2):
            left.pop(pair, None)
    return cases


def _new(chosen: Mapping[str, Any], left: Mapping[Any, None]) -> int:
    items = [(name, chosen[name]) for name in VALUES if name in chosen]
    return sum(pair in left for pair in itertools.combinations(items, 2))
