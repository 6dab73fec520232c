"""How the job is started, from which commit, how often at once, and who hears of it."""

from __future__ import annotations

from collections.abc import Iterator

from databricks.sdk.service.jobs import JobSettings, Task

from dbx_cd.enumeration import listed
from dbx_cd.release.job import BUILD_NOTEBOOK, GATE_NOTEBOOK, ROLLBACK_NOTEBOOK
from dbx_cd.setup.lint.finding import Finding
from dbx_cd.setup.lint.linted_job import LintedJob, PlacedTask

_CLUSTERS = ("job_cluster_key", "existing_cluster_id", "new_cluster")


def run_findings(job: LintedJob) -> Iterator[Finding]:
    """Everything that is wrong with how it runs."""
    yield from _one_after_the_other(job)
    yield from _started(job)
    yield from _git(job)
    for placed in job.tasks:
        yield from _tried_again(job, placed)
        yield from _cut_off(job, placed)
    # Where another job runs this one and fails with it, people hear of that.
    if not job.is_second_half and not _is_anybody_told(job):
        message = "nobody is told when the job fails: a release would wait for an approval, and nobody knows"
        next_step = "give it email_notifications.on_failure, or webhook_notifications.on_failure"
        yield job.found("no-notification", ("email_notifications",), message, next_step=next_step)


def _one_after_the_other(job: LintedJob) -> Iterator[Finding]:
    most = job.settings.max_concurrent_runs
    if most is not None and most != 1:
        # "Setting this value to 0 causes all new runs to be skipped" (Jobs API).
        message = f"{most} runs at a time: two releases would build at once" if most else "every run would be skipped"
        yield job.found("concurrent-runs", ("max_concurrent_runs",), message, next_step="set it to 1")
    if job.settings.queue is None or not job.settings.queue.enabled:
        message = "without a queue, a second merge during a release is skipped"
        yield job.found("no-queue", ("queue",), message, next_step="set queue: {enabled: true}")


def _started(job: LintedJob) -> Iterator[Finding]:
    for name in ("schedule", "trigger", "continuous"):
        if getattr(job.settings, name) is not None:
            message = f"`{name}` starts it without a commit, and the first task refuses that"
            next_step = "take it out, and start it by python -m dbx_cd trigger"
            yield job.found("starts-by-itself", (name,), message, next_step=next_step)
    for placed in job.tasks:
        started = placed.task.run_job_task
        if started is not None and not str(started.job_id).startswith("${resources.jobs."):
            message = f"it starts job {started.job_id}, which is not in the bundle: nobody sees whether it builds"
            next_step = "define that job in the bundle, and name it as ${resources.jobs.<key>.id}"
            yield job.found("runs-job", ("run_job_task", "job_id"), message, next_step=next_step, task=placed)


def _git(job: LintedJob) -> Iterator[Finding]:
    source = job.settings.git_source
    if source is not None:
        given = [name for name in ("git_branch", "git_tag", "git_commit") if getattr(source, name)]
        if len(given) != 1:
            # "This field cannot be specified in conjunction with ..." (Jobs API, on each of the three).
            message = f"it has {' and '.join(given)}" if given else "it has no branch, tag or commit"
            next_step = "give it git_branch alone: each trigger puts git_commit in its place"
            yield job.found("git-reference", ("git_source", *given[-1:]), message, next_step=next_step)
        return
    of_git = [placed for placed in job.tasks if placed.task.notebook_task is not None and job.is_of_git(placed)]
    if of_git:
        keys = listed([placed.key for placed in of_git], most=3)
        message = f"the notebooks of {keys} are those of the repository (source: GIT), and the job has no git_source"
        place = (*of_git[0].place, "notebook_task", "source")
        yield job.found("no-git", place, message, next_step="give the job git_source")


def _tried_again(job: LintedJob, placed: PlacedTask) -> Iterator[Finding]:
    task = placed.task
    why = {
        GATE_NOTEBOOK: "it would ask again and again in place of waiting",
        BUILD_NOTEBOOK: "it would build again what has just failed, while a rollback may be due",
        ROLLBACK_NOTEBOOK: "it would restore again what has just failed to be restored",
    }
    for name, reason in why.items():
        if placed not in job.of_notebook(name):
            continue
        if task.max_retries:
            message = f"it is tried again {'without end' if task.max_retries < 0 else f'{task.max_retries} times'}"
            place, next_step = ("max_retries",), "take max_retries out: a person repairs the run"
        elif task.retry_on_timeout:
            message, place = "it is tried again after a timeout", ("retry_on_timeout",)
            next_step = "take retry_on_timeout out"
        elif not any(getattr(task, kind) is not None for kind in _CLUSTERS) and not task.disable_auto_optimization:
            # "Serverless compute auto-optimization also retries failed tasks" (documentation on serverless jobs).
            message, place = "on serverless compute it is tried again unless that is switched off", ("notebook_task",)
            next_step = "set disable_auto_optimization: true"
        else:
            continue
        yield job.found("retries", place, f"{message}: {reason}", next_step=next_step, task=placed)


def _cut_off(job: LintedJob, placed: PlacedTask) -> Iterator[Finding]:
    if placed == job.tasks[0] and job.settings.timeout_seconds:
        message = "the whole run is cut off after a while, also in the middle of a build of a gated target"
        next_step = "take timeout_seconds out, and use health rules to be told"
        yield job.found("timeout", ("timeout_seconds",), message, next_step=next_step)
    is_gated = any(build == placed and target in job.gated for build, target in job.builds())
    if placed.task.timeout_seconds and (is_gated or placed in job.of_notebook(ROLLBACK_NOTEBOOK)):
        message = f"it is cut off after {placed.task.timeout_seconds} s, whatever it has done by then"
        next_step = "take timeout_seconds out, and use health rules to be told"
        yield job.found("timeout", ("timeout_seconds",), message, next_step=next_step, task=placed)


def _is_anybody_told(job: LintedJob) -> bool:
    parts: list[JobSettings | Task] = [job.settings, *(gate.task for gates in job.gates.values() for gate in gates)]
    return any(
        (part.email_notifications is not None and part.email_notifications.on_failure)
        or (part.webhook_notifications is not None and part.webhook_notifications.on_failure)
        for part in parts
    )
