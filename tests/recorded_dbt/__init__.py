"""dbt as it was: a `Runner` that leaves what dbt left in a recorded invocation, and ends as it ended.

The recordings are in `tests/fixtures/recorded_dbt/recorded`, a folder each: `call.json` (words and exit code),
`events.jsonl` (standard output) and the artifacts. `make dbt-fixtures` writes them anew.
"""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

from dbx_cd import DbtOutcome
from dbx_cd.dbt.events import DbtEvent
from dbx_cd.dbt.freshness import SourceFreshness, freshness_of
from dbx_cd.dbt.project import LOG_NAME
from dbx_cd.dbt.runner import OutcomeReader
from recorded_dbt.scenarios import SCENARIOS

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures" / "recorded_dbt"
RECORDED = FIXTURES / "recorded"
PROJECTS = FIXTURES / "projects"


class RecordedDbt:
    """A `Runner`: every call leaves the files of one recorded invocation where its arguments say, and ends as that did.

    Args:
        scenario: a name of `SCENARIOS`.

    Attributes:
        calls: the arguments of every call.
        exit_code: dbt's.
        scenario: how it was recorded.
        project: the dbt project of the recording, which `run_dbt(project_dir=)` takes.
        words: dbt's command, such as `source freshness`.
        folder: what was recorded.
        lines: what dbt wrote to standard output and standard error.
    """

    def __init__(self, scenario: str) -> None:
        self.folder = RECORDED / scenario
        self.scenario = SCENARIOS[scenario]
        self.project = PROJECTS / self.scenario.project
        self.calls: list[list[str]] = []
        call = json.loads((self.folder / "call.json").read_text(encoding="utf-8"))
        self.words = " ".join(itertools.takewhile(lambda word: not word.startswith("-"), call["command"]))
        self.exit_code = int(call["exit_code"])
        self.lines = (self.folder / "events.jsonl").read_text(encoding="utf-8").splitlines()

    def __call__(self, args: list[str]) -> DbtOutcome:
        self.calls.append(args)
        if args[0] == "deps" and ("deps",) in self.scenario.before:
            return DbtOutcome(True)
        if args[: len(self.words.split())] != self.words.split():
            raise AssertionError(f"{self.folder.name} is a recording of dbt {self.words}, not of dbt {args[0]}")
        if "--target-path" in args:
            target = Path(args[args.index("--target-path") + 1])
            target.mkdir(parents=True, exist_ok=True)
            for artifact in self.artifacts:
                shutil.copyfile(artifact, target / artifact.name)
        if self.scenario.keeps_log:
            logs = Path(args[args.index("--log-path") + 1])
            logs.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.folder / LOG_NAME, logs / LOG_NAME)
        return self.outcome

    @property
    def outcome(self) -> DbtOutcome:
        """How it ended, as the runner makes it of its output."""
        reader = OutcomeReader()
        for line in self.lines:
            reader.take(DbtEvent.parse(line))
        return reader.outcome(self.exit_code)

    def freshness(self) -> dict[str, SourceFreshness]:
        """What dbt left and said of sources, by `source.table`."""
        results = freshness_of(self.folder, self.outcome)
        found = {result.name: result for result in results}
        assert len(found) == len(results)
        return found

    @property
    def artifacts(self) -> list[Path]:
        """The artifacts that dbt left."""
        return sorted(p for p in self.folder.iterdir() if p.name not in ("call.json", "events.jsonl", LOG_NAME))


def recorded_dbt(scenario: str) -> RecordedDbt:
    """dbt as it was in a scenario, for `run_dbt(runner=)`."""
    return RecordedDbt(scenario)
