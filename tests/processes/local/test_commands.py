"""`python -m dbx_cd.local approve` on a running workspace, whose notebook here repeats what it was given."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from local_rest import USERS, Workspace, source

from dbx_cd.local.__main__ import main
from dbx_cd.local.state_lock import StateLock
from dbx_cd.local.workspace import OWNER, Connection

REPEAT = """
names = ("release_id", "seal", "consent", "reject_because", "project_dir", "artifacts_root")
for name in names:
    dbutils.widgets.text(name, "")
print(*(f"{name}={dbutils.widgets.get(name)}" for name in names), sep="|")
if dbutils.widgets.get("release_id") == "gone":
    raise SystemExit("gone does not wait for a decision")
"""


@dataclass
class Terminal:
    """Where the commands are typed: a project, and the state directory of a workspace that runs."""

    workspace: Workspace
    project: Path
    lock: StateLock

    def approve(self, *arguments: str) -> int:
        return main(
            ["approve", *arguments, "--state-dir", str(self.workspace.state), "--project", str(self.project)]
        )  # fmt: skip

    def given(self) -> dict[str, str]:
        """What the notebook was given, and as whom it ran."""
        (line,) = [line for _, line in self.workspace.printed if line.startswith("release_id=")]
        (run,) = self.workspace.owner.jobs.list_runs()
        return {**dict(part.split("=", 1) for part in line.split("|")), "user": str(run.creator_user_name)}


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    workspace = Workspace(tmp_path / "workspace")
    (workspace.packaged / "approve.py").write_text(source(REPEAT))
    tokens = {user.user_name: user.token for user in USERS}
    Connection(workspace.server.host, "", "", tokens).write(workspace.state)
    project = tmp_path / "repository" / "shop"
    project.mkdir(parents=True)
    (project / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (project / "profiles.yml").write_text("shop: {}\n")
    subprocess.run(["git", "init", "--quiet", str(project.parent)], check=True)
    lock = StateLock(workspace.state)
    lock.take()
    yield Terminal(workspace, project, lock)
    lock.release()
    workspace.server.stop()


def test_approve_gives_the_seal_to_the_notebook_as_the_owner(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert terminal.approve("r1", "--seal", "abc") == 0
    assert terminal.given() == {
        "release_id": "r1",
        "seal": "abc",
        "consent": "",
        "reject_because": "",
        "project_dir": str(terminal.project),
        "artifacts_root": str(terminal.workspace.state / "Volumes" / "ops" / "dbt_meta" / "artifacts"),
        "user": OWNER,
    }
    assert capsys.readouterr().out == f"r1: approved by {OWNER}\n"


def test_reject_gives_the_reason_to_the_notebook(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    assert terminal.approve("r1", "--reject-because", "wrong numbers", "--as", "dev@example.org") == 0
    given = terminal.given()
    assert (given["seal"], given["reject_because"], given["user"]) == ("", "wrong numbers", "dev@example.org")
    assert capsys.readouterr().out == "r1: rejected by dev@example.org\n"


def test_a_decision_that_is_refused_is_not_said_to_be_taken(
    terminal: Terminal, capsys: pytest.CaptureFixture[str]
) -> None:
    assert terminal.approve("gone", "--seal", "abc") == 1
    told = capsys.readouterr()
    assert "gone does not wait for a decision" in told.err
    assert told.out == ""


@pytest.mark.parametrize("option", ["--seal", "--reject-because"])
def test_an_empty_decision_is_wrong_usage(terminal: Terminal, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        terminal.approve("r1", option, "")
    assert ended.value.code == 2
    assert f"argument {option}: it is empty" in capsys.readouterr().err
    assert terminal.workspace.printed == []


def test_a_release_is_not_approved_and_rejected_at_once(terminal: Terminal) -> None:
    with pytest.raises(SystemExit) as ended:
        terminal.approve("r1", "--seal", "abc", "--reject-because", "no")
    assert ended.value.code == 2


def test_a_workspace_that_was_killed_is_said_to_be_gone(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.workspace.server.stop()
    terminal.lock.release()
    begun = time.monotonic()
    assert terminal.approve("r1", "--seal", "5ea1") == 1
    assert time.monotonic() - begun < 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("SetupError: no embedded workspace runs on this state directory")
    assert "start one: python -m dbx_cd.local up" in line


@pytest.mark.parametrize("command", ["up", "run"])
def test_a_state_folder_that_another_process_has_is_told_at_once_and_by_whom(
    terminal: Terminal, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    begun = time.monotonic()
    assert main([command, "--state-dir", str(terminal.workspace.state), "--project", str(terminal.project)]) == 1
    assert time.monotonic() - begun < 2
    told = capsys.readouterr().err
    assert f"process {os.getpid()} (" in told
    assert f"stop it (Ctrl-C in its terminal, or kill {os.getpid()})" in told
