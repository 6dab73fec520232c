"""Where a path below `/Volumes` lies: the same for REST, for the tasks and for a decision made in a terminal."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from dbx_cd.local import __main__ as command
from dbx_cd.local.volume_path import volume_path

STATE = Path("/state")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/Volumes/Ops/Dbt_Meta/Artifacts", "Volumes/ops/dbt_meta/artifacts"),
        ("/Volumes/Ops/Dbt_Meta/Artifacts/Sub/Folder/", "Volumes/ops/dbt_meta/artifacts/Sub/Folder"),
        ("/Volumes/Ops", "Volumes/ops"),
        ("/Elsewhere/Ops/Sub", "Elsewhere/Ops/Sub"),
    ],
)
def test_names_of_unity_catalog_are_in_lower_case_and_no_others(path: str, place: str) -> None:
    assert volume_path(STATE, path) == STATE / place


def test_a_decision_in_a_terminal_is_about_the_folder_in_which_the_release_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = SimpleNamespace(artifacts_root="/Volumes/Ops/Dbt_Meta/Artifacts")
    project = SimpleNamespace(config=config, repository=tmp_path, subfolder="")
    submitted = MagicMock()
    monkeypatch.setattr(command, "LocalProject", SimpleNamespace(find=lambda _: project))
    monkeypatch.setattr(command, "Connection", MagicMock())
    monkeypatch.setattr(command, "submit_notebook", submitted)
    assert command.main(["approve", "r1", "--reject-because", "no", "--state-dir", str(tmp_path)]) == 0
    _client, _notebook, parameters = submitted.call_args.args
    assert Path(parameters["artifacts_root"]) == volume_path(tmp_path, config.artifacts_root)
