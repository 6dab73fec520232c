"""A project's bundle, deployed into a workspace as the Databricks CLI does: its files, its jobs, their permissions."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from databricks.sdk.service.jobs import JobSettings, RunJobTask, Source, Task

from dbx_cd.local.workspace import CI
from dbx_cd.setup.bundle import packaged_folder
from dbx_cd.setup.bundled_job import BundledJob

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient

_NOTEBOOKS = "notebooks"


class DeployedBundle:
    """What a deploy of the bundle of one repository leaves; doing it again changes nothing.

    Args:
        ci: the client of whoever deploys.
        repository: the root of the repository.
        state_dir: of the workspace, in which files of the workspace lie below `Workspace`.
    """

    def __init__(self, ci: WorkspaceClient, *, repository: Path, state_dir: Path) -> None:
        self._ci = ci
        self._repository = repository
        self._state_dir = state_dir

    def deploy(self, first: BundledJob, second: BundledJob | None = None) -> int:
        """Deploy the Workflow's job, and the one that its last task runs where there is one.

        Args:
            first: the Workflow's job.
            second: the job of what has a gate, where that is one of its own.

        Returns:
            The id of the first.
        """
        if second is None:
            return self._job(first, first.settings)
        files = self._files(str(first.settings.name))
        tasks = [_of_files(task, files) for task in second.settings.tasks or ()]
        inner = self._job(second, replace(second.settings, tasks=tasks))
        outer = [_running(task, inner) for task in first.settings.tasks or ()]
        return self._job(first, replace(first.settings, tasks=outer))

    def _files(self, name: str) -> PurePosixPath:
        """Where the notebooks are in the workspace: those of the repository, as they are in its working tree now."""
        # The default `root_path` of a bundle in production mode has the deployer's folder (asset bundle reference).
        inside = PurePosixPath("Users", CI, ".bundle", name, "files", _NOTEBOOKS)
        there = self._state_dir / "Workspace" / inside
        own = self._repository / _NOTEBOOKS
        shutil.rmtree(there, ignore_errors=True)
        shutil.copytree(own if own.is_dir() else packaged_folder() / _NOTEBOOKS, there)
        return PurePosixPath("/Workspace") / inside

    def _job(self, job: BundledJob, settings: JobSettings) -> int:
        """Settings and permissions are set anew, and who deploys owns the job."""
        named = [j.job_id for j in self._ci.jobs.list(name=settings.name) if j.job_id is not None]
        if named:
            job_id = named[0]
            self._ci.jobs.reset(job_id, settings)
        else:
            job_id = int(self._ci.jobs.create(**_create_arguments(settings)).job_id or 0)
        self._ci.permissions.set("jobs", str(job_id), access_control_list=job.deployed_by(CI))
        return job_id


def _of_files(task: Task, folder: PurePosixPath) -> Task:
    """A task whose notebook is a file of the bundle: a path in its files becomes one of the workspace."""
    notebook = task.notebook_task
    if notebook is None or notebook.source != Source.WORKSPACE:
        return task
    path = folder / PurePosixPath(notebook.notebook_path).stem
    return replace(task, notebook_task=replace(notebook, notebook_path=str(path)))


def _running(task: Task, job_id: int) -> Task:
    """A task that runs another job of the bundle, which has an id only once it is deployed."""
    if task.run_job_task is None:
        return task
    parameters = task.run_job_task.job_parameters
    return replace(task, run_job_task=RunJobTask(job_id=job_id, job_parameters=parameters))


def _create_arguments(settings: JobSettings) -> dict[str, Any]:
    """What `jobs.create` takes for the same settings."""
    return {name: value for name, value in vars(settings).items() if value is not None}
