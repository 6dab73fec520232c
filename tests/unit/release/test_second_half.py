"""A job that only builds what has a gate: what it believes of the first one, and how the two runs are one release."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from failing_api import Api, Json, serving

from dbx_cd import ConfigError, Release, ReleaseError, WorkflowError, WrongCommit, resume
from dbx_cd.errors import ApprovalPending, DbxCdError
from dbx_cd.release.anchor import LogAnchor, read_anchor, write_anchor
from dbx_cd.release.job import JobDefinition
from dbx_cd.release.jobs import Jobs
from dbx_cd.release.run_at_work import ended_run, others_at_work
from dbx_cd.release.run_ending import require_success
from dbx_cd.release.second_half import handed_over, remember_production, require_second_half
from memory.releases import BOT, DEVELOPER, Releases

SETTLED = {"artifacts_root": "/v", "release_log": "a.b.c", "approvers": "owners", "staging_identity": BOT}
SECOND = JobDefinition(SETTLED, gates=("prod",))
COMMIT = "a" * 40
ENDED = {"life_cycle_state": "TERMINATED", "result_state": "FAILED"}
NOT_BEGUN = {"life_cycle_state": "TERMINATED", "result_state": "UPSTREAM_FAILED"}
AT_WORK = {"life_cycle_state": "RUNNING"}


def notebook(key: str, name: str, run_id: int, state: Json, **more: Any) -> Json:
    return {"task_key": key, "run_id": run_id, "notebook_task": {"notebook_path": f"/w/{name}"}, "state": state, **more}


class TwoJobs(Api):
    """Job 7 has opened the release by run 1; its task `production` has started run 2 of job 8."""

    def __init__(self, *, state: Json = ENDED, inner: Json = ENDED, creator: str = "ci", run_as: str = BOT) -> None:
        self.repaired: list[str] = []
        self.cancelled: list[int] = []
        self.state, self.inner, self.creator, self.run_as = state, inner, creator, run_as
        self.commit, self.why = COMMIT, "ApprovalPending: prod is waiting for approval. Next: decide"
        super().__init__(
            jobs_get=self.job, jobs_runs_get=self.run, jobs_runs_get_output=self.output, jobs_runs_repair=self.repair,
            jobs_runs_cancel=self.cancel,
        )  # fmt: skip

    def job(self, given: Json) -> Json:
        gate = notebook("approval_gate", "approval_gate", 0, {})
        gate["notebook_task"]["base_parameters"] = {"target": "prod"}
        tasks = [gate] if given["job_id"] == "8" else [{"task_key": "production", "run_job_task": {"job_id": 8}}]
        settings = {"tasks": [{k: v for k, v in t.items() if k not in ("state", "run_id")} for t in tasks]}
        return {"job_id": int(given["job_id"]), "run_as_user_name": self.run_as, "settings": settings}

    def run(self, given: Json) -> Json:
        if given["run_id"] == "2":
            gate = notebook("approval_gate", "approval_gate", 21, ENDED)
            gate["notebook_task"]["base_parameters"] = {"target": "prod"}
            build = notebook("prod_build", "run_dbt", 22, self.inner)
            rolls_back = notebook("auto_rollback", "auto_rollback", 23, self.inner)
            return {"run_id": 2, "job_id": 8, "state": self.inner, "tasks": [gate, build, rolls_back]}
        source = {"git_url": "x", "git_provider": "gitHub", "git_snapshot": {"used_commit": self.commit}}
        production = {"task_key": "production", "run_id": 12, "run_job_task": {"job_id": 8}, "state": self.state}
        staged = notebook("stg_build", "run_dbt", 11, {"life_cycle_state": "TERMINATED", "result_state": "SUCCESS"})
        who = {"creator_user_name": self.creator, "git_source": source}
        return {"run_id": 1, "job_id": 7, "state": self.state, "tasks": [staged, production], **who}

    def output(self, given: Json) -> Json:
        if given["run_id"] == "12":
            return {"run_job_output": {"run_id": 2}, "error": "run 2 has failed"}
        return {"error": self.why if given["run_id"] == "21" else "no"}

    def repair(self, given: Json) -> Json:
        self.repaired = given["rerun_tasks"]
        return {"repair_id": 1}

    def cancel(self, given: Json) -> Json:
        self.cancelled.append(given["run_id"])
        if given["run_id"] == 2:
            self.inner = ENDED
        else:
            self.state = ENDED
        return {}


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[Releases]:
    return Releases(tmp_path)


def taken_over(releases: Releases, api: TwoJobs) -> Release:
    definition = JobDefinition({**SETTLED, "artifacts_root": str(releases.root)}, gates=("prod",))
    with serving(api) as client:
        log = releases.cd("producer", staging_identity=BOT).log
        found = handed_over(client, log, run_id="1", staging_identity=BOT, definition=definition)
    assert found.staged.target == "stg"
    return found.release


def test_the_release_of_the_first_job_s_run_is_taken_over(releases: Releases) -> None:
    release = releases.staged("1")
    assert taken_over(releases, TwoJobs()) == release


@pytest.fixture
def staged(releases: Releases) -> Release:
    return releases.staged("1")


UNTRUE: dict[str, tuple[Callable[[], TwoJobs], type[DbxCdError], str]] = {
    "another requester": (lambda: TwoJobs(creator=DEVELOPER), ReleaseError, f"was started by {DEVELOPER}"),
    "another identity": (lambda: TwoJobs(run_as="somebody"), ReleaseError, "a job that runs as somebody, and releases"),
}


@pytest.mark.parametrize("case", UNTRUE)
@pytest.mark.usefixtures("staged")
def test_what_the_log_says_is_compared_with_what_the_platform_says(releases: Releases, case: str) -> None:
    api, error, words = UNTRUE[case]
    with pytest.raises(error, match=words):
        taken_over(releases, api())


@pytest.mark.usefixtures("staged")
def test_another_commit_than_was_checked_out_is_refused(releases: Releases) -> None:
    api = TwoJobs()
    api.commit = "b" * 40
    with pytest.raises(WrongCommit, match="has checked out b"):
        taken_over(releases, api)


def test_a_run_that_has_opened_nothing_and_one_without_a_build_are_refused(releases: Releases) -> None:
    with pytest.raises(ReleaseError, match="has no release"):
        taken_over(releases, TwoJobs())
    releases.open("1")
    with pytest.raises(ReleaseError, match="no successful build of a target without a gate"):
        taken_over(releases, TwoJobs())


@pytest.mark.parametrize("name", SETTLED)
def test_a_second_half_says_all_that_must_not_be_left_to_the_first(name: str) -> None:
    assert require_second_half(SECOND) == BOT
    with pytest.raises(ConfigError, match=f"it has no parameter {name}"):
        require_second_half(JobDefinition(SETTLED | {name: ""}, gates=("prod",)))


def test_a_job_that_builds_staging_is_no_second_half() -> None:
    for definition in (JobDefinition(SETTLED, gates=("prod",), open_targets=("stg",)), JobDefinition(SETTLED)):
        with pytest.raises(ConfigError, match="does not build gated targets alone"):
            require_second_half(definition)


def test_the_volume_remembers_who_builds_production(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="remember no release log"):
        remember_production(str(tmp_path), "producer")
    write_anchor(tmp_path, LogAnchor("a.b.c", "id"))
    remember_production(str(tmp_path), "producer")
    assert read_anchor(tmp_path) == LogAnchor("a.b.c", "id", "producer")
    remember_production(str(tmp_path), "Producer")
    with pytest.raises(ConfigError, match="remember producer as production's identity, and this is somebody"):
        remember_production(str(tmp_path), "somebody")


def test_after_a_decision_the_first_job_s_run_goes_on_with_the_second_job(staged: Release) -> None:
    api = TwoJobs()
    with serving(api) as client:
        resume(client, staged, target="prod")
    assert api.repaired == ["production"]


def test_a_gate_that_neither_job_has_is_none(staged: Release) -> None:
    with serving(TwoJobs()) as client, pytest.raises(WorkflowError, match="0 gate tasks for uat"):
        resume(client, staged, target="uat")


def test_a_run_waits_where_the_job_that_it_runs_does() -> None:
    with serving(TwoJobs(inner=NOT_BEGUN)) as client:
        waiting = Jobs(client).run(1)
        with pytest.raises(ApprovalPending, match="prod is waiting for approval"):
            require_success(client, waiting, what="the run", url=None)


def test_a_run_names_the_task_of_the_other_job_at_which_it_has_failed() -> None:
    api = TwoJobs(inner=NOT_BEGUN)
    api.why = "StatementFailed: no"
    with serving(api) as client, pytest.raises(WorkflowError, match=r"production/approval_gate \(FAILED\)"):
        require_success(client, Jobs(client).run(1), what="the run", url=None)


def test_what_of_the_second_job_is_at_work_is_at_work_of_the_release() -> None:
    """The task that has started it is at work for as long as it is, and would be waited for by its own task."""
    with serving(TwoJobs(state=AT_WORK, inner=AT_WORK)) as client:
        assert others_at_work(Jobs(client), 1) == ["prod_build"]
    with serving(TwoJobs(state=AT_WORK, inner=ENDED)) as client:
        assert others_at_work(Jobs(client), 1) == []


def test_the_end_of_a_run_is_that_of_the_run_that_it_has_started() -> None:
    api = TwoJobs(state=AT_WORK, inner=AT_WORK)
    with serving(api) as client:
        assert ended_run(Jobs(client), 1, patience=timedelta(seconds=5)).goes_on is None
    assert api.cancelled == [2, 1]
