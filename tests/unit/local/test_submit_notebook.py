"""A notebook that `python -m dbx_cd.local` submits: what it printed, or how it ended in the words of the workspace."""

from __future__ import annotations

import pytest
from failing_api import Api, Json, Refusal, in_turn, serving

from dbx_cd import WorkflowError
from dbx_cd.local.run import submit_notebook

SUCCESS: Json = {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"}
FAILED: Json = {"life_cycle_state": "TERMINATED", "result_state": "FAILED", "state_message": "the task was cut off"}


def api(state: Json, *, attempts: int = 1, output: Json | Exception | None = None) -> Api:
    """A workspace in which the submitted run has ended; the output is that of its last attempt."""
    tasks = [{"task_key": "approve", "run_id": 10 + number} for number in range(attempts)]

    def answer(given: Json) -> Json:
        if isinstance(output, Exception):
            raise output
        return (output or {}) if int(given["run_id"]) == 9 + attempts else {"error": "of an older attempt"}

    return Api(
        jobs_runs_submit=in_turn({"run_id": 5}),
        jobs_runs_get=in_turn({"run_id": 5, "run_page_url": "http://here/5", "tasks": tasks, "state": state}),
        jobs_runs_get_output=answer,
    )


def submitted(api: Api) -> str:
    with serving(api) as client:
        return submit_notebook(client, "approve", {})


def test_its_words_are_those_of_the_last_attempt() -> None:
    assert submitted(api(SUCCESS, attempts=2, output={"notebook_output": {"result": "approved"}})) == "approved"


def test_a_failed_one_says_why_and_where_to_look() -> None:
    with pytest.raises(WorkflowError, match=r"failed: not allowed \(.*/5\)\. Next: its page says what was done"):
        submitted(api(FAILED, attempts=2, output={"error": "not allowed"}))


def test_one_that_failed_without_an_error_says_what_the_run_says() -> None:
    with pytest.raises(WorkflowError, match="failed: the task was cut off"):
        submitted(api(FAILED))


def test_one_that_ended_before_any_task_began_says_what_the_run_says() -> None:
    with pytest.raises(WorkflowError, match="failed: the task was cut off"):
        submitted(api(FAILED, attempts=0))


def test_how_it_ended_is_said_also_where_its_words_cannot_be_read() -> None:
    denied = Refusal(403, "PERMISSION_DENIED", "you may not")
    with pytest.raises(WorkflowError, match=r"run 5 ended as SUCCESS; .*permission denied"):
        submitted(api(SUCCESS, output=denied))
