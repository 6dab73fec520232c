"""One release of any dbt-databricks project on the embedded workspace, from a commit to production."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.jobs import JobSettings, NotebookTask, Source, SubmitTask

from dbx_cd.approval.decision import pending_approvals
from dbx_cd.approval.request import ApprovalRequest, Decision
from dbx_cd.cli.bundle import TargetNames
from dbx_cd.config import CdConfig
from dbx_cd.dbt.profiles import profiles_folder
from dbx_cd.errors import ConfigError
from dbx_cd.jinja import EarlyJinja
from dbx_cd.local.job_bundle import BundledJob, load_bundled_job
from dbx_cd.local.session_user import act_as
from dbx_cd.local.workspace import CI, OWNER, RELEASE_BOT, EmbeddedWorkspace
from dbx_cd.relations import RelationName
from dbx_cd.release.context import Cd, open_cd
from dbx_cd.release.job import JobDefinition
from dbx_cd.release.jobs import Jobs
from dbx_cd.release.notebook_run import NotebookRun, notebook_result
from dbx_cd.release.standing import require_targets
from dbx_cd.release.workflow import ReleaseRun, trigger
from dbx_cd.sql_endpoint import profile_targets, with_connection
from dbx_cd.yaml_text import load_yaml

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import Run

_LOOK_AGAIN_SECONDS = 2.0
_NOTEBOOK_TIME = timedelta(minutes=20)


@dataclass(frozen=True)
class LocalProject:
    """A dbt project in a git repository of this machine."""

    repository: Path
    """The root of the git repository."""
    subfolder: str
    """The project's folder, relative to the repository."""
    profile: str
    """The profile that `dbt_project.yml` names."""
    profiles_dir: Path
    """The folder of the `profiles.yml` that it uses, whether or not there is one."""
    config: CdConfig
    """The project's settings."""

    @classmethod
    def find(cls, project_dir: str | Path, *, profiles_dir: str | Path | None = None) -> LocalProject:
        """Look at a project's folder.

        Args:
            project_dir: the folder.
            profiles_dir: the folder of `profiles.yml`; by default the one that dbt takes in the project's folder or in
                the current one: that of DBT_PROFILES_DIR, the project's folder, the current one, `~/.dbt`.

        Raises:
            ConfigError: no dbt project, not in a git repository, or no `profiles.yml` where one is named.
        """
        project = Path(project_dir).resolve()
        try:
            settings = load_yaml((project / "dbt_project.yml").read_text(encoding="utf-8"), last_counts=True)
        except FileNotFoundError:
            raise ConfigError("no dbt_project.yml", where=project, next_step="give the dbt project's folder") from None
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
            raise ConfigError(
                f"dbt_project.yml cannot be read as YAML: {exc}", where=project, next_step="fix the file"
            ) from exc
        if not isinstance(settings, dict):
            raise ConfigError("dbt_project.yml must be a mapping", where=project, next_step="fix the file")
        root = _git(project, "rev-parse", "--show-toplevel")
        if root is None:
            raise ConfigError(
                "not in a git repository",
                where=project,
                next_step="a release is made of a commit: git init && git commit",
            )
        profiles = profiles_folder(project, given=profiles_dir) or profiles_folder(Path.cwd(), given=None)
        repository = Path(root)
        subfolder = project.relative_to(repository).as_posix()
        profile = EarlyJinja().render(settings.get("profile"), where=f"{project}/dbt_project.yml: profile")
        return cls(repository, subfolder, profile, profiles or Path.home() / ".dbt", CdConfig.load(project))

    @property
    def catalogs(self) -> list[str]:
        """The catalogs that the profile's targets, the release log and the Volume of artifacts need."""
        targets = profile_targets(self.profiles_dir, self.profile, targets=self.config.targets)
        volume = Path(self.config.artifacts_root).parts
        named = [volume[2]] if volume[:2] == ("/", "Volumes") and len(volume) > 2 else []
        return [*(t.catalog for t in targets.values()), RelationName.parse(self.config.release_log).catalog, *named]

    def job(self, *, artifacts_root: str | None = None) -> BundledJob:
        """The Workflow's definition: the repository's own, else the packaged one for this project's targets.

        Args:
            artifacts_root: the folder of artifacts; by default as the project's settings have it.

        Raises:
            ConfigError: it is malformed, or builds other targets than the project's settings have.
        """
        variables = {
            "git_url": self.repository.as_uri(),
            "project_dir": self.subfolder,
            "artifacts_root": artifacts_root or self.config.artifacts_root,
            "release_log": self.config.release_log,
            "approvers": self.config.approvers,
            "run_as": RELEASE_BOT,
        }
        job = load_bundled_job(self.repository, variables=variables, names=TargetNames.of(self.config))
        require_targets(self.config, JobDefinition.of(job.settings).standing)
        return job

    def commit(self, revision: str) -> str:
        """The full SHA of a revision.

        Raises:
            ConfigError: there is no such commit.
        """
        sha = _git(self.repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if sha is None:
            raise ConfigError(
                f"no commit {revision!r}", where=self.repository, next_step="commit first, or see git log"
            )
        return sha

    def newest_commit(self) -> str | None:
        """The full SHA of what is checked out; None where nothing is committed yet."""
        return _git(self.repository, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")


class LocalWorkflow:
    """The Workflow of one project on a running embedded workspace."""

    def __init__(self, workspace: EmbeddedWorkspace, project: LocalProject) -> None:
        self.workspace = workspace
        self.project = project
        self.artifacts_root = workspace.volume_path(project.config.artifacts_root)
        self._ci: WorkspaceClient = workspace.client(CI)
        job = self._job()
        self.job_id = self._deploy(job)
        self.cd: Cd = open_cd(
            act_as(workspace.spark, RELEASE_BOT),
            project_dir=project.repository / project.subfolder,
            workspace=workspace.client(RELEASE_BOT),
            overrides={"artifacts_root": str(self.artifacts_root)},
            definition=JobDefinition.of(job.settings).standing,
        )

    def release(self, commit: str, *, reason: str | None = None, full_refresh: bool = False) -> ReleaseRun:
        """Trigger the Workflow at a commit, as CI does."""
        sha = self.project.commit(commit)
        self.workspace.warm_up()
        return trigger(self._ci, self.job_id, commit=sha, reason=reason, full_refresh=full_refresh)

    def wait(self, run: ReleaseRun) -> Run:
        """Wait until the run has ended, or waits for an approval."""
        self.workspace.rest.wait(run.run_id)
        return self._ci.jobs.get_run(run.run_id)

    def pending(self, run: ReleaseRun) -> ApprovalRequest | None:
        """The approval that a run waits for."""
        waiting = pending_approvals(self.cd)
        return next((request for request in waiting if request.release.run_id == str(run.run_id)), None)

    def approve(self, request: ApprovalRequest, *, as_user: str) -> None:
        """Approve as a user: the `approve` notebook, submitted over REST under that user's own token."""
        submit_notebook(
            self.workspace.client(as_user),
            "approve",
            self.notebook_parameters() | {"release_id": request.release.id, "seal": request.seal},
        )

    def approve_command(self, request: ApprovalRequest) -> str:
        """What to type in another terminal to approve, wherever that is."""
        project = self.project.repository / self.project.subfolder
        return shlex.join(
            [
                *(sys.executable, "-m", "dbx_cd.local", "approve", request.release.id, "--seal", request.seal),
                *("--as", OWNER, "--state-dir", str(self.workspace.state_dir), "--project", str(project)),
            ]
        )

    def is_to_be_resumed(self, run: ReleaseRun) -> bool:
        """Whether a run's release is approved for a target, and its run not yet repaired for that."""
        release = self.cd.log.for_run(str(run.run_id))
        history = self._ci.jobs.get_run(run.run_id, include_history=True).repair_history or []
        decided = [d for d in self.cd.log.all(release, Decision) if d.outcome == "approved" and d.reuses is None]
        # The history begins with the run itself; each decision repairs it once.
        is_approved = any(t.phase == "approved" for t in self.cd.log.state(release).targets.values())
        return is_approved and len(history) <= len(decided)

    def notebook_parameters(self) -> dict[str, str]:
        """What an interactive notebook has to know here."""
        project = self.project.repository / self.project.subfolder
        return {"project_dir": str(project), "artifacts_root": str(self.artifacts_root)}

    def _job(self) -> BundledJob:
        profiles = with_connection(
            self.project.profiles_dir,
            self.workspace.profile_connection,
            out_dir=self.workspace.state_dir / "profiles" / self.project.profile,
            profile_name=self.project.profile,
            targets=self.project.config.targets,
        )
        job = self.project.job(artifacts_root=str(self.artifacts_root))
        for parameter in job.settings.parameters or ():
            if parameter.name == "profiles_dir":
                parameter.default = str(profiles.parent)
        return job

    def _deploy(self, job: BundledJob) -> int:
        """As a deploy of the bundle does: settings and permissions are set anew, and who deploys owns the job."""
        named = [j.job_id for j in self._ci.jobs.list(name=job.settings.name) if j.job_id is not None]
        if named:
            job_id = named[0]
            self._ci.jobs.reset(job_id, job.settings)
        else:
            job_id = int(self._ci.jobs.create(**_create_arguments(job.settings)).job_id or 0)
        owner = AccessControlRequest(service_principal_name=CI, permission_level=PermissionLevel.IS_OWNER)
        self._ci.permissions.set("jobs", str(job_id), access_control_list=[owner, *job.permissions])
        return job_id


def submit_notebook(client: WorkspaceClient, notebook: str, parameters: dict[str, str]) -> str:
    """Run an interactive notebook as a user, as a one-time run.

    Returns:
        What the notebook printed or exited with, if anything.

    Raises:
        WorkflowError: the notebook failed, in its own words; or the workspace refused, or cannot be reached.
    """
    task = SubmitTask(
        task_key=notebook,
        notebook_task=NotebookTask(
            f"/Workspace/notebooks/{notebook}", base_parameters=parameters, source=Source.WORKSPACE
        ),
    )
    jobs = Jobs(client)
    submitted = jobs.submit(notebook, task)
    started = NotebookRun(notebook, submitted, jobs.page_of(submitted))
    return notebook_result(client, started, timeout=_NOTEBOOK_TIME)


def results_of(run: Run) -> dict[str, str]:
    """The result of each task's last attempt, such as SUCCESS or FAILED; NOT RUN where it has none."""
    # All attempts are listed, oldest first.
    return {
        task.task_key or "": task.state.result_state.value if task.state and task.state.result_state else "NOT RUN"
        for task in run.tasks or ()
    }


def follow(workflow: LocalWorkflow, run: ReleaseRun, *, approve_as: str | None, say: Callable[[str], None]) -> Run:
    """Follow a release to its end, through its approvals.

    Args:
        workflow: the project's Workflow.
        run: the run that was triggered.
        approve_as: the user to approve as; None waits for somebody to approve from another terminal.
        say: takes what a person should read.

    Returns:
        The run as it ended.
    """
    asked: set[str] = set()
    while True:
        ended = workflow.wait(run)
        request = workflow.pending(run)
        if request is not None and approve_as is not None:
            if request.seal in asked:
                return ended
            asked.add(request.seal)
            say(f"{request}: approving as {approve_as}")
            workflow.approve(request, as_user=approve_as)
            continue
        if request is None and not (asked and workflow.is_to_be_resumed(run)):
            return ended
        if request is not None and request.seal not in asked:
            asked.add(request.seal)
            say(f"{request}\nwaits for approval. From another terminal:\n  {workflow.approve_command(request)}")
        time.sleep(_LOOK_AGAIN_SECONDS)


def _create_arguments(settings: JobSettings) -> dict[str, Any]:
    """`jobs.create` takes the fields of the settings one by one."""
    return {name: value for name, value in vars(settings).items() if value is not None}


def _git(folder: Path, *arguments: str) -> str | None:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None
