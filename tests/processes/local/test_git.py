from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from databricks.sdk.service.jobs import RunLifeCycleState, RunResultState
from local_rest import URL, Workspace, latest, results, source, task


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path)
    yield workspace
    workspace.server.stop()


def exit_value(workspace: Workspace, run, key: str = "a"):
    return workspace.owner.jobs.get_run_output(latest(run)[key].run_id).notebook_output.result


def test_pinned_commit_runs_although_the_branch_moved_on(workspace: Workspace) -> None:
    pinned = workspace.repository.commit(a="dbutils.notebook.exit('old')")
    moved = workspace.repository.commit(a="dbutils.notebook.exit('new')")
    at_commit = workspace.run(workspace.job(task("a"), commit=pinned))
    at_branch = workspace.run(workspace.job(task("a")))
    assert (exit_value(workspace, at_commit), exit_value(workspace, at_branch)) == ("old", "new")
    assert at_commit.git_source.git_snapshot.used_commit == pinned
    assert at_branch.git_source.git_snapshot.used_commit == moved


def test_uncommitted_changes_are_not_run(workspace: Workspace) -> None:
    workspace.repository.commit(a="dbutils.notebook.exit('committed')")
    (workspace.repository.path / "notebooks" / "a.py").write_text(source("dbutils.notebook.exit('dirty')"))
    assert exit_value(workspace, workspace.run(workspace.job(task("a")))) == "committed"


def test_checkout_is_read_only(workspace: Workspace) -> None:
    commit = workspace.repository.commit(a="import helper_module", helper_module="x = 1")
    assert results(workspace.run(workspace.job(task("a")))) == {"a": "SUCCESS"}
    checkout = workspace.state / "checkouts" / commit
    entries = [checkout, *checkout.rglob("*")]
    assert {entry.stat().st_mode & 0o222 for entry in entries} == {0}
    assert {entry.name for entry in entries} == {commit, "notebooks", "a.py", "helper_module.py"}


def test_checkout_leaves_the_repository_untouched(workspace: Workspace) -> None:
    workspace.repository.commit(a="1")
    before = workspace.repository._git("status", "--porcelain", "--branch")
    workspace.run(workspace.job(task("a")))
    assert workspace.repository._git("status", "--porcelain", "--branch") == before
    assert workspace.repository._git("worktree", "list").count("\n") == 1


def test_files_that_git_archive_would_leave_out_are_there(workspace: Workspace) -> None:
    (workspace.repository.path / ".gitattributes").write_text("notebooks/a.py export-ignore\n")
    workspace.repository.commit(a="1")
    assert results(workspace.run(workspace.job(task("a")))) == {"a": "SUCCESS"}


def test_unknown_commit_fails_the_run_with_its_name(workspace: Workspace) -> None:
    workspace.repository.commit(a="1")
    run = workspace.run(workspace.job(task("a"), commit="0" * 40))
    assert run.state.life_cycle_state == RunLifeCycleState.INTERNAL_ERROR
    assert run.state.result_state == RunResultState.FAILED
    assert f"no commit '{'0' * 40}'" in run.state.state_message
    assert results(run) == {"a": "FAILED"}


def test_unknown_url_fails_the_run_with_its_name(workspace: Workspace) -> None:
    settings = workspace.settings(task("a"))
    settings["git_source"]["git_url"] = "https://git.example.org/other.git"
    run = workspace.run(workspace.post("create", settings)["job_id"])
    assert "https://git.example.org/other.git" in run.state.state_message


def test_tag_is_checked_out(workspace: Workspace) -> None:
    workspace.repository.commit(a="dbutils.notebook.exit('tagged')")
    subprocess.run(["git", "-C", str(workspace.repository.path), "tag", "v1"], check=True)
    workspace.repository.commit(a="dbutils.notebook.exit('later')")
    settings = workspace.settings(task("a"))
    settings["git_source"] = {"git_url": URL, "git_provider": "gitHub", "git_tag": "v1"}
    assert exit_value(workspace, workspace.run(workspace.post("create", settings)["job_id"])) == "tagged"


def test_missing_notebook_is_a_failed_task(workspace: Workspace) -> None:
    workspace.repository.commit(a="1")
    run = workspace.run(workspace.job(task("nowhere"), task("after", "nowhere", notebook="a")))
    assert results(run) == {"nowhere": "FAILED", "after": "UPSTREAM_FAILED"}
    assert "Notebook not found (notebooks/nowhere)" in latest(run)["nowhere"].state.state_message


def test_packaged_notebook_fills_in_and_the_projects_own_copy_wins(workspace: Workspace) -> None:
    workspace.repository.commit(a="dbutils.notebook.exit('own')")
    for name in ("a", "b"):
        (workspace.packaged / f"{name}.py").write_text(source(f"dbutils.notebook.exit('packaged {name}')"))
    run = workspace.run(workspace.job(task("a"), task("b")))
    assert (exit_value(workspace, run, "a"), exit_value(workspace, run, "b")) == ("own", "packaged b")


def test_workspace_notebooks_are_found_below_the_state_directory(workspace: Workspace) -> None:
    file = workspace.state / "Workspace" / "Shared" / "hello.py"
    file.parent.mkdir(parents=True)
    file.write_text(source("dbutils.notebook.exit('hello')"))
    tasks = [
        {"task_key": "a", "notebook_task": {"notebook_path": "/Workspace/Shared/hello"}},
        {"task_key": "b", "notebook_task": {"notebook_path": "/../../secret"}},
    ]
    run = workspace.finished(workspace.post("runs/submit", {"run_name": "ad hoc", "tasks": tasks})["run_id"])
    assert results(run) == {"a": "SUCCESS", "b": "FAILED"}
    assert exit_value(workspace, run) == "hello"
