"""`python -m dbx_cd rollback`: the notebook as a one-time run, where and how the Workflow's own notebooks run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from local_rest import Workspace

from dbx_cd.cli.main import main
from dbx_cd.errors import WorkflowError
from dbx_cd.release.notebook_run import notebook_result, start_notebook

ECHO = """
names = ("release_id", "target", "only", "skip", "to", "new_tables", "discard_later_writes", "rehearse", "seal",
         "reason", "project_dir", "artifacts_root")
for name in names:
    dbutils.widgets.text(name, "")
given = {name: dbutils.widgets.get(name) for name in names}
if given["release_id"] == "gone":
    raise RuntimeError("unknown release 'gone'")
dbutils.notebook.exit(" ".join(f"{name}={value}" for name, value in given.items()))
"""
CLUSTER = {"job_cluster_key": "release", "new_cluster": {"spark_version": "16.4.x-scala2.12", "num_workers": 1}}


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Workspace]:
    place = Workspace(tmp_path)
    place.repository.commit(stg_build="pass", rollback=ECHO)
    task = {
        "task_key": "stg_build",
        "notebook_task": {"notebook_path": "notebooks/stg_build", "source": "GIT"},
        "job_cluster_key": "release",
        "libraries": [{"whl": "/Volumes/ops/wheels/dbx_cd.whl"}],
    }
    places = [{"name": "artifacts_root", "default": "/Volumes/a"}, {"name": "project_dir", "default": "shop"}]
    parameters = [*places, {"name": "reason"}]
    seen = [{"group_name": "developers", "permission_level": "CAN_VIEW"}]
    place.post(
        "create",
        place.settings(task, name="dbx_cd", job_clusters=[CLUSTER], parameters=parameters, access_control_list=seen),
    )
    monkeypatch.setenv("DATABRICKS_HOST", place.owner.config.host)
    monkeypatch.setenv("DATABRICKS_TOKEN", place.owner.config.token or "")
    yield place
    place.server.stop()


def test_rollback_passes_everything_to_the_notebook_and_prints_what_it_says(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    seal = "5" * 64
    command = ["rollback", "r1", "--target", "uat", "--seal", seal, "--only", "orders", "lines", "--new-tables", "drop"]
    assert main([*command, "--discard-later-writes", "--reason", "wrong"]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == (
        "release_id=r1 target=uat only=orders lines skip= to= new_tables=drop discard_later_writes=true rehearse=false "
        f"seal={seal} reason=wrong project_dir=shop artifacts_root=/Volumes/a"
    )


@pytest.mark.parametrize("mode", ["--plan", "--rehearse"])
def test_a_plan_and_a_rehearsal_never_carry_a_seal(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    assert main(["rollback", "r1", mode, "--seal", "5" * 64]) == 0
    assert " seal= " in capsys.readouterr().out


def test_without_a_seal_nothing_is_run_and_it_is_said_how_to_get_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rollback", "r1"]) == 1
    assert "--plan" in capsys.readouterr().err


def test_failure_of_the_notebook_is_told_in_its_own_words(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rollback", "gone", "--plan"]) == 1
    assert "unknown release 'gone'" in capsys.readouterr().err


def test_one_time_run_has_the_job_s_source_cluster_and_libraries_and_is_the_user_s_own(workspace: Workspace) -> None:
    started = start_notebook(workspace.dev, "dbx_cd", notebook="rollback", parameters={"release_id": "r1"})
    assert "release_id=r1" in notebook_result(workspace.dev, started)
    run = workspace.owner.jobs.get_run(started.run_id)
    (task,) = run.tasks or []
    assert run.git_source is not None
    assert run.git_source.git_branch == "main"
    assert task.new_cluster is not None
    assert task.new_cluster.spark_version == CLUSTER["new_cluster"]["spark_version"]
    assert [library.whl for library in task.libraries or []] == ["/Volumes/ops/wheels/dbx_cd.whl"]
    assert run.creator_user_name == "dev@example.org"


def test_who_may_not_see_the_job_is_told_which_right_that_takes(workspace: Workspace) -> None:
    stranger = workspace.server.client("lent-identity")
    with pytest.raises(WorkflowError, match=r"0 jobs are named 'dbx_cd'.*get CAN VIEW on the job"):
        start_notebook(stranger, "dbx_cd", notebook="rollback", parameters={})


def test_job_that_is_not_there_is_an_error(workspace: Workspace) -> None:
    with pytest.raises(WorkflowError, match="0 jobs are named 'other'"):
        start_notebook(workspace.dev, "other", notebook="rollback", parameters={})
