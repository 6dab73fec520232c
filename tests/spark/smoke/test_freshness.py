"""`dbt source freshness` on real tables, as the notebook `smoke` asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx_cd import run_dbt
from dbx_cd.local.workspace import EmbeddedWorkspace
from dbx_cd.sql_endpoint.profile import connection_block, with_connection
from recorded_dbt import FIXTURES, RecordedDbt

pytestmark = pytest.mark.deep


def test_every_source_with_a_rule_has_a_result(
    workspace: EmbeddedWorkspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in workspace.endpoint.client_environment().items():
        monkeypatch.setenv(name, value)
    recorded = RecordedDbt("freshness")
    with_connection(FIXTURES, connection_block(workspace.endpoint), out_dir=tmp_path / "profiles")
    places = {"project_dir": recorded.project, "profiles_dir": tmp_path / "profiles", "work_dir": tmp_path / "work"}
    run_dbt("run-operation land", target="stg", **places)  # type: ignore[arg-type]
    done = run_dbt("source freshness", target="stg", check=False, **places)  # type: ignore[arg-type]
    expected = {name: f.status for name, f in recorded.freshness().items()}
    assert {f.name: f.status for f in done.freshness or ()} == expected
    errors = {f.name: f.error or "" for f in done.freshness or () if f.error}
    assert "[TABLE_OR_VIEW_NOT_FOUND]" in errors["landing.missing"]
    assert "`loaded_when` cannot be resolved" in errors["landing.wrong_field"]
