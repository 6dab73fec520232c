"""The end of a task whose work in the workspace's JVM could not be ended: nobody may take it for ended well."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import PermissionDenied
from local_rest import USERS, source

from dbx_cd.local.rest.server import RestServer
from dbx_cd.local.task_threads import SparkOfTasks

OWNER = "owner@example.org"


class Stuck:
    """The JVM's side of a workspace in which nothing can be ended."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    def admit(self, token: str, *, user: str) -> None:
        assert user == OWNER
        self.tokens.append(token)

    def end(self, token: str, *, task: str) -> None:
        raise RuntimeError(f"{task} is still at work")


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_task_whose_work_in_spark_could_not_be_ended_has_failed_and_says_so(
    tmp_path: Path, *, is_cancelled: bool
) -> None:
    packaged, stuck = tmp_path / "packaged", Stuck()
    packaged.mkdir()
    (packaged / "ok.py").write_text(source("import time\ntime.sleep(600)" if is_cancelled else "1"))
    with RestServer(tmp_path / "state", users=USERS, packaged_notebooks=packaged, spark_side=stuck) as server:
        client = server.client(OWNER)
        notebook = {"notebook_path": "/Workspace/ok", "source": "WORKSPACE"}
        body = {"tasks": [{"task_key": "ok", "notebook_task": notebook}]}
        run_id = client.api_client.do("POST", "/api/2.2/jobs/runs/submit", body=body)["run_id"]  # type: ignore[index,call-overload]
        if is_cancelled:
            while not stuck.tokens:  # a task that has not begun is closed with its run
                time.sleep(0.02)
            client.jobs.cancel_run(run_id)
        assert server.wait(run_id, timeout_seconds=60)
        (attempt,) = client.jobs.get_run(run_id).tasks or ()
        assert attempt.state is not None
        assert attempt.state.result_state is not None
        assert attempt.state.result_state.value == "FAILED"
        assert "is still at work" in str(attempt.state.state_message)
        (token,) = stuck.tokens
        with pytest.raises(PermissionDenied):
            WorkspaceClient(host=server.host, token=token, auth_type="pat").current_user.me()


class Failing:
    """An endpoint, and a JVM, of which every call fails."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("An error occurred while calling o1.end")


def spark_at(port: int) -> Any:
    gateway = SimpleNamespace(gateway_parameters=SimpleNamespace(address="127.0.0.1", port=port))
    context = SimpleNamespace(_gateway=gateway, _jsc=SimpleNamespace(sc=lambda: None))
    return SimpleNamespace(_jvm=Failing(), sparkContext=context)


def test_failure_to_end_a_task_counts_where_the_jvm_is_there_and_not_where_it_is_gone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as jvm:
        port = jvm.getsockname()[1]
        side = SparkOfTasks(spark_at(port), Failing())  # type: ignore[arg-type]
        with pytest.raises(RuntimeError, match="An error occurred"):
            side.end("token", task="run-1")
    side.end("token", task="run-1")
