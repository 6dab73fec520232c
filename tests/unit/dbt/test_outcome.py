"""Which hook failed, where dbt's results do not say it; by what dbt itself has written (`tests/recorded_dbt`)."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx_cd import DbtRun, run_dbt
from dbx_cd.dbt.artifacts import NodeResult
from dbx_cd.dbt.events import DbtEvent
from dbx_cd.dbt.outcome import InvocationOutcome, failed_hooks, naming_hook
from dbx_cd.dbt.runner import OutcomeReader
from recorded_dbt import RECORDED, recorded_dbt

HOOKS = {
    "hooks_end_failed": "hooks-on-run-end-1",
    "hooks_start_failed": "hooks-on-run-start-1",
    "hooks_end_macro_failed": "hooks-on-run-end-2",
    "hooks_start_macro_failed": "hooks-on-run-start-2",
    "hooks_end_raises": "raising-on-run-end-1",
}
QUERY_FAILED = ("Database Error\n  no such table",)


def run(scenario: str, work: Path) -> DbtRun:
    dbt = recorded_dbt(scenario)
    return run_dbt("build", target="stg", project_dir=dbt.project, work_dir=work, runner=dbt, check=False)


def log_of(scenario: str) -> str:
    """What dbt wrote to `dbt.log` in a scenario; an invocation begins with its version."""
    begins = next(line for line in recorded_dbt(scenario).lines if "MainReportVersion" in line)
    return f"{begins}\n{(RECORDED / scenario / 'dbt.log').read_text()}"


@pytest.mark.parametrize("scenario", HOOKS)
def test_the_hook_that_failed_is_named_beside_the_artifacts(scenario: str, tmp_path: Path) -> None:
    done = run(scenario, tmp_path / "work")
    written = InvocationOutcome.find(done.files_dir)
    assert written is not None
    assert [hook.name for hook in written.hooks] == [HOOKS[scenario]]
    reason = "nobody may be granted anything" if scenario == "hooks_end_raises" else "no_such_column"
    assert reason in written.hooks[0].message
    assert not written.ok


@pytest.mark.parametrize(
    "scenario", ["build_node_failed", "build_test_failed", "hooks_of_model_failed", "deps_local_missing"]
)
def test_where_no_hook_failed_none_is_named(scenario: str, tmp_path: Path) -> None:
    dbt = recorded_dbt(scenario)
    done = run_dbt(dbt.words, target="stg", project_dir=dbt.project, work_dir=tmp_path, runner=dbt, check=False)
    assert (done.ok, done.hooks) == (False, ())


def test_only_the_last_invocation_of_a_log_counts(tmp_path: Path) -> None:
    log = tmp_path / "dbt.log"
    log.write_text(log_of("hooks_start_macro_failed") + log_of("hooks_end_macro_failed"))
    assert naming_hook(QUERY_FAILED, log) == ("Database Error in operation hooks-on-run-end-2\n  no such table",)
    killed = "".join(f"{line}\n" for line in log_of("hooks_start_macro_failed").splitlines()[:-1])
    log.write_text(killed + "\n".join(recorded_dbt("deps_local_missing").lines))
    assert naming_hook(QUERY_FAILED, log) == QUERY_FAILED, "the hook of an earlier invocation, which was killed in it"


def test_a_summary_of_tests_that_warned_does_not_hide_the_hook(tmp_path: Path) -> None:
    """dbt prints it after the hook has failed, before it says that it has."""
    log = tmp_path / "dbt.log"
    *before, gave_up = log_of("hooks_end_macro_failed").splitlines()
    summary = [line for line in recorded_dbt("build_test_warned").lines if "RunResultWarning" in line]
    assert summary
    assert DbtEvent.parse(summary[-1]).unique_id
    log.write_text("\n".join([*before, *summary, gave_up]))
    assert naming_hook(QUERY_FAILED, log) == ("Database Error in operation hooks-on-run-end-2\n  no such table",)


def test_a_hook_that_ended_well_is_not_the_one_that_failed(tmp_path: Path) -> None:
    log = tmp_path / "dbt.log"
    gave_up = recorded_dbt("deps_local_missing").lines[-1]
    assert "MainEncounteredError" in gave_up
    log.write_text("\n".join([*recorded_dbt("hooks").lines, gave_up]))
    assert naming_hook(QUERY_FAILED, log) == QUERY_FAILED


def test_an_operation_of_the_database_is_no_hook() -> None:
    failed = NodeResult("model.shop.a", "error", 0.0, "Subqueries are not supported in operation MERGE (a)")
    assert failed_hooks([failed], [str(failed.message), "no rows in operation on-run"]) == ()


@pytest.mark.parametrize("code", [-9, -15, -35, -64])
def test_every_signal_that_ends_dbt_is_said(code: int) -> None:
    assert "was ended by the signal" in OutcomeReader().outcome(code).errors[0]


@pytest.mark.parametrize(
    "line",
    [
        '{"info": {"name": "X", "level": "info", "msg": 5}, "data": [1]}',
        '{"info": {"name": "LogStartLine", "level": "info"}, "data": {"node_info": "x"}}',
        '{"info": {"name": "LogStartLine", "level": "error"}, "data": {"node_info": {"node_name": 1}}}',
        '{"info": {"name": "LogStartLine", "level": "x"}, "data": {"node_info": {"unique_id": 1, "node_relation": 3}}}',
        '{"info": 7}',
        "[1]",
        "null",
    ],
)
def test_lines_of_other_shapes_end_nothing(line: str) -> None:
    reader = OutcomeReader()
    reader.take(DbtEvent.parse(line))
    assert reader.outcome(0).success
