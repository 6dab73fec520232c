"""What `dbt source freshness` left and said, as recorded below `tests/fixtures/dbt/freshness`."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from dbx_cd import DbtOutcome
from dbx_cd.dbt.events import DbtEvent
from dbx_cd.dbt.freshness import SourceFreshness, freshness_of
from dbx_cd.dbt.node_events import NodeEvents

RECORDED = Path(__file__).parents[1] / "fixtures" / "dbt" / "freshness"


@dataclass(frozen=True)
class Recorded:
    """One recorded run; takes the place of dbt in `run_dbt`.

    Args:
        name: the folder of the run.
        left_out: files that it does not leave, as a dbt that was killed.
        cut_after: the event with which its output ends.
    """

    name: str
    left_out: tuple[str, ...] = ()
    cut_after: str | None = None

    def __call__(self, args: list[str]) -> DbtOutcome:
        target = Path(args[args.index("--target-path") + 1])
        target.mkdir(parents=True, exist_ok=True)
        for name in ("sources.json", "manifest.json"):
            file = RECORDED / self.name / name
            if file.is_file() and name not in self.left_out:
                shutil.copyfile(file, target / name)
        return self.outcome

    @property
    def outcome(self) -> DbtOutcome:
        """How it ended, made of its output as the runner makes it."""
        *lines, code = (RECORDED / self.name / "events.jsonl").read_text(encoding="utf-8").splitlines()
        if self.cut_after is not None:
            lines = lines[: next(i for i, line in enumerate(lines) if self.cut_after in line) + 1]
        nodes, errors = NodeEvents(), []
        for event in map(DbtEvent.parse, lines):
            nodes.take(event)
            errors += [event.message] if event.level == "error" else []
        return DbtOutcome(code == "0", tuple(errors), nodes=nodes)

    def found(self) -> dict[str, SourceFreshness]:
        """The results by `source.table`."""
        results = freshness_of(RECORDED / self.name, self.outcome)
        found = {result.name: result for result in results}
        assert len(found) == len(results)
        return found
