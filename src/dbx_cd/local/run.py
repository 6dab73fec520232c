"""One release of any dbt-databricks project on the embedded workspace, from a commit to production."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from databricks.sdk.service.jobs import NotebookTask, Source, SubmitTask

from dbx_cd.approval.decision import pending_approvals
from dbx_cd.approval.request import ApprovalRequest, Decision
from dbx_cd.local.deployed_bundle import DeployedBundle
from dbx_cd.local.project import LocalProject
from dbx_cd.local.session_user import act_as
from dbx_cd.local.standard_grants import grant_standard
from dbx_cd.local.workspace import CI, OWNER, RELEASE_BOT, EmbeddedWorkspace
from dbx_cd.relations import quote
from dbx_cd.release.anchor import LogAnchor, read_anchor
from dbx_cd.release.context import Cd, open_cd
from dbx_cd.release.job import JobDefinition
from dbx_cd.release.jobs import Jobs
from dbx_cd.release.notebook_run import NotebookRun, notebook_result
from dbx_cd.release.workflow import ReleaseRun, trigger
from dbx_cd.setup.bundled_job import BundledJob
from dbx_cd.sql_endpoint import with_connection

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import Run

_LOOK_AGAIN_SECONDS = 2.0
_NOTEBOOK_TIME = timedelta(minutes=20)


class LocalWorkflow:
    """The Workflow of one project on a running embedded workspace."""

    def __init__(self, workspace: EmbeddedWorkspace, project: LocalProject) -> None:
        self.workspace = workspace
        self.project = project
        self.artifacts_root = workspace.volume_path(project.config.artifacts_root)
        self._ci: WorkspaceClient = workspace.client(CI)
        self._set_up()
        first, *second = self._jobs()
        bundle = DeployedBundle(self._ci, repository=project.repository, state_dir=workspace.state_dir)
        self.job_id = bundle.deploy(first, *second)
        self._definition = JobDefinition.of(first.settings).standing
        self._opened: tuple[LogAnchor | None, Cd] | None = None

    @property
    def cd(self) -> Cd:
        """The context of the job's identity; anew once the Volume says that another one builds production."""
        anchor = read_anchor(self.artifacts_root)
        if self._opened is None or self._opened[0] != anchor:
            opened = open_cd(
                act_as(self.workspace.spark, RELEASE_BOT),
                project_dir=self.project.repository / self.project.subfolder,
                workspace=self.workspace.client(RELEASE_BOT),
                overrides={"artifacts_root": str(self.artifacts_root)},
                definition=self._definition,
            )
            self._opened = (anchor, opened)
        return self._opened[1]

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
        """Approve as a user: the `approve` notebook, submitted over REST under that user's own token.

        With consent to everything that the request names.
        """
        submit_notebook(
            self.workspace.client(as_user),
            "approve",
            self.notebook_parameters()
            | {"release_id": request.release.id, "seal": request.seal, "consent": ", ".join(request.consent)},
        )

    def approve_command(self, request: ApprovalRequest) -> str:
        """What to type in another terminal to approve, wherever that is."""
        project = self.project.repository / self.project.subfolder
        return shlex.join(
            [
                *(sys.executable, "-m", "dbx_cd.local", "approve", request.release.id, "--seal", request.seal),
                *(word for name in request.consent for word in ("--consent", name)),
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

    def _set_up(self) -> None:
        """What docs/deploy.md has an administrator do before the first release."""
        places = self.project.places
        schemas = [places.log_schema, *([places.artifacts[:2]] if places.artifacts else [])]
        for catalog, schema in dict.fromkeys(schemas):
            self.workspace.administer(f"CREATE SCHEMA IF NOT EXISTS {quote(catalog)}.{quote(schema)}")
        if places.artifacts:
            self.workspace.administer(f"CREATE VOLUME IF NOT EXISTS {'.'.join(map(quote, places.artifacts))}")
        grant_standard(self.workspace.spark, places, principals=self.workspace.roles)

    def _jobs(self) -> list[BundledJob]:
        profiles = with_connection(
            self.project.profiles_dir,
            self.workspace.profile_connection,
            out_dir=self.workspace.state_dir / "profiles" / self.project.profile,
            profile_name=self.project.profile,
            targets=self.project.config.targets,
        )
        jobs = self.project.jobs(artifacts_root=str(self.artifacts_root))
        for parameter in (p for job in jobs for p in job.settings.parameters or ()):
            if parameter.name == "profiles_dir":
                parameter.default = str(profiles.parent)
        return jobs


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
            consent = f", with consent to {'; '.join(request.consent)}" if request.consent else ""
            say(f"{request}: approving as {approve_as}{consent}")
            workflow.approve(request, as_user=approve_as)
            continue
        if request is None and not (asked and workflow.is_to_be_resumed(run)):
            return ended
        if request is not None and request.seal not in asked:
            asked.add(request.seal)
            say(f"{request}\nwaits for approval. From another terminal:\n  {workflow.approve_command(request)}")
        time.sleep(_LOOK_AGAIN_SECONDS)
