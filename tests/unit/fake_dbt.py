"""A `Runner` that leaves the artifacts it is told to, where its arguments say, as dbt does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from artifact_folders import manifest, run_results, write

from dbx_cd import DbtOutcome


class FakeDbt:
    """Takes the place of dbt: remembers how it was called and writes artifacts.

    Args:
        statuses: the status of each model that it "builds", by name.
        outcome: how the process ends; by default well, unless a model has status "error".
        leaves: whether it writes artifacts at all.
    """

    def __init__(self, *, outcome: DbtOutcome | None = None, leaves: bool = True, **statuses: str) -> None:
        self.outcome = outcome or DbtOutcome("error" not in statuses.values())
        self.leaves = leaves
        self.statuses = statuses
        self.calls: list[list[str]] = []

    def __call__(self, args: list[str]) -> DbtOutcome:
        self.calls.append(args)
        if self.leaves and "--target-path" in args:
            folder = Path(self.option("--target-path"))
            folder.mkdir(parents=True, exist_ok=True)
            write(folder / "manifest.json", manifest())
            write(folder / "run_results.json", self.results(args))
        return self.outcome

    def results(self, args: list[str]) -> dict[str, Any]:
        """The run results document for a call."""
        which = args[: next(i for i, a in enumerate(args) if a.startswith("-"))][-1]
        return run_results(which, **self.statuses)

    def option(self, name: str) -> str:
        """The value of an option in the last call."""
        return self.calls[-1][self.calls[-1].index(name) + 1]
