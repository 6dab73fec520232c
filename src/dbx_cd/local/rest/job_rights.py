"""May this user do that with this job or run? Each question is answered, or refused as the platform refuses it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dbx_cd.local.rest.access_list import CAN_MANAGE, CAN_MANAGE_RUN, CAN_VIEW, AccessList
from dbx_cd.local.rest.api_error import ApiError, permission_denied
from dbx_cd.local.rest.identity import Directory, User
from dbx_cd.local.rest.job_runs import Job, JobRun, WorkspaceStore

T = TypeVar("T")

# "User X does not have Admin or Manage Run or Owner or View permissions on job 1." is what the platform says
# (reported for the SDK, databricks-sdk-py issue 953).
_SUFFICIENT = {
    CAN_VIEW: "Admin or Manage Run or Owner or View",
    CAN_MANAGE_RUN: "Admin or Manage Run or Owner",
    CAN_MANAGE: "Admin or Owner",
}


class JobRights:
    """The rights on all jobs and runs of one workspace.

    A run of a job has the job's list. A submitted run belongs to who submitted it, with the list that they gave.

    Args:
        store: the jobs and runs.
        directory: the users.
    """

    def __init__(self, store: WorkspaceStore, directory: Directory) -> None:
        self._store = store
        self._directory = directory

    def of_job(self, job: Job) -> AccessList:
        """The list of a job; one that was saved without has its creator as owner."""
        return job.access or AccessList.owned_by(job.creator, self._directory)

    def of_run(self, run: JobRun) -> AccessList:
        """The list that counts for a run. Where its job is deleted, it belongs to who started it."""
        job = self._store.jobs.get(run.job_id) if run.job_id is not None else None
        if job is not None:
            return self.of_job(job)
        return run.access or AccessList.owned_by(run.creator, self._directory)

    def require(self, user: User, level: str, job: Job) -> None:
        """Refuse who has not this level on a job.

        Raises:
            ApiError: 403 naming the levels that are sufficient, and the job.
        """
        if not self.of_job(job).allows(user, level):
            raise _refusal(user, level, f"job {job.job_id}")

    def require_on_run(self, user: User, level: str, run: JobRun) -> None:
        """Refuse who has not this level on a run.

        Raises:
            ApiError: 403 naming the levels that are sufficient, and the job, or the run where it is of none.
        """
        if not self.of_run(run).allows(user, level):
            what = f"run {run.run_id}" if run.job_id is None else f"job {run.job_id} (run {run.run_id})"
            raise _refusal(user, level, what)

    def visible(self, user: User, things: list[T], access: Callable[[T], AccessList]) -> list[T]:
        """Those of a list that a user may see: what one may not see is not listed."""
        return [thing for thing in things if access(thing).allows(user, CAN_VIEW)]

    def require_run_as(self, user: User, *, before: Job | None, settings: dict[str, object], creator: str) -> str:
        """Refuse to let somebody change a job so that their code runs as an identity that they may not use.

        Args:
            user: who changes or creates it.
            before: the job as it is; None for a new one.
            settings: what its settings become.
            creator: whom it runs as when the settings do not say.

        Returns:
            Whom it will run as.

        Raises:
            ApiError: 400 where nobody has that name, 403 where the user may not use that identity, or the one that the
                job runs as now by its `run_as`.
        """
        wanted = self._directory.run_as(settings.get("run_as"), creator)  # type: ignore[arg-type]
        explicit = bool(settings.get("run_as"))
        if before is not None:
            now = self._directory.run_as(before.settings.get("run_as"), before.creator)
            if before.settings.get("run_as"):
                self._directory.require_run_as(user, now)
            explicit = explicit or wanted != now
        if explicit or before is None:
            self._directory.require_run_as(user, wanted)
        return wanted


def _refusal(user: User, level: str, what: str) -> ApiError:
    return permission_denied(
        f"User {user.user_name} does not have {_SUFFICIENT[level]} permissions on {what}. {level} is needed."
    )
