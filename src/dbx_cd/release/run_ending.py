"""How a run has ended, in words: as what, at which tasks, and why; or for whose approval it waits.

A gate fails until somebody has decided, so a run that waits for an approval has ended, and as a failed one. What tells
it from others is the error of its task, which names `ApprovalPending`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dbx_cd.errors import ApprovalPending, WorkflowError, what_failed
from dbx_cd.release.child_runs import run_started_by
from dbx_cd.release.job import gate_target
from dbx_cd.release.jobs import Jobs

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import Run, RunTask

_ENDED = ("TERMINATED", "SKIPPED", "INTERNAL_ERROR")
# Results of a task that are no failure of its own (Jobs API documentation, `RunResultState`).
_NOT_FAILED = ("SUCCESS", "SUCCESS_WITH_FAILURES", "EXCLUDED", "DISABLED", "UPSTREAM_FAILED", "UPSTREAM_CANCELED")
_NEXT = ". Next: "
_GO_ON = "read the run's page; once the cause is gone, repair the run from there on, or trigger another commit"


@dataclass(frozen=True)
class FailedTask:
    """A task at which a run has ended."""

    key: str
    """Its name in the job."""
    result: str
    """How it ended, as the platform names it."""
    why: str
    """What it says, or the platform about it; "" for nothing."""
    is_gate: bool
    """Whether it is an approval gate."""

    @property
    def is_waiting(self) -> bool:
        """Whether it waits for somebody to decide."""
        return self.is_gate and ApprovalPending.__name__ in self.why

    def __str__(self) -> str:
        return f"{self.key} ({self.result}): {self.why or 'it gives no reason'}"


def has_ended(run: Run | RunTask) -> bool | None:
    """Whether nothing of a run is at work any more; None where the platform does not say.

    Its result says less: one that was skipped, or that the platform broke off, may have none.
    """
    if run.state is not None and run.state.life_cycle_state is not None:
        return run.state.life_cycle_state.value in _ENDED
    if run.status is not None and run.status.state is not None:
        return run.status.state.value == "TERMINATED"
    return True if run.state is not None and run.state.result_state is not None else None


def result_of(run: Run | RunTask) -> str:
    """How a run has ended, as the platform names it: its result, else the reason or the state that it is in."""
    if run.state is not None and run.state.result_state is not None:
        return run.state.result_state.value
    details = run.status.termination_details if run.status is not None else None
    if details is not None and details.code is not None:
        return details.code.value
    if run.state is not None and run.state.life_cycle_state is not None:
        return run.state.life_cycle_state.value
    return "what the platform does not say"


def message_of(run: Run | RunTask) -> str:
    """What the platform says about a run's end; "" for nothing."""
    details = run.status.termination_details if run.status is not None else None
    return (run.state.state_message if run.state is not None else None) or (details.message if details else None) or ""


def failed_tasks(jobs: Jobs, run: Run) -> list[FailedTask]:
    """The tasks at which a run has ended, each by its newest attempt, with what they say."""
    parameters = {p.name: p.value or p.default or "" for p in run.job_parameters or () if p.name}
    newest: dict[str, RunTask] = {}
    for task in sorted(run.tasks or (), key=lambda t: (t.attempt_number or 0, t.start_time or 0)):
        newest[task.task_key] = task
    # A task that never began has no result; what it would say is said by the one before it.
    failed = [t for t in newest.values() if has_ended(t) and result_of(t) not in _NOT_FAILED]
    return [found for task in failed for found in _failures(jobs, task, parameters)]


def _failures(jobs: Jobs, task: RunTask, parameters: Mapping[str, str]) -> list[FailedTask]:
    """A task that has failed; for one that runs another job, the tasks at which that has ended."""
    own = FailedTask(task.task_key, result_of(task), _why(jobs, task), gate_target(task, parameters) is not None)
    if task.run_job_task is None:
        return [own]
    try:
        started = run_started_by(jobs, task)
        inner = failed_tasks(jobs, jobs.run(started)) if started is not None else []
    except WorkflowError:  # the other job is not everybody's to see; what the task itself says is left
        inner = []
    return [replace(found, key=f"{task.task_key}/{found.key}") for found in inner] or [own]


def require_success(workspace: WorkspaceClient, run: Run, *, what: str, url: str | None) -> None:
    """Say of a run that has ended what it needs, unless it succeeded.

    Args:
        workspace: a client that may see the run.
        run: the run, as it ended.
        what: what ran, for the message.
        url: its page.

    Raises:
        ApprovalPending: it waits at a gate; the message says who has to do what.
        WorkflowError: it failed; the message says at which task, and why.
    """
    result = result_of(run)
    if result == "SUCCESS":
        return
    failed = failed_tasks(Jobs(workspace), run)
    if failed and all(task.is_waiting for task in failed):
        # The platform shows an error of Python as its class and its message.
        reason = failed[0].why.partition(f"{ApprovalPending.__name__}: ")[2] or failed[0].why
        waits, _, next_step = reason.partition(_NEXT)
        next_step = next_step or "an approver opens the notebook approve and decides; the run then goes on by itself"
        raise ApprovalPending(f"{what}: {waits}", where=url, next_step=next_step)
    reasons = "; ".join(map(str, failed)) or message_of(run) or "the platform gives no reason"
    reasons, _, next_step = reasons.partition(_NEXT) if len(failed) == 1 else (reasons, "", "")
    at = "at the task " if len(failed) == 1 else "at the tasks " if failed else ""
    raise WorkflowError(
        f"{what} ended as {result}{' ' if at else ': '}{at}{reasons}",
        where=url,
        next_step=next_step or _GO_ON if failed else "read the run's page; then trigger it again",
    )


def _why(jobs: Jobs, task: RunTask) -> str:
    """What a task says about its failure, in one line."""
    error: str | None = None
    if task.run_id is not None:
        try:
            error = jobs.output(task.run_id).error
        except WorkflowError as exc:
            error = f"{message_of(task) or 'it failed'}; {what_failed(exc)}"
    return " ".join((error or message_of(task)).split())
