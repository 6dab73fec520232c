"""The platform refuses, fails or is gone while a run is started, resumed or followed: what is said, what is left."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from databricks.sdk.core import Config
from failing_api import Api, Json, LostAnswer, PassingTime, Refusal, in_turn, serving
from workflow_api import BEFORE, BUSY, DENIED, FAILED, SHA, Workflow, after_it, refused

from dbx_cd import Decision, Release, ReleaseRun, WorkflowError, resume, trigger
from dbx_cd.release.jobs import Jobs
from dbx_cd.release.notebook_run import NotebookRun, notebook_result, start_notebook
from dbx_cd.release.workflow import wait
from dbx_cd.workspace_calls import calling

RELEASE = Release("20260101T000000Z-aaaaaaa", "a" * 40, "5", "ci", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> PassingTime:
    return PassingTime().instead_of_the_machine_s(monkeypatch)


# Starting a release


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (DENIED, ("permission denied: you may not", "job 7", "this identity needs CAN MANAGE RUN on the job")),
        (Refusal(401, "UNAUTHENTICATED", "expired"), ("not logged in: expired", "log in again")),
        (Refusal(404, "RESOURCE_DOES_NOT_EXIST", "no job 7"), ("not found: no job 7", "check the id")),
        (Refusal(400, "INVALID_PARAMETER_VALUE", "bad"), ("cannot be started: bad", "Next:")),
        (BUSY, ("takes no more requests for now: too fast", "in some minutes")),
    ],
)
def test_where_no_run_could_be_started_the_job_is_at_the_commit_it_was_at(answer: Refusal, words: tuple[str]) -> None:
    workflow = Workflow(jobs_run_now=in_turn(answer))
    with refused(workflow, "the run cannot be started", f"the job is at commit {BEFORE} again", *words) as client:
        trigger(client, 7, commit=SHA)
    assert workflow.source["git_commit"] == BEFORE


def test_a_job_that_follows_a_branch_follows_it_again() -> None:
    workflow = Workflow(pinned={"git_branch": "main"}, jobs_run_now=in_turn(DENIED))
    with refused(workflow, "the job is at branch main again") as client:
        trigger(client, 7, commit=SHA)
    assert (workflow.source.get("git_branch"), workflow.source.get("git_commit")) == ("main", None)


def test_the_pin_of_somebody_else_s_later_trigger_stays() -> None:
    workflow = Workflow()

    def moved(_given: Json) -> Json:
        workflow.source["git_commit"] = "d" * 40
        raise DENIED

    workflow.answers["jobs_run_now"] = moved
    with refused(workflow, "somebody else has set the job's commit, which stays") as client:
        trigger(client, 7, commit=SHA)
    assert workflow.source["git_commit"] == "d" * 40


def test_a_pin_that_cannot_be_put_back_is_named() -> None:
    workflow = Workflow(jobs_run_now=in_turn(DENIED))
    own = workflow.update
    workflow.answers["jobs_update"] = lambda given: own(given) if workflow.source["git_commit"] == BEFORE else fail()

    def fail() -> Json:
        raise DENIED

    with refused(workflow, f"the job is left pinned to {SHA}, of which there is no run", "trigger again") as client:
        trigger(client, 7, commit=SHA)


@pytest.mark.parametrize("failure", [LostAnswer(), FAILED], ids=["lost", "500"])
def test_whether_a_run_was_started_is_not_guessed_and_the_pin_stays(failure: Exception) -> None:
    workflow = Workflow()
    workflow.answers["jobs_run_now"] = after_it(workflow.run_now, failure, times=1000)
    what = (f"whether it was is not known, and the job is pinned to {SHA}", "look at the job's runs")
    with refused(workflow, *what) as client:
        trigger(client, 7, commit=SHA)
    assert workflow.source["git_commit"] == SHA


@pytest.mark.parametrize("failure", [LostAnswer(), FAILED, BUSY], ids=["lost", "500", "429"])
def test_an_answer_that_is_lost_starts_no_second_run(failure: Exception) -> None:
    workflow = Workflow()
    workflow.answers["jobs_run_now"] = after_it(workflow.run_now, failure, times=3)
    with serving(workflow) as client:
        run = trigger(client, 7, commit=SHA)
    assert (len(workflow.tokens), run.run_id) == (1, 100)
    assert len(workflow.named("jobs_run_now")) == 4


def test_two_triggers_of_one_commit_are_two_runs() -> None:
    workflow = Workflow()
    with serving(workflow) as client:
        runs = {trigger(client, 7, commit=SHA).run_id, trigger(client, 7, commit=SHA).run_id}
    assert len(runs) == 2


def test_a_run_that_is_started_and_cannot_be_looked_at_is_started() -> None:
    with serving(Workflow(jobs_runs_get=in_turn(DENIED))) as client:
        assert trigger(client, 7, commit=SHA) == ReleaseRun(7, 100, SHA, None)


@pytest.mark.parametrize("call", ["jobs_get", "jobs_update"])
def test_before_a_run_is_started_a_refusal_leaves_the_job_as_it_was(call: str) -> None:
    right = "CAN VIEW" if call == "jobs_get" else "CAN MANAGE"
    workflow = Workflow(**{call: in_turn(DENIED)})
    with refused(workflow, "permission denied", "job 7", f"needs {right} on the job") as client:
        trigger(client, 7, commit=SHA)
    assert workflow.named("jobs_run_now") == []


def test_a_workspace_that_cannot_be_reached_is_said_within_minutes(clock: PassingTime) -> None:
    workflow = Workflow(jobs_list=in_turn(LostAnswer()))
    began = clock.now
    with refused(workflow, "cannot be reached", "check DATABRICKS_HOST") as client:
        trigger(client, "dbx_cd", commit=SHA)
    assert clock.now - began < 60, "the client's own patience is spent once, not once for each of ours"


# Going on after a decision


def approved() -> Decision:
    return Decision("approved", RELEASE.id, "5ea1", "owner@example.org", None)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (DENIED, ("permission denied: you may not", "this identity needs CAN MANAGE RUN on the job")),
        (Refusal(400, "INVALID_STATE", "the run is active"), ("the run is active",)),
        (FAILED, ("the platform failed at it: out of order", "in some minutes")),
    ],
)
def test_a_decision_stands_where_the_run_cannot_be_repaired(answer: Refusal, words: tuple[str, ...]) -> None:
    workflow = Workflow(jobs_runs_repair=in_turn(answer))
    what = ("approved; the run could not be repaired now: ", "the decision stands", "run 5", *words)
    way_on = ("resume(cd.workspace, cd.log.release('20260101T000000Z-aaaaaaa'), target='prod')", "approval_gate")
    with refused(workflow, *what, *way_on) as client:
        resume(client, RELEASE, target="prod", after=approved())


def test_a_run_that_is_still_under_way_is_no_loss_of_the_decision() -> None:
    workflow = Workflow()
    workflow.state = {"life_cycle_state": "RUNNING"}
    with refused(workflow, "approved; the run could not be repaired now: it is still under way") as client:
        resume(client, RELEASE, after=approved())


@pytest.mark.parametrize("failure", [LostAnswer(), FAILED], ids=["lost", "500"])
@pytest.mark.parametrize("repaired_before", [0, 2])
def test_a_repair_whose_answer_is_lost_has_begun_once(failure: Exception, repaired_before: int) -> None:
    workflow = Workflow()
    workflow.repairs = repaired_before
    workflow.answers["jobs_runs_repair"] = after_it(workflow.repair, failure)
    with serving(workflow) as client:
        assert resume(client, RELEASE, after=approved()).run_id == 5
    assert workflow.repairs == repaired_before + 1


def test_a_repair_that_fails_before_it_began_is_tried_again() -> None:
    workflow = Workflow()
    own = workflow.repair
    left = [FAILED, FAILED]
    workflow.answers["jobs_runs_repair"] = lambda given: own(given) if not left else in_turn(left.pop())(given)
    with serving(workflow) as client:
        resume(client, RELEASE)
    assert workflow.repairs == 1


# Following what was started


def test_a_wait_outlives_a_failure_of_the_platform(clock: PassingTime) -> None:
    running = {"run_id": 5, "state": {"life_cycle_state": "RUNNING"}}
    ended = {"run_id": 5, "state": {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"}}
    with serving(Api(jobs_runs_get=in_turn(FAILED, FAILED, running, ended))) as client:
        run = wait(client, ReleaseRun(7, 5, SHA))
    assert run.state is not None
    assert str(run.state.result_state) == "RunResultState.SUCCESS"


@pytest.mark.parametrize("answer", [LostAnswer(), DENIED, FAILED], ids=["lost", "403", "500"])
def test_what_can_no_longer_be_followed_goes_on_and_is_not_started_again(answer: Exception) -> None:
    what = ("run 5 of job 7", "do not start it again", "http://here/5")
    with refused(Api(jobs_runs_get=in_turn(answer)), *what) as client:
        wait(client, ReleaseRun(7, 5, SHA, "http://here/5"))


def test_a_run_that_has_not_ended_in_time_goes_on() -> None:
    running = {"run_id": 5, "state": {"life_cycle_state": "RUNNING"}}
    what = ("has not ended within 0:00:00", "do not start it again")
    with refused(Api(jobs_runs_get=in_turn(running)), *what) as client:
        wait(client, ReleaseRun(7, 5, SHA), timeout=timedelta(0))


def test_a_rollback_that_has_ended_says_so_where_its_words_cannot_be_read() -> None:
    ended = {"run_id": 5, "tasks": [{"task_key": "rollback", "run_id": 6}]}
    ended["state"] = {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"}
    api = Api(jobs_runs_get=in_turn(ended), jobs_runs_get_output=in_turn(DENIED))
    what = ("notebook rollback, run 5 ended as SUCCESS", "permission denied", "before you start it again")
    with refused(api, *what) as client:
        notebook_result(client, NotebookRun("rollback", 5, "http://here/5"))


def test_a_notebook_that_may_not_be_submitted_says_which_right() -> None:
    with refused(Workflow(jobs_runs_submit=in_turn(DENIED)), "permission denied", "the right to submit runs") as client:
        start_notebook(client, 7, notebook="rollback", parameters={})


def test_a_notebook_whose_answer_is_lost_is_started_once() -> None:
    tokens: dict[str, int] = {}
    submit = after_it(lambda given: {"run_id": tokens.setdefault(given["idempotency_token"], 8)}, LostAnswer())
    with serving(Workflow(jobs_runs_submit=submit)) as client:
        assert start_notebook(client, 7, notebook="rollback", parameters={}).run_id == 8
    assert len(tokens) == 1


def said_of(call: Callable[[], object]) -> str:
    with pytest.raises(WorkflowError) as failed, calling("the job cannot be read", right="CAN VIEW"):
        call()
    return str(failed.value)


def test_only_a_login_that_failed_is_told_as_one(tmp_path: Path) -> None:
    refused = said_of(lambda: Config(host="https://example.org", auth_type="pat", config_file=str(tmp_path / "none")))
    assert refused.startswith("the job cannot be read: cannot log in: ")
    assert "set DATABRICKS_HOST" in refused
    other = said_of(lambda: int("x"))
    assert "the answer is not one that the SDK can read: invalid literal" in other
    assert "log in" not in other


def test_a_name_of_digits_that_are_no_decimal_number_is_a_name() -> None:
    unnamed = serving(Workflow(jobs_list=lambda _: {}))
    with unnamed as workspace, pytest.raises(WorkflowError, match="0 jobs are named '²'"):
        Jobs(workspace).job("²")
