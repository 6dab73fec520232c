"""A REST workspace without Spark over a small git repository, for the tests of `dbx_cd.local`."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from databricks.sdk import WorkspaceClient
from databricks.sdk.service.jobs import Run, RunTask

from dbx_cd.local.rest.server import RestServer, User
from dbx_cd.local.rest.volume_access import FixedVolumes

URL = "https://git.example.org/team/project.git"
USERS = (
    User("owner@example.org", "token-owner", ("admins", "dbx_cd_approvers")),
    User("dev@example.org", "token-dev", ("developers",)),
    User("job-identity", "token-job", ("developers",), service_principal=True),
    User("lent-identity", "token-lent", service_principal=True),
)
LENT = {"lent-identity": ("developers",)}
"""Who has the role Service Principal User."""
VOLUMES = FixedVolumes(
    ["ops.dbt_meta.artifacts", "ops.dbt_meta.links"],
    denied={"dev@example.org": ["WRITE VOLUME"], "lent-identity": ["READ VOLUME", "WRITE VOLUME"]},
)
HEADER = "# Databricks notebook source\n"
SEPARATOR = "\n# COMMAND ----------\n\n"

Json = dict[str, Any]


def source(*cells: str) -> str:
    """A notebook in source format."""
    return HEADER + SEPARATOR.join(cells) + "\n"


def task(key: str, *after: str, notebook: str | None = None, **settings: Any) -> Json:
    """A notebook task that runs the notebook of its own name."""
    depends_on = {"depends_on": [{"task_key": name} for name in after]} if after else {}
    path = f"notebooks/{notebook or key}"
    parameters = {"base_parameters": settings.pop("base_parameters")} if "base_parameters" in settings else {}
    return {"task_key": key, "notebook_task": {"notebook_path": path, **parameters}, **depends_on, **settings}


class Repository:
    """A git repository whose notebooks are committed one call at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self._git("init", "-q", "-b", "main")

    def commit(self, **notebooks: str) -> str:
        """Write notebooks (their first cell, or a whole file) and commit; returns the commit."""
        for name, text in notebooks.items():
            file = self.path / "notebooks" / f"{name}.py"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text if text.startswith(HEADER) else source(text), encoding="utf-8")
        self._git("add", "-A")
        self._git("-c", "user.name=Test", "-c", "user.email=test@example.org", "commit", "-q", "-m", "notebooks")
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.path), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class Workspace:
    """A running server, its repository and one SDK client for each user."""

    def __init__(self, folder: Path, *, on_output: Callable[[int, str, str], None] | None = None) -> None:
        self.folder = folder
        self.state = folder / "state"
        self.repository = Repository(folder / "repository")
        self.printed: list[tuple[str, str]] = []
        self._on_output = on_output
        self.packaged = folder / "packaged"
        self.packaged.mkdir()
        self.server = self._serve()

    def _serve(self) -> RestServer:
        return RestServer(
            self.state,
            users=USERS,
            service_principal_users=LENT,
            volumes=VOLUMES,
            repositories={URL: self.repository.path},
            packaged_notebooks=self.packaged,
            environment={"SHOP": "open"},
            on_output=self._print,
        ).start()

    def _print(self, run_id: int, task_key: str, line: str) -> None:
        self.printed.append((task_key, line))
        if self._on_output is not None:
            self._on_output(run_id, task_key, line)

    def restart(self) -> None:
        """Stop the server and start it again on the same state."""
        self.server.stop()
        self.server = self._serve()

    @property
    def owner(self) -> WorkspaceClient:
        return self.server.client("owner@example.org")

    @property
    def dev(self) -> WorkspaceClient:
        return self.server.client("dev@example.org")

    def job(self, *tasks: Json, commit: str | None = None, **settings: Any) -> int:
        """Create a job over the repository at a commit (``main`` when not given); returns its id."""
        return self.post("create", self.settings(*tasks, commit=commit, **settings))["job_id"]

    def settings(self, *tasks: Json, commit: str | None = None, **settings: Any) -> Json:
        git_source = {"git_url": URL, "git_provider": "gitHub"}
        git_source |= {"git_commit": commit} if commit else {"git_branch": "main"}
        return {"name": "job", "git_source": git_source, "tasks": list(tasks), **settings}

    def post(self, call: str, body: Json, *, client: WorkspaceClient | None = None) -> Json:
        """A Jobs API call with a plain body, through the SDK's own HTTP client."""
        answer = (client or self.owner).api_client.do("POST", f"/api/2.2/jobs/{call}", body=body)
        assert isinstance(answer, dict)
        return answer

    def run(self, job_id: int, **arguments: Any) -> Run:
        """Run a job to its end."""
        return self.finished(self.owner.jobs.run_now(job_id, **arguments).run_id)

    def repair(self, run_id: int, **arguments: Any) -> Run:
        """Repair a run to its end."""
        self.owner.jobs.repair_run(run_id, **arguments)
        return self.finished(run_id)

    def finished(self, run_id: int) -> Run:
        """The run, once it has ended."""
        assert self.server.wait(run_id, timeout_seconds=60), "the run did not end"
        return self.owner.jobs.get_run(run_id, include_history=True)


def latest(run: Run) -> dict[str, RunTask]:
    """The newest attempt of every task."""
    return {attempt.task_key: attempt for attempt in run.tasks or []}


def results(run: Run) -> dict[str, str]:
    """The result state of every task's newest attempt."""
    return {key: attempt.state.result_state.value for key, attempt in latest(run).items()}
