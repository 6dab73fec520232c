"""Answers that say neither yes nor no, and of other shapes: what is done, and what is said, while a run is started."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from failing_api import Json, LostAnswer, PassingTime, Refusal, in_turn, serving
from workflow_api import BEFORE, DENIED, FAILED, SHA, Workflow, after_it, refused

from dbx_cd import Decision, Release, ReleaseRun, WorkflowError, resume, trigger
from dbx_cd.release.jobs import Jobs
from dbx_cd.release.notebook_run import start_notebook
from dbx_cd.release.workflow import wait

RELEASE = Release("20260101T000000Z-aaaaaaa", "a" * 40, "5", "ci", datetime(2026, 1, 1, tzinfo=UTC))
APPROVED = Decision("approved", RELEASE.id, "5ea1", "owner@example.org", None)
PROXY = [502, 520, 524, 599]


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> PassingTime:
    return PassingTime().instead_of_the_machine_s(monkeypatch)


# Only a status 4xx is a refusal


@pytest.mark.parametrize("status", PROXY)
def test_a_failure_of_a_proxy_is_no_refusal_and_starts_one_run(status: int) -> None:
    workflow = Workflow()
    workflow.answers["jobs_run_now"] = after_it(workflow.run_now, Refusal(status, "", "bad gateway"), times=3)
    with serving(workflow) as client:
        assert trigger(client, 7, commit=SHA).run_id == 100
    assert len(workflow.tokens) == 1


@pytest.mark.parametrize("status", [*PROXY, 501])
def test_where_only_a_proxy_answers_the_pin_stays_for_the_run_that_may_be(status: int) -> None:
    workflow = Workflow()
    workflow.answers["jobs_run_now"] = after_it(workflow.run_now, Refusal(status, "", "bad gateway"), times=1000)
    what = ("failed at it: bad gateway", f"whether it was is not known, and the job is pinned to {SHA}")
    with refused(workflow, *what) as client:
        trigger(client, 7, commit=SHA)
    assert workflow.source["git_commit"] == SHA


def test_a_refusal_does_not_take_back_what_was_left_open_before_it() -> None:
    workflow = Workflow()
    answers = [Refusal(502, "", "bad gateway"), DENIED]

    def first_open(given: Json) -> Json:
        workflow.run_now(given)
        raise answers.pop(0)

    workflow.answers["jobs_run_now"] = first_open
    with refused(workflow, "permission denied", "whether it was is not known", f"pinned to {SHA}") as client:
        trigger(client, 7, commit=SHA)
    assert workflow.source["git_commit"] == SHA


@pytest.mark.parametrize("call", ["jobs_list", "jobs_get"])
def test_what_reads_is_asked_again_after_a_failure_of_a_proxy(call: str) -> None:
    workflow = Workflow()
    workflow.answers[call] = after_it(workflow.answers[call], Refusal(502, "", "bad gateway"))
    with serving(workflow) as client:
        assert trigger(client, "dbx_cd", commit=SHA).run_id == 100


def test_a_repair_that_a_proxy_does_not_confirm_has_begun_once() -> None:
    workflow = Workflow()
    workflow.answers["jobs_runs_repair"] = after_it(workflow.repair, Refusal(502, "", "bad gateway"))
    with serving(workflow) as client:
        assert resume(client, RELEASE, after=APPROVED).run_id == 5
    assert workflow.repairs == 1


# What the job is left with


@pytest.mark.parametrize("failure", [FAILED, LostAnswer(), Refusal(502)], ids=["500", "lost", "502"])
def test_a_commit_that_is_set_whatever_is_answered_is_started(failure: Exception) -> None:
    workflow = Workflow()
    workflow.answers["jobs_update"] = after_it(workflow.update, failure, times=1000)
    with serving(workflow) as client:
        assert trigger(client, 7, commit=SHA) == ReleaseRun(7, 100, SHA, "http://here/run/5")


@pytest.mark.parametrize("failure", [FAILED, DENIED], ids=["500", "403"])
def test_a_commit_that_cannot_be_set_is_said_with_where_the_job_is(failure: Exception) -> None:
    workflow = Workflow(jobs_update=in_turn(failure))
    what = ("the job's commit cannot be set", f"no run was started, and the job is at commit {BEFORE}")
    with refused(workflow, *what) as client:
        trigger(client, 7, commit=SHA)
    assert workflow.named("jobs_run_now") == []


def test_where_the_job_cannot_be_looked_at_after_a_failure_that_is_said() -> None:
    workflow = Workflow()
    first = [workflow.job()]
    workflow.answers["jobs_get"] = lambda _: first.pop() if first else in_turn(DENIED)(_)
    workflow.answers["jobs_update"] = after_it(workflow.update, FAILED, times=1000)
    what = ("whether it was is not known", "no run was started", "trigger again before anybody starts the job by hand")
    with refused(workflow, *what) as client:
        trigger(client, 7, commit=SHA)


def test_a_pin_that_is_put_back_whatever_is_answered_is_back() -> None:
    workflow = Workflow(jobs_run_now=in_turn(DENIED))

    def put_back(given: Json) -> Json:
        is_back = given["new_settings"]["git_source"]["git_commit"] == BEFORE
        workflow.update(given)
        if is_back:
            raise FAILED
        return {}

    workflow.answers["jobs_update"] = put_back
    with refused(workflow, f"the job is at commit {BEFORE} again, as before") as client:
        trigger(client, 7, commit=SHA)


# Somebody else's repair


@pytest.mark.parametrize("failure", [Refusal(400, "INVALID_PARAMETER_VALUE", "not the latest repair"), FAILED])
def test_a_repair_of_other_tasks_that_came_first_is_not_taken_for_this_one(failure: Exception) -> None:
    workflow = Workflow()
    run = workflow.run()

    def others_first(_given: Json) -> Json:
        other = {"task_key": "docs", "run_id": 31}
        history = [*run["repair_history"], {"type": "REPAIR", "id": 1, "task_run_ids": [31]}]
        workflow.answers["jobs_runs_get"] = in_turn({**run, "tasks": [*run["tasks"], other], "repair_history": history})
        raise failure

    workflow.answers["jobs_runs_repair"] = others_first
    what = (
        "approved; the run could not be repaired now: another repair of it has begun meanwhile",
        "does not run gate",
    )
    with refused(workflow, *what, "the decision stands") as client:
        resume(client, RELEASE, after=APPROVED)


def test_a_repair_that_nobody_can_look_at_is_neither_begun_nor_refused() -> None:
    workflow = Workflow()

    def begun(given: Json) -> Json:
        workflow.repair(given)
        workflow.answers["jobs_runs_get"] = in_turn(DENIED)
        raise FAILED

    workflow.answers["jobs_runs_repair"] = begun
    what = ("approved; it is not known whether the run was repaired", "permission denied", "look at its page first")
    with refused(workflow, *what) as client:
        resume(client, RELEASE, after=APPROVED)


# Answers of another shape


@pytest.mark.parametrize("answer", [{}, [], {"run_id": None}, {"run_id": "abc"}], ids=str)
def test_an_answer_without_the_run_leaves_the_pin_for_the_run_that_may_be(answer: Json) -> None:
    workflow = Workflow(jobs_run_now=in_turn(answer))
    what = ("the answer cannot be read", f"whether it was is not known, and the job is pinned to {SHA}")
    with refused(workflow, *what) as client:
        trigger(client, 7, commit=SHA)
    assert workflow.source["git_commit"] == SHA


@pytest.mark.parametrize("answer", [{}, {"run_id": None}], ids=str)
def test_a_notebook_without_a_run_is_said(answer: Json) -> None:
    what = ("the answer cannot be read", "whether it was is not known", "before you start it again")
    with refused(Workflow(jobs_runs_submit=in_turn(answer)), *what) as client:
        start_notebook(client, 7, notebook="rollback", parameters={})


@pytest.mark.parametrize("answer", [[], {"run_id": 5}, {"run_id": 5, "state": "RUNNING"}], ids=str)
def test_a_run_of_another_shape_is_said_while_it_is_followed(answer: Json) -> None:
    with refused(Workflow(jobs_runs_get=in_turn(answer)), "the answer cannot be read", "http://here/5") as client:
        wait(client, ReleaseRun(7, 5, SHA, "http://here/5"), timeout=timedelta(minutes=1))


@pytest.mark.parametrize("job", ["²", "", "x"])
def test_what_is_no_job_s_id_is_looked_for_by_name(job: str) -> None:
    workflow = Workflow(jobs_list=lambda _: {})
    with refused(workflow, "0 jobs are named") as client:
        trigger(client, job, commit=SHA)


# Going on from a run whose end is told otherwise


@pytest.mark.parametrize("life_cycle", ["INTERNAL_ERROR", "SKIPPED", "TERMINATED"])
def test_a_run_that_ended_without_a_result_can_be_resumed(life_cycle: str) -> None:
    workflow = Workflow()
    workflow.state = {"life_cycle_state": life_cycle}
    with serving(workflow) as client:
        resume(client, RELEASE)
    assert workflow.repairs == 1


@pytest.mark.parametrize("told_by", ["state", "status"])
def test_a_run_that_has_succeeded_is_not_repaired_and_builds_nothing_twice(told_by: str) -> None:
    """Whoever was told that nobody knows whether the run was repaired, asks once more when it has long gone through."""
    workflow = Workflow()
    workflow.state = {"life_cycle_state": "TERMINATED", **({"result_state": "SUCCESS"} if told_by == "state" else {})}
    if told_by == "status":
        ended = {"status": {"state": "TERMINATED", "termination_details": {"code": "SUCCESS"}}}
        workflow.answers["jobs_runs_get"] = lambda _: {**workflow.run(), **ended}
    # To call it once more is no advice.
    why = r"approved; .*it has succeeded.*nothing is left to do: look at its page$"
    with serving(workflow) as client, pytest.raises(WorkflowError, match=why):
        resume(client, RELEASE, after=APPROVED)
    assert workflow.repairs == 0


def test_a_task_that_is_named_is_run_again_though_its_run_has_succeeded() -> None:
    workflow = Workflow()
    workflow.state = {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"}
    with serving(workflow) as client:
        resume(client, RELEASE, task="gate")
    assert workflow.repairs == 1


@pytest.mark.parametrize(
    ("call", "left"),
    [("start", f"may be pinned to {SHA}, and a run of it started"), ("page_of", "run 100 of job 7 was started")],
)
def test_a_trigger_that_is_interrupted_says_what_it_leaves(
    monkeypatch: pytest.MonkeyPatch, call: str, left: str
) -> None:
    def interrupted(*_given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Jobs, call, interrupted)
    with serving(Workflow()) as client, pytest.raises(KeyboardInterrupt) as caught:
        trigger(client, 7, commit=SHA)
    (note,) = caught.value.__notes__
    assert left in note


@pytest.mark.parametrize("state", [None, {}, {"life_cycle_state": "FUTURE_STATE"}], ids=str)
def test_a_run_of_an_unknown_state_is_not_repaired(state: Json) -> None:
    workflow = Workflow()
    workflow.state = state
    with refused(workflow, "approved; ", "whether it is under way the platform does not say") as client:
        resume(client, RELEASE, after=APPROVED)
    assert workflow.repairs == 0


@pytest.mark.parametrize("run_id", ["local-5", "", "5²"])
def test_a_release_that_no_job_s_run_opened_keeps_its_decision(run_id: str) -> None:
    release = Release(RELEASE.id, RELEASE.commit, run_id, "ci", RELEASE.opened_at)
    with refused(Workflow(), "approved; there is no run to go on", repr(run_id), "the decision stands") as client:
        resume(client, release, after=APPROVED)
