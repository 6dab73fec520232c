"""What `dbt source freshness` says of single sources while it runs gets into the record."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from recorded_freshness import RECORDED, Recorded

from dbx_cd.dbt import runner
from dbx_cd.dbt.runner import dbt_process

REPLAY = "import pathlib, sys; *said, code = pathlib.Path(sys.argv[1]).read_text().splitlines()\n"
REPLAY += "print(*said, sep='\\n'); sys.exit(int(code))"


@pytest.mark.parametrize("run", ["all", "unconnected"])
def test_the_outcome_of_a_process_says_which_sources_began_and_what_went_wrong(
    run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replayed(args: Sequence[str], **_: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", REPLAY, str(RECORDED / run / "events.jsonl")]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    monkeypatch.setattr(runner, "start_dbt", replayed)
    outcome = dbt_process(cwd=tmp_path, title="dbt source freshness (stg)")(["source", "freshness"])
    assert outcome == Recorded(run).outcome
    assert len(outcome.nodes.errors) == (3 if run == "all" else 0)
