"""What a bundle does with gated targets besides its Workflow, and how a target of it deploys that."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dbx_cd.setup.bundle_reading import Bundle
from dbx_cd.setup.lint.finding import Finding
from dbx_cd.setup.lint.linted_job import LintedJob, PlacedTask
from dbx_cd.setup.yaml_places import Place

_TARGET_OPTION = re.compile(r"(?:--target|-t)(?:\s+|=)[\"']?([\w-]+)")
_OTHER_JOB = re.compile(r"\$\{resources\.jobs\.([\w-]+)\.id\}")


def other_job_findings(bundle: Bundle, workflows: Mapping[str, LintedJob]) -> Iterator[Finding]:
    """Ways to a gated target that the Workflow itself does not show.

    Args:
        bundle: the bundle.
        workflows: the jobs that build by our notebooks, by their keys.
    """
    gated = {target for job in workflows.values() for target in job.gated}
    built = {target for job in workflows.values() for _, target in job.builds()}
    yield from _mode(bundle, gated & built)
    yield from _twice(bundle, workflows)
    started = {
        key: tasks[0].key
        for key in bundle.defined_jobs
        if (tasks := [task for job in workflows.values() for task in starting(job, key)])
    }
    for key, job in bundle.defined_jobs.items():
        if key in workflows:
            continue
        for number, target in _by_dbt(job):
            if target in gated and key not in started:
                place: Place = ("resources", "jobs", key, "tasks", number, "dbt_task", "commands")
                message = f"job {key} runs dbt for {target}, which is gated: nobody is asked, and nothing is noted"
                next_step = f"give it another target; what is to change in {target} goes through the Workflow"
                yield Finding.of("dbt-elsewhere", bundle.where(place), message, next_step)
            elif key in started:
                place = ("resources", "jobs", key, "tasks", number, "dbt_task")
                message = f"{started[key]} of the Workflow starts job {key}, which runs dbt beside it"
                next_step = "build by the notebook run_dbt, behind a gate"
                yield Finding.of("hidden-build", bundle.where(place), message, next_step)


def _mode(bundle: Bundle, gated: set[str]) -> Iterator[Finding]:
    targets: Any = bundle.content.get("targets") or {}
    settings = targets.get(bundle.target) if bundle.target is not None else None
    if isinstance(settings, Mapping) and settings.get("mode") == "development" and gated:
        # "Prepends all resources with [dev ...], marks ... as development, runs as the deployer" (documentation on
        # deployment modes): each who deploys it would have a Workflow of their own.
        message = f"target {bundle.target} is in development mode, and its job builds {', '.join(sorted(gated))}"
        place = ("targets", bundle.target or "", "mode")
        yield Finding.of("development-mode", bundle.where(place), message, "set mode: production, or other targets")


def _twice(bundle: Bundle, workflows: Mapping[str, LintedJob]) -> Iterator[Finding]:
    first: dict[tuple[object, str], str] = {}
    for key, job in workflows.items():
        for target in dict.fromkeys(target for _, target in job.builds() if target):
            other = first.setdefault((job.config.project_dir, target), key)
            if other != key:
                message = f"job {key} builds {target}, and so does {other}, of the same project"
                next_step = "keep one of them: two releases would be in each other's way"
                yield Finding.of("two-workflows", bundle.where(("resources", "jobs", key)), message, next_step)
                break


def starting(job: LintedJob, key: str) -> list[PlacedTask]:
    """The tasks of a job that run another one of the bundle, by that one's key."""
    jobs = ((placed, placed.task.run_job_task) for placed in job.tasks)
    named = ((placed, _OTHER_JOB.fullmatch(str(started.job_id))) for placed, started in jobs if started is not None)
    return [placed for placed, match in named if match is not None and match[1] == key]


def _by_dbt(job: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The tasks of a job that run dbt, by number, each with the targets that its commands name."""
    tasks = job.get("tasks")
    for number, task in enumerate(tasks if isinstance(tasks, list) else ()):
        dbt = task.get("dbt_task") if isinstance(task, Mapping) else None
        if isinstance(dbt, Mapping):
            given = dbt.get("commands")
            commands = " ".join(str(command) for command in given) if isinstance(given, list) else str(given)
            for target in dict.fromkeys(_TARGET_OPTION.findall(commands)) or [""]:
                yield number, target
