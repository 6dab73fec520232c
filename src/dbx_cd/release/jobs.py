"""The Jobs API as the Workflow uses it: every error translated, and tried again where it may be.

What reads is tried again when the platform itself has failed, and what starts a run has a token, by which the platform
answers with the run that it has started already (Jobs API documentation, `idempotency_token`). A repair has none: it
is tried again only while the run says that none has begun.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from dbx_cd.errors import WorkflowError, what_failed
from dbx_cd.patience import Patience, passing_answer
from dbx_cd.workspace_calls import calling, may_have_happened

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service._internal import Wait
    from databricks.sdk.service.jobs import (
        BaseRun,
        GitSource,
        Job,
        RepairHistoryItem,
        Run,
        RunNowResponse,
        RunOutput,
        SubmitRunResponse,
        SubmitTask,
    )

T = TypeVar("T")
_log = logging.getLogger(__name__)

VIEW, MANAGE, MANAGE_RUN = "CAN VIEW on the job", "CAN MANAGE on the job", "CAN MANAGE RUN on the job"
# What is given by hand is gone after the next deploy, which sets all permissions anew.
_BY_BUNDLE = "; add it to `permissions` in the bundle's job file, and deploy the bundle"


class Jobs:
    """The Jobs API of one workspace.

    Args:
        workspace: the SDK's client.
        patience: how long to try again.
    """

    def __init__(self, workspace: WorkspaceClient, *, patience: Patience | None = None) -> None:
        self._jobs = workspace.jobs
        self._patience = patience or Patience()

    def job(self, job: str | int) -> Job:
        """A job by its name or id, as it is defined now.

        Raises:
            WorkflowError: there is none, more than one has the name, or it cannot be read.
        """
        what, where = "the job cannot be read", f"job {job}"
        if isinstance(job, int) or (job.isascii() and job.isdigit()):
            return self._ask(lambda: self._jobs.get(int(job)), what, where=where, right=VIEW)
        named = self._ask(lambda: list(self._jobs.list(name=job)), "the jobs cannot be listed", where=where, right=VIEW)
        ids = [j.job_id for j in named if j.job_id is not None]
        if len(ids) != 1:
            raise WorkflowError(
                f"{len(ids)} jobs are named {job!r}",
                # A job that one may not see is not listed.
                next_step=f"deploy the Workflow, get {VIEW}, or give the job's id instead",
            )
        return self._ask(lambda: self._jobs.get(ids[0]), what, where=where, right=VIEW)

    def run(self, run_id: int, *, with_repairs: bool = False) -> Run:
        """A run as it is now.

        Raises:
            WorkflowError: there is none, or it cannot be read.
        """
        return self._ask(
            lambda: self._jobs.get_run(run_id, include_history=with_repairs or None),
            "the run cannot be read",
            where=f"run {run_id}",
            right=VIEW,
        )

    def newest_runs(self, job_id: int, *, limit: int) -> list[BaseRun]:
        """The newest runs of a job, newest first.

        Raises:
            WorkflowError: they cannot be read.
        """
        return self._ask(
            lambda: list(islice(self._jobs.list_runs(job_id=job_id, limit=limit), limit)),
            "its runs cannot be listed",
            where=f"job {job_id}",
            right=VIEW,
        )

    def page_of(self, run_id: int) -> str | None:
        """The page of a run that was started; None where the platform does not say, which is no failure of the run."""
        try:
            return self.run(run_id).run_page_url
        except WorkflowError as exc:
            _log.warning("run %s is started; %s", run_id, exc)
            return None

    def set_git_source(self, job_id: int, source: GitSource) -> None:
        """Let the job's runs check out something else from now on; doing it again changes nothing.

        Raises:
            WorkflowError: the job could not be changed.
        """
        from databricks.sdk.service.jobs import JobSettings

        self._ask(
            lambda: self._jobs.update(job_id, new_settings=JobSettings(git_source=source)),
            "the job's commit cannot be set",
            where=f"job {job_id}",
            right=MANAGE,
            changes=True,
        )

    def start(self, job_id: int, parameters: Mapping[str, str]) -> int:
        """Start one run, whatever answers are lost on the way.

        Returns:
            Its id.

        Raises:
            WorkflowError: it was not started, or nobody knows whether it was.
        """
        # One token an attempt of a person: a token per commit would answer with the old run when one is deployed again.
        token = uuid.uuid4().hex
        return self._ask(
            lambda: _run_id(self._jobs.run_now(job_id, job_parameters=dict(parameters), idempotency_token=token)),
            "the run cannot be started",
            where=f"job {job_id}",
            right=MANAGE_RUN,
            changes=True,
        )

    def submit(self, name: str, task: SubmitTask, **settings: Any) -> int:
        """Start one one-time run of a task; returns its id.

        Raises:
            WorkflowError: it was not started, or nobody knows whether it was.
        """
        token = uuid.uuid4().hex
        return self._ask(
            lambda: _run_id(self._jobs.submit(run_name=name, tasks=[task], idempotency_token=token, **settings)),
            f"{name} cannot be started",
            right="the right to submit runs, and to use or create the job's compute",
            changes=True,
        )

    def repair(self, run: Run, *, tasks: Sequence[str], parameters: Mapping[str, str]) -> None:
        """Repair a run that has stopped, once.

        Args:
            run: the run, with its repairs, as it was read.
            tasks: the tasks to run again, the first of them first.
            parameters: the job's parameters: a repair forgets overridden ones (Jobs API documentation).

        Raises:
            WorkflowError: the repair was refused, somebody else's came first, or nobody knows whether it has begun.
        """
        run_id, where = int(run.run_id or 0), f"run {run.run_id}"
        before = _last_repair(run)
        latest = before.id if before is not None else None

        def once() -> None:
            try:
                self._jobs.repair_run(
                    run_id, rerun_tasks=list(tasks), latest_repair_id=latest, job_parameters=dict(parameters)
                )
            except Exception as exc:
                # The answer to an attempt may have been lost, and the client has tried again: then the run is refused,
                # since it is under way. Two repairs cannot come of that: each names the one before.
                now = self._repaired(run_id, after=latest, failure=exc)
                if now is None:
                    raise
                if not _runs_again(tasks[0], now, than=run):
                    raise WorkflowError(
                        f"another repair of it has begun meanwhile, which does not run {tasks[0]} again",
                        where=where,
                        next_step="wait until it has stopped again",
                    ) from exc
                _log.info("run %s: its repair has begun, although %s", run_id, exc)

        self._ask(once, "it cannot be repaired", where=where, right=MANAGE_RUN)

    def cancel(self, run_id: int) -> None:
        """Begin to cancel a run; `ended` waits for the end of it. Doing it again changes nothing.

        Raises:
            WorkflowError: it was refused, or nobody knows whether it has begun.
        """
        self._ask(
            lambda: self._jobs.cancel_run(run_id),
            "it cannot be cancelled",
            where=f"run {run_id}",
            right=MANAGE_RUN,
            changes=True,
        )

    def output(self, run_id: int) -> RunOutput:
        """What a task's run has left.

        Raises:
            WorkflowError: it cannot be read.
        """
        what, where = "what the task said cannot be read", f"run {run_id}"
        return self._ask(lambda: self._jobs.get_run_output(run_id), what, where=where, right=VIEW)

    def ended(self, run_id: int, *, timeout: timedelta) -> Run | None:
        """Wait until a run has ended, well or not; None when it has not in time.

        Raises:
            WorkflowError: it cannot be followed any longer; the run itself goes on.
        """
        from databricks.sdk.errors.base import DatabricksError
        from databricks.sdk.errors.sdk import OperationFailed

        until = time.monotonic() + timeout.total_seconds()
        while True:
            try:
                with calling("the run goes on, but cannot be followed", where=f"run {run_id}", right=VIEW + _BY_BUNDLE):
                    left = timedelta(seconds=max(0.0, until - time.monotonic()))
                    return self._jobs.wait_get_run_job_terminated_or_skipped(run_id, timeout=left)
            except WorkflowError as exc:
                cause = exc.__cause__
                if isinstance(cause, OperationFailed):
                    # The SDK raises for INTERNAL_ERROR, which is also how a run ends whose gate waits for an approval.
                    return self.run(run_id)
                if isinstance(cause, TimeoutError) and cause.__cause__ is None:
                    return None
                if not isinstance(cause, DatabricksError) or passing_answer(cause) is None:
                    raise
                self.run(run_id)  # once it is answered again, the waiting goes on

    def _repaired(self, run_id: int, *, after: int | None, failure: Exception) -> Run | None:
        """A run that has a newer repair than that one; None where it has none.

        Raises:
            WorkflowError: the platform does not say, and what failed leaves it open as well.
        """
        try:
            run = self.run(run_id, with_repairs=True)
        except WorkflowError as exc:
            if not may_have_happened(failure):
                return None
            raise WorkflowError(
                f"whether its repair has begun is not known: {what_failed(exc)}",
                where=f"run {run_id}",
                next_step="look at its page first: where it goes on, there is nothing to do; else do it again",
                may_be_done=True,
            ) from failure
        newest = _last_repair(run)
        return None if newest is None or newest.id == after else run

    def _ask(self, call: Callable[[], T], what: str, *, right: str, where: object = None, changes: bool = False) -> T:
        """Call, and call again while it fails in a way that passes.

        Raises:
            WorkflowError: it failed; where it changes something, `.may_be_done` tells whether it may have done that.
        """
        unanswered: list[BaseException] = []

        def passing(error: BaseException) -> str | None:
            if may_have_happened(error):
                unanswered.append(error)
            return passing_answer(error)

        try:
            with calling(what, right=f"{right}{_BY_BUNDLE}" if right.endswith("the job") else right, where=where):
                return self._patience.repeat(call, passing=passing)
        except WorkflowError as exc:
            # A refusal at last does not take back what an attempt before it may have done.
            exc.may_be_done = exc.may_be_done or (changes and bool(unanswered))
            raise


def _run_id(started: Wait[Run]) -> int:
    """The run that was started.

    Raises:
        TypeError: the answer has none.
    """
    response: RunNowResponse | SubmitRunResponse = started.response
    if not isinstance(response.run_id, int):
        raise TypeError(f"run_id is {response.run_id!r}")
    return response.run_id


def _last_repair(run: Run) -> RepairHistoryItem | None:
    repairs = [i for i in run.repair_history or () if i.id is not None and str(i.type).endswith("REPAIR")]
    return repairs[-1] if repairs else None


def _runs_again(task: str, now: Run, *, than: Run) -> bool:
    """Whether a run's newest repair has begun a task anew: the run goes on from there, whoever asked for it."""

    def attempts(run: Run) -> set[int | None]:
        return {t.run_id for t in run.tasks or () if t.task_key == task}

    newest = _last_repair(now)
    named = set((newest.task_run_ids if newest is not None else None) or ())
    return bool(attempts(now) - attempts(than) or named & attempts(now))
