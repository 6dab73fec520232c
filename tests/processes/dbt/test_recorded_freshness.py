"""What `dbt source freshness` says of single sources while it runs gets into the record."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dbx_cd.dbt import runner
from dbx_cd.dbt.runner import dbt_process
from recorded_dbt import RecordedDbt

REPLAY = "import pathlib, sys; print(pathlib.Path(sys.argv[1]).read_text()); sys.exit(int(sys.argv[2]))"


@pytest.mark.parametrize(
    ("scenario", "errors"), [("freshness", 3), ("freshness_refused", 11), ("freshness_refused_at_once", 0)]
)
def test_the_outcome_of_a_process_says_which_sources_began_and_what_went_wrong(
    scenario: str, errors: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dbt = RecordedDbt(scenario)

    def replayed(args: Sequence[str], **_: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", REPLAY, str(dbt.folder / "events.jsonl"), str(dbt.exit_code)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    monkeypatch.setattr(runner, "start_dbt", replayed)
    outcome = dbt_process(cwd=tmp_path, title="dbt source freshness (stg)")(["source", "freshness"])
    assert outcome == dbt.outcome
    assert len(outcome.nodes.errors) == errors
