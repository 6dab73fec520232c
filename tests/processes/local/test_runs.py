from __future__ import annotations

import errno
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import DatabricksError, PermissionDenied
from databricks.sdk.service.jobs import JobRunAs, JobSettings, RunLifeCycleState, RunResultState
from local_rest import USERS, Repository, Workspace, latest, results, source, task

from dbx_cd.local.rest import job_runs
from dbx_cd.local.rest.task_graph import RUN_IF, run_result, skip_reason

FAIL = "raise ValueError('broken')"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path_factory.mktemp("runs"))
    workspace.repository.commit(
        ok="dbutils.notebook.exit('fine')",
        fail=FAIL,
        wait="from dbx_cd import ApprovalPending\n"
        "raise ApprovalPending('waiting for approval', where='sealed 5ea1', next_step='open the notebook approve')",
        show=source("import json", "dbutils.notebook.exit(json.dumps(dbutils.widgets.getAll()))"),
        give="dbutils.jobs.taskValues.set('rows', 3); dbutils.jobs.taskValues.set('who', 'Zoë')",
        take="dbutils.notebook.exit(str(dbutils.jobs.taskValues.get('give', 'rows') + 1))",
        page="print('printed')\ndisplayHTML('<b>displayed</b>')",
        large="dbutils.jobs.taskValues.set('big', 'x' * 49152)",
        swallow="try:\n    dbutils.notebook.exit('out')\nexcept Exception:\n    pass\nraise SystemExit(3)",
        whoami="import os, json\nprint('hello')\n"
        "print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('DATABRICKS') or k == 'SHOP'}))\n"
        "print(os.getcwd())",
        sdk="from databricks.sdk import WorkspaceClient\n"
        "dbutils.notebook.exit(WorkspaceClient().current_user.me().user_name)",
        token="import os\ndbutils.notebook.exit(os.environ['DATABRICKS_TOKEN'])",
        forever="import subprocess, sys\nprint('started', flush=True)\n"
        "subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])",
        die="import os\nos._exit(7)",
        spark="spark.sql('select 1')",
        secrets="dbutils.secrets.get('scope', 'key')",
        credentials="dbutils.credentials.showCurrentRole()",
    )
    yield workspace
    workspace.server.stop()


def exit_value(workspace: Workspace, run, key: str):
    return workspace.owner.jobs.get_run_output(latest(run)[key].run_id).notebook_output.result


def test_sdk_waiter_returns_the_finished_run(workspace: Workspace) -> None:
    job = workspace.job(task("ok"))
    run = workspace.owner.jobs.run_now(job).result()
    assert run.state.result_state == RunResultState.SUCCESS
    assert exit_value(workspace, run, "ok") == "fine"
    assert run.creator_user_name == "owner@example.org"
    assert run.run_page_url.startswith("file://")


def test_tasks_run_in_dependency_order(workspace: Workspace) -> None:
    job = workspace.job(task("c", "b", notebook="ok"), task("b", "a", notebook="ok"), task("a", notebook="ok"))
    tasks = latest(workspace.run(job))
    assert tasks["a"].end_time <= tasks["b"].start_time
    assert tasks["b"].end_time <= tasks["c"].start_time


def test_failed_task_skips_downstream_and_the_run_says_so(workspace: Workspace) -> None:
    run = workspace.run(workspace.job(task("fail"), task("after", "fail", notebook="ok")))
    assert results(run) == {"fail": "FAILED", "after": "UPSTREAM_FAILED"}
    assert run.state.result_state == RunResultState.FAILED
    assert run.state.life_cycle_state == RunLifeCycleState.INTERNAL_ERROR
    assert "This caused all downstream tasks to get skipped" in run.state.state_message


def test_error_and_traceback_point_into_the_notebook(workspace: Workspace) -> None:
    run = workspace.run(workspace.job(task("fail")))
    output = workspace.owner.jobs.get_run_output(latest(run)["fail"].run_id)
    assert output.error == "ValueError: broken"
    assert 'notebooks/fail.py", line 2' in output.error_trace
    assert "notebook_cells" not in output.error_trace


def test_waiting_for_approval_is_a_message_without_a_traceback_and_the_task_has_failed(workspace: Workspace) -> None:
    run = workspace.run(workspace.job(task("wait"), task("after", "wait", notebook="ok")))
    assert results(run) == {"wait": "FAILED", "after": "UPSTREAM_FAILED"}
    output = workspace.owner.jobs.get_run_output(latest(run)["wait"].run_id)
    shown = "ApprovalPending: waiting for approval (sealed 5ea1)\nNext: open the notebook approve\n"
    assert output.error_trace == shown
    pages = [path.read_text() for path in workspace.state.rglob(f"{run.run_id}/wait.*")]
    assert [("waiting for approval" in page, "Traceback" in page) for page in pages] == [(True, False)] * 2


CONDITIONS = {
    # upstream results: which run_if conditions let the task run
    ("SUCCESS", "SUCCESS"): {"ALL_SUCCESS", "AT_LEAST_ONE_SUCCESS", "NONE_FAILED", "ALL_DONE"},
    ("SUCCESS", "FAILED"): {"AT_LEAST_ONE_SUCCESS", "ALL_DONE", "AT_LEAST_ONE_FAILED"},
    ("FAILED", "FAILED"): {"ALL_DONE", "AT_LEAST_ONE_FAILED", "ALL_FAILED"},
    ("FAILED", "UPSTREAM_FAILED"): {"ALL_DONE", "AT_LEAST_ONE_FAILED", "ALL_FAILED"},
    ("SUCCESS", "EXCLUDED"): {"ALL_SUCCESS", "AT_LEAST_ONE_SUCCESS", "NONE_FAILED", "ALL_DONE"},
    ("SUCCESS", "CANCELED"): {"AT_LEAST_ONE_SUCCESS", "ALL_DONE", "AT_LEAST_ONE_FAILED"},
    ("EXCLUDED", "EXCLUDED"): set(),
}


@pytest.mark.parametrize("upstream", CONDITIONS)
@pytest.mark.parametrize("run_if", RUN_IF)
def test_run_if_table(run_if: str, upstream: tuple[str, ...]) -> None:
    assert (skip_reason(run_if, upstream) is None) == (run_if in CONDITIONS[upstream])


def test_unmet_failure_handlers_are_excluded_and_others_upstream_failed() -> None:
    assert skip_reason("AT_LEAST_ONE_FAILED", ["SUCCESS"]) == "EXCLUDED"
    assert skip_reason("ALL_SUCCESS", ["FAILED"]) == "UPSTREAM_FAILED"
    assert skip_reason("ALL_SUCCESS", ["CANCELED"]) == "UPSTREAM_CANCELED"


def test_leaf_tasks_decide_the_result_of_the_run() -> None:
    assert run_result({"a": "FAILED", "b": "SUCCESS"}, ["b"]) == "SUCCESS_WITH_FAILURES"
    assert run_result({"a": "SUCCESS", "b": "EXCLUDED"}, ["b"]) == "SUCCESS"
    assert run_result({"a": "SUCCESS", "b": "TIMEDOUT"}, ["b"]) == "FAILED"


def test_failure_handler_runs_and_is_excluded_otherwise(workspace: Workspace) -> None:
    handler = task("handler", "main", notebook="ok", run_if="AT_LEAST_ONE_FAILED")
    assert results(workspace.run(workspace.job(task("main", notebook="fail"), handler)))["handler"] == "SUCCESS"
    assert results(workspace.run(workspace.job(task("main", notebook="ok"), handler)))["handler"] == "EXCLUDED"


def test_condition_task_takes_one_branch(workspace: Workspace) -> None:
    condition = {
        "task_key": "enough",
        "depends_on": [{"task_key": "give"}],
        "condition_task": {"op": "GREATER_THAN", "left": "{{tasks.give.values.rows}}", "right": "2"},
    }
    yes = task("yes", notebook="ok", depends_on=[{"task_key": "enough", "outcome": "true"}])
    no = task("no", notebook="ok", depends_on=[{"task_key": "enough", "outcome": "false"}])
    run = workspace.run(workspace.job(task("give"), condition, yes, no))
    assert results(run) == {"give": "SUCCESS", "enough": "SUCCESS", "yes": "SUCCESS", "no": "EXCLUDED"}
    assert latest(run)["enough"].condition_task.outcome == "true"
    assert run.state.result_state == RunResultState.SUCCESS


def test_job_parameters_override_task_parameters_of_the_same_name(workspace: Workspace) -> None:
    job = workspace.job(
        task("show", base_parameters={"commit": "from task", "mine": "task only"}),
        parameters=[{"name": "commit", "default": "from job"}, {"name": "reason", "default": "none"}],
    )
    run = workspace.run(job, job_parameters={"reason": "it's urgent"})
    expected = {"commit": "from job", "mine": "task only", "reason": "it's urgent"}
    assert json.loads(exit_value(workspace, run, "show")) == expected
    assert {p.name: p.value for p in run.job_parameters} == {"commit": None, "reason": "it's urgent"}


def test_dynamic_value_references_are_replaced(workspace: Workspace) -> None:
    job = workspace.job(
        task("give"),
        task(
            "show",
            "give",
            base_parameters={
                "run": "run-{{job.run_id}}",
                "job": "{{job.id}}/{{ job.name }}",
                "task": "{{task.name}}",
                "who": "{{tasks.give.values.who}}",
                "rows": "{{tasks.give.values.rows}}",
                "env": "{{job.parameters.env}}",
                "trigger": "{{job.trigger.type}}",
                "repairs": "{{job.repair_count}}",
                "literal": "{{nothing.known}} {{}} {x}",
            },
        ),
        parameters=[{"name": "env", "default": "stg"}],
    )
    run = workspace.run(job)
    shown = json.loads(exit_value(workspace, run, "show"))
    assert shown == {
        "run": f"run-{run.run_id}",
        "job": f"{job}/job",
        "task": "show",
        "who": "Zoë",
        "rows": "3",
        "env": "stg",
        "trigger": "one_time",
        "repairs": "0",
        "literal": "{{nothing.known}} {{}} {x}",
    }


def test_job_parameters_may_be_references(workspace: Workspace) -> None:
    job = workspace.job(
        task("show", base_parameters={"release": "r{{job.parameters.run_id}}"}),
        parameters=[{"name": "run_id", "default": "{{job.run_id}}"}],
    )
    run = workspace.run(job)
    shown = json.loads(exit_value(workspace, run, "show"))
    assert shown == {"release": f"r{run.run_id}", "run_id": str(run.run_id)}


def test_unknown_reference_in_a_known_namespace_fails_the_task(workspace: Workspace) -> None:
    run = workspace.run(workspace.job(task("show", base_parameters={"x": "{{job.notebook_url}}"})))
    assert results(run) == {"show": "FAILED"}
    assert "{{job.notebook_url}}" in latest(run)["show"].state.state_message


def test_task_values_reach_downstream_tasks(workspace: Workspace) -> None:
    run = workspace.run(workspace.job(task("give"), task("take", "give")))
    assert exit_value(workspace, run, "take") == "4"


def test_run_leaves_a_page_and_a_log(workspace: Workspace) -> None:
    run = workspace.run(workspace.job(task("page")))
    folder = workspace.state / "runs" / str(run.run_id)
    assert (folder / "page.log").read_text(encoding="utf-8") == "printed\n"
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert page.index("printed\n</pre>") < page.index("<b>displayed</b></template>")
    assert latest(run)["page"].run_page_url == (folder / "page.html").as_uri()


def test_task_value_over_48_kib_is_refused(workspace: Workspace) -> None:
    run = workspace.run(workspace.job(task("large")))
    assert "48 KiB" in workspace.owner.jobs.get_run_output(latest(run)["large"].run_id).error


def test_notebook_exit_is_not_caught_by_except_exception(workspace: Workspace) -> None:
    run = workspace.run(workspace.job(task("swallow")))
    assert exit_value(workspace, run, "swallow") == "out"


def test_task_sees_the_run_identity_and_no_inherited_databricks_variable(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABRICKS_CLIENT_SECRET", "of whoever started the workspace")
    run = workspace.run(workspace.job(task("whoami")))
    lines = [line for key, line in workspace.printed if key == "whoami"]
    assert lines[0] == "hello"
    seen = json.loads(lines[1])
    token = seen.pop("DATABRICKS_TOKEN")
    assert seen == {"DATABRICKS_HOST": workspace.server.host, "SHOP": "open"}
    assert token not in {user.token for user in USERS}, "an attempt has a token of its own"
    assert lines[2] == str(workspace.state / "checkouts" / run.git_source.git_snapshot.used_commit / "notebooks")


def test_run_as_gives_tasks_another_identity(workspace: Workspace) -> None:
    job = workspace.job(task("sdk"), run_as={"service_principal_name": "job-identity"})
    assert exit_value(workspace, workspace.run(job), "sdk") == "job-identity"


def test_token_of_an_attempt_is_refused_once_it_has_ended(workspace: Workspace) -> None:
    job = workspace.job(task("token"))
    first, second = (exit_value(workspace, workspace.run(job), "token") for _ in range(2))
    assert first != second
    for token in (first, second):
        client = WorkspaceClient(host=workspace.server.host, token=token, auth_type="pat")
        with pytest.raises(PermissionDenied, match="Invalid access token"):
            client.current_user.me()


def test_submitted_run_works_as_the_submitting_user(workspace: Workspace) -> None:
    submitted = workspace.settings(task("sdk"))
    submitted["run_name"] = submitted.pop("name")
    run = workspace.finished(workspace.post("runs/submit", submitted, client=workspace.dev)["run_id"])
    assert exit_value(workspace, run, "sdk") == "dev@example.org"
    assert run.creator_user_name == "dev@example.org"


def test_process_that_dies_is_a_failed_task(workspace: Workspace) -> None:
    run = workspace.run(workspace.job(task("die")))
    assert "exit code 7" in workspace.owner.jobs.get_run_output(latest(run)["die"].run_id).error


def test_spark_without_a_gateway_says_so(workspace: Workspace) -> None:
    run = workspace.run(workspace.job(task("spark")))
    assert "without Spark" in workspace.owner.jobs.get_run_output(latest(run)["spark"].run_id).error


def test_unsupported_dbutils_are_named(workspace: Workspace) -> None:
    run = workspace.run(workspace.job(task("credentials")))
    assert "dbutils.credentials" in workspace.owner.jobs.get_run_output(latest(run)["credentials"].run_id).error


def test_a_secret_that_is_not_there_is_named_by_its_scope(workspace: Workspace) -> None:
    run = workspace.run(workspace.job(task("secrets")))
    error = workspace.owner.jobs.get_run_output(latest(run)["secrets"].run_id).error
    assert "ResourceDoesNotExist: Scope scope does not exist!" in error


def test_failed_task_is_retried_as_a_new_attempt(workspace: Workspace) -> None:
    run = workspace.run(workspace.job(task("fail", max_retries=1)))
    assert [attempt.attempt_number for attempt in run.tasks] == [0, 1]


def test_task_timeout_ends_the_process(workspace: Workspace) -> None:
    run = workspace.run(workspace.job(task("forever", timeout_seconds=1)))
    assert results(run) == {"forever": "TIMEDOUT"}


def test_run_over_the_limit_is_skipped_without_a_queue(slow: Slow) -> None:
    job = slow.workspace.job(task("slow"))
    first = slow.begin(job)
    second = slow.workspace.run(job)
    slow.release.touch()
    assert second.state.life_cycle_state == RunLifeCycleState.SKIPPED
    assert second.state.result_state == RunResultState.MAXIMUM_CONCURRENT_RUNS_REACHED
    assert slow.workspace.finished(first).state.result_state == RunResultState.SUCCESS


def test_repair_that_is_refused_for_want_of_room_changes_nothing_of_the_run(slow: Slow) -> None:
    owner = slow.workspace.owner
    parameters = [{"name": "day", "default": "today"}]
    job = slow.workspace.job(task("slow"), parameters=parameters, run_as={"user_name": "owner@example.org"})
    stopped = slow.begin(job)
    owner.jobs.cancel_run(stopped)
    slow.workspace.finished(stopped)
    before = owner.api_client.do("GET", "/api/2.2/jobs/runs/get", query={"run_id": stopped})
    owner.jobs.update(job, new_settings=JobSettings(run_as=JobRunAs(service_principal_name="job-identity")))
    slow.started.clear()
    slow.begin(job)
    with pytest.raises(DatabricksError, match="has reached max_concurrent_runs"):
        owner.jobs.repair_run(stopped, rerun_all_failed_tasks=True, job_parameters={"day": "another"})
    assert owner.api_client.do("GET", "/api/2.2/jobs/runs/get", query={"run_id": stopped}) == before


def test_queued_run_starts_when_the_first_ends(slow: Slow) -> None:
    job = slow.workspace.job(task("slow"), queue={"enabled": True})
    first = slow.begin(job)
    second = slow.workspace.owner.jobs.run_now(job).run_id
    waiting = slow.workspace.owner.jobs.get_run(second)
    assert waiting.state.life_cycle_state == RunLifeCycleState.QUEUED
    slow.release.touch()
    end = slow.workspace.finished(first).end_time
    assert slow.workspace.finished(second).start_time >= end


def test_cancel_kills_the_process_and_its_children(slow: Slow) -> None:
    run_id = slow.begin(slow.workspace.job(task("slow"), task("after", "slow", notebook="slow")))
    slow.workspace.owner.jobs.cancel_run(run_id)
    run = slow.workspace.finished(run_id)
    assert results(run) == {"slow": "CANCELED", "after": "CANCELED"}
    assert run.state.result_state == RunResultState.CANCELED
    assert len(slow.pids) == 2
    assert [pid for pid in slow.pids if is_running(pid)] == []


def test_cancel_all_ends_running_and_queued_runs_of_a_job(slow: Slow) -> None:
    job = slow.workspace.job(task("slow"), queue={"enabled": True})
    running = slow.begin(job)
    queued = slow.workspace.owner.jobs.run_now(job).run_id
    slow.workspace.owner.jobs.cancel_all_runs(job_id=job)
    for run_id in (running, queued):
        assert slow.workspace.finished(run_id).state.result_state == RunResultState.CANCELED


def test_cancelling_all_queued_runs_leaves_those_that_one_may_not_cancel(slow: Slow) -> None:
    queue = {"enabled": True}
    seen = [{"group_name": "developers", "permission_level": "CAN_VIEW"}]
    job = slow.workspace.job(task("slow"), queue=queue, access_control_list=seen)
    slow.begin(job)
    queued = slow.workspace.owner.jobs.run_now(job).run_id
    slow.workspace.dev.jobs.cancel_all_runs(all_queued_runs=True)
    assert slow.workspace.owner.jobs.get_run(queued).state.life_cycle_state == RunLifeCycleState.QUEUED
    slow.workspace.owner.jobs.cancel_all_runs(all_queued_runs=True)
    assert slow.workspace.finished(queued).state.result_state == RunResultState.CANCELED


def test_run_time_limit_ends_all_tasks(slow: Slow) -> None:
    run = slow.workspace.run(slow.workspace.job(task("slow"), task("after", "slow"), timeout_seconds=1))
    assert run.state.result_state == RunResultState.TIMEDOUT
    assert results(run) == {"slow": "TIMEDOUT", "after": "TIMEDOUT"}


def test_stopping_the_workspace_closes_runs_and_they_can_be_repaired(slow: Slow) -> None:
    run_id = slow.begin(slow.workspace.job(task("slow"), task("after", "slow", notebook="quick")))
    slow.workspace.restart()
    run = slow.workspace.owner.jobs.get_run(run_id)
    assert run.state.life_cycle_state == RunLifeCycleState.INTERNAL_ERROR
    assert run.state.state_message == "the workspace stopped"
    slow.release.touch()
    repaired = slow.workspace.repair(run_id, rerun_all_failed_tasks=True)
    assert results(repaired) == {"slow": "SUCCESS", "after": "SUCCESS"}


def test_run_that_was_running_at_a_crash_is_closed_at_the_next_start(slow: Slow) -> None:
    run_id = slow.begin(slow.workspace.job(task("slow")))
    record = slow.workspace.state / "runs" / str(run_id) / "run.json"
    crashed = record.read_text(encoding="utf-8")
    slow.workspace.server.stop()
    record.write_text(crashed, encoding="utf-8")  # as it was while the task ran
    slow.workspace.server = slow.workspace._serve()
    run = slow.workspace.owner.jobs.get_run(run_id)
    assert run.state.life_cycle_state == RunLifeCycleState.INTERNAL_ERROR
    assert latest(run)["slow"].state.state_message == "the workspace stopped"


def is_running(pid: int) -> bool:
    """Whether the process exists and is more than a zombie that nobody has collected yet."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


class Slow:
    """A workspace with a notebook that runs until the file ``release`` exists."""

    def __init__(self, folder: Path) -> None:
        self.started = threading.Event()
        self.pids: list[int] = []
        self.release = folder / "release"
        self.workspace = Workspace(folder, on_output=self._heard)
        wait = f"import os, time\nwhile not os.path.exists({str(self.release)!r}): time.sleep(0.02)"
        child = f"import subprocess, sys, os\nchild = subprocess.Popen([sys.executable, '-c', {wait!r}])\n"
        report = "print(f'pid {os.getpid()}')\nprint(f'pid {child.pid}')\nprint('started')\nchild.wait()"
        self.workspace.repository.commit(slow=child + report, quick="1")

    def _heard(self, _run_id: int, _task: str, line: str) -> None:
        if line.startswith("pid "):
            self.pids.append(int(line.split()[1]))
        if line == "started":
            self.started.set()

    def begin(self, job_id: int) -> int:
        """Start a run and return once its task is running."""
        run_id = self.workspace.owner.jobs.run_now(job_id).run_id
        assert self.started.wait(30)
        return run_id


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[Slow]:
    slow = Slow(tmp_path)
    yield slow
    slow.workspace.server.stop()


def test_jobs_runs_and_outputs_survive_a_restart(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.repository.commit(ok="dbutils.notebook.exit('fine')")
    job = workspace.job(task("ok"))
    before = workspace.run(job)
    workspace.restart()
    after = workspace.owner.jobs.get_run(before.run_id)
    assert after.state == before.state
    assert exit_value(workspace, after, "ok") == "fine"
    assert workspace.owner.jobs.get(job).settings.name == "job"
    assert workspace.run(job).run_id > before.run_id
    workspace.server.stop()


def test_same_idempotency_token_returns_the_same_run(workspace: Workspace) -> None:
    job = workspace.job(task("ok"), max_concurrent_runs=5)
    first = workspace.run(job, idempotency_token="attempt-1")
    assert workspace.run(job, idempotency_token="attempt-1").run_id == first.run_id
    assert workspace.run(job, idempotency_token="attempt-2").run_id != first.run_id


def test_notification_hooks_are_recorded_not_sent(workspace: Workspace) -> None:
    hooks = {"email_notifications": {"on_failure": ["team@example.org"]}}
    run = workspace.run(workspace.job(task("fail"), **hooks))
    lines = (workspace.state / "logs" / "notifications.jsonl").read_text(encoding="utf-8").splitlines()
    event = json.loads(lines[-1])
    assert (event["event"], event["run_id"], event["emails"]) == ("on_failure", run.run_id, ["team@example.org"])


def test_runs_are_listed_newest_first(workspace: Workspace) -> None:
    job = workspace.job(task("ok"))
    first, second = workspace.run(job), workspace.run(job)
    assert [run.run_id for run in workspace.owner.jobs.list_runs(job_id=job)] == [second.run_id, first.run_id]


def test_repository_of_a_file_url_needs_no_mapping(workspace: Workspace, tmp_path: Path) -> None:
    other = Repository(tmp_path / "other")
    commit = other.commit(ok="dbutils.notebook.exit('other')")
    settings = workspace.settings(task("ok"))
    settings["git_source"] = {"git_url": other.path.as_uri(), "git_provider": "gitHub", "git_commit": commit}
    run = workspace.run(workspace.post("create", settings)["job_id"])
    assert exit_value(workspace, run, "ok") == "other"


@pytest.mark.parametrize("fails_from", [2, 4, 6])
def test_a_run_whose_records_cannot_be_kept_ends_and_says_why(
    slow: Slow, monkeypatch: pytest.MonkeyPatch, fails_from: int
) -> None:
    """As on a full disk, from one moment or another on: who waits for the run must not wait for ever."""
    written: list[object] = []
    write = job_runs.write_json

    def full(path: Path, content: object) -> None:
        if path.name == "run.json":
            written.append(content)
            if len(written) >= fails_from:
                raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, content)

    job = slow.workspace.job(task("slow"), task("other", notebook="quick"))
    monkeypatch.setattr(job_runs, "write_json", full)
    run_id = slow.workspace.owner.jobs.run_now(job).run_id
    slow.release.touch()
    run = slow.workspace.finished(run_id)
    assert len(written) >= fails_from
    assert run.state.result_state == RunResultState.FAILED
    assert "No space left on device" in run.state.state_message
