"""Notebooks, and the parameters that they are given: by the job for all tasks, or by a task for itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from dbx_cd.config import FILE_NAME
from dbx_cd.errors import DbxCdError
from dbx_cd.relations import RelationName
from dbx_cd.release.job import BUILD_NOTEBOOK, GATE_NOTEBOOK, ROLLBACK_NOTEBOOK
from dbx_cd.setup.lint.finding import Finding
from dbx_cd.setup.lint.linted_job import DOCS_NOTEBOOK, SMOKE_NOTEBOOK, LintedJob, PlacedTask
from dbx_cd.setup.lint.task_rules import nearest
from dbx_cd.setup.yaml_places import Place

OF_TASKS = ("run_id", "cmd", "target", "select", "exclude", "defer", "state_path", "with_parents", "tiny")
"""What tasks are given, each its own: a parameter of the job overrides the task's of the same name (Databricks
documentation on job parameters)."""
# Without these the log and the artifacts would be where a commit says, and anybody might approve.
_TO_SETTLE = ("artifacts_root", "release_log", "approvers")
_RUN_ID = re.compile(r"\{\{\s*job\.run_id\s*\}\}")
_VOLUME = re.compile(r"/Volumes/[^/]+/[^/]+/[^/]+")
_TRUE_OR_FALSE = ("true", "false", "1", "0", "yes", "no", "")
_CALLED = {
    BUILD_NOTEBOOK: "build_release",
    SMOKE_NOTEBOOK: "run_smoke",
    ROLLBACK_NOTEBOOK: "auto_rollback",
    DOCS_NOTEBOOK: "publish_docs",
}


def parameter_findings(job: LintedJob) -> Iterator[Finding]:
    """Everything that is wrong with notebooks and parameters."""
    yield from _of_the_job(job)
    yield from _project(job)
    for placed in job.tasks:
        if placed.task.notebook_task is not None:
            yield from _notebook(job, placed)
            yield from _given(job, placed)


def _of_the_job(job: LintedJob) -> Iterator[Finding]:
    release = "release_run_id" if job.is_second_half else "commit"
    for name in (release, *_TO_SETTLE):
        if name not in job.parameters or (name != release and not job.parameters[name].strip()):
            message = f"the job has no parameter {name}, or an empty one"
            next_step = f"give it {name}, as the packaged definition does"
            yield job.found("no-parameter", job.place_of_parameter(name), message, next_step=next_step)
    if job.parameters.get(release):
        message = f"the parameter {release} has a default: whoever presses Run now would release that one"
        yield job.found("fixed-commit", job.place_of_parameter(release), message, next_step='leave its default ""')
    if job.parameters.get("full_refresh", "").lower() in ("true", "1", "yes"):
        message = "full_refresh is true: each release builds its tables anew, also incremental ones"
        next_step = 'leave its default "false", and give it to the one run that needs it'
        yield job.found("always-full-refresh", job.place_of_parameter("full_refresh"), message, next_step=next_step)
    yield from _places(job)
    for name in OF_TASKS:
        if name in job.parameters:
            message = f"the job has a parameter {name}, which overrides that of every task"
            next_step = "give it to each task, under base_parameters"
            yield job.found("overrides-task", job.place_of_parameter(name), message, next_step=next_step)
    yield from relative_profiles(job, job.parameters.get("profiles_dir", ""), job.place_of_parameter("profiles_dir"))
    for name in sorted(job.config.written & {"artifacts_root", "release_log", "approvers"}):
        settled, written = job.parameters.get(name, ""), str(getattr(job.config, name))
        if settled and settled != written and not settled.startswith("${"):
            message = f"{name} is {settled} here and {written} in {FILE_NAME}: this one counts in the Workflow"
            next_step = "write the same in both, or people's notebooks look elsewhere"
            yield job.found("differs-from-settings", job.place_of_parameter(name), message, next_step=next_step)


def _places(job: LintedJob) -> Iterator[Finding]:
    root, log = (job.parameters.get(name, "").strip() for name in ("artifacts_root", "release_log"))
    if root and "${" not in root and not _VOLUME.match(root):
        message = f"artifacts_root is {root}, which is no folder on a Volume"
        yield job.found(
            "no-volume", job.place_of_parameter("artifacts_root"), message, next_step="write /Volumes/<catalog>/..."
        )
    if log and "${" not in log:
        try:
            RelationName.parse(log)
        except DbxCdError as exc:
            next_step = exc.next_step or "write catalog.schema.table"
            yield job.found(
                "no-place", job.place_of_parameter("release_log"), f"release_log: {exc.what}", next_step=next_step
            )


def _project(job: LintedJob) -> Iterator[Finding]:
    if job.is_second_half:  # it works on the archive alone
        return
    if not job.config.project_dir.is_relative_to(job.repository.resolve()):
        message = f"project_dir is {job.parameters.get('project_dir')}, outside of the repository"
        next_step = "write it from the root of the repository"
        yield job.found("no-project", job.place_of_parameter("project_dir"), message, next_step=next_step)
    elif not (job.config.project_dir / "dbt_project.yml").is_file():
        inside = job.parameters.get("project_dir") or "."
        message = f"no dbt_project.yml in {inside}, the project_dir of the job"
        next_step = "set the variable project_dir to the project's folder, from the root of the repository"
        yield job.found("no-project", job.place_of_parameter("project_dir"), message, next_step=next_step)


def _notebook(job: LintedJob, placed: PlacedTask) -> Iterator[Finding]:
    place = ("notebook_task", "notebook_path")
    notebook = placed.task.notebook_task
    path = (notebook.notebook_path if notebook is not None else None) or ""
    if job.is_of_git(placed) and path.startswith("/"):
        # "For notebooks stored in a remote repository, the path must be relative" (Jobs API).
        message = f"{path} is from the root of the workspace, and the notebook is one of the repository"
        yield job.found("no-notebook", place, message, next_step="write it from the repository's root", task=placed)
        return
    file = job.notebook_file(placed)
    if file is None and path:
        if PurePosixPath(path).name in (*_CALLED, GATE_NOTEBOOK):
            message = f"{path} is in the workspace: whoever may write there decides what it does"
            next_step = "take it from the repository: source: GIT, and its path from the root"
            yield job.found("notebook-elsewhere", place, message, next_step=next_step, task=placed)
        return
    if file is None or not file.is_file():
        message = f"there is no notebook {path or '(no path)'}"
        beside = [other.stem for other in sorted(file.parent.glob("*.py"))] if file is not None else []
        next_step = nearest(file.name, beside) if file is not None and beside else "copy it: python -m dbx_cd init"
        yield job.found("no-notebook", place, message, next_step=next_step, task=placed)
        return
    source = job.source(placed)
    wanted = _CALLED.get(file.stem)
    if source is not None and source.problem is not None:
        message = f"{path} is no Python: {source.problem}"
        yield job.found("notebook-source", place, message, next_step="correct it", task=placed)
    elif source is not None and wanted is not None and wanted not in source.calls:
        message = f"{path} does not call {wanted}, and is taken for what does"
        next_step = "give it another name, or copy the packaged one"
        yield job.found("notebook-source", place, message, next_step=next_step, task=placed)


def _given(job: LintedJob, placed: PlacedTask) -> Iterator[Finding]:
    source = job.source(placed)
    if source is None or source.problem is not None:
        return
    given = job.given(placed)
    place = ("notebook_task", "base_parameters")
    for name, value in given.items():
        if source.has_all and name not in source.widgets:
            message = f"the notebook does not read the parameter {name}"
            next_step = nearest(name, sorted(source.widgets))
            yield job.found("unread-parameter", (*place, name), message, next_step=next_step, task=placed)
        elif name in job.parameters and name not in OF_TASKS and not _is_reference(value, name):
            message = f"it gives {name}, which the job's parameter of that name overrides"
            next_step = "take it out here, or in the job"
            yield job.found("overrides-task", (*place, name), message, next_step=next_step, task=placed)
        if name == "profiles_dir":
            yield from relative_profiles(job, value, (*place, name), placed)
        if isinstance(source.widgets.get(name), bool) and not _is_true_or_false(job, placed, name):
            message = f"{name} must be true or false, not {value!r}"
            yield job.found("boolean", (*place, name), message, next_step="write true or false", task=placed)
    if source.starts_task:
        yield from _of_every_task(job, placed)


def _of_every_task(job: LintedJob, placed: PlacedTask) -> Iterator[Finding]:
    given = job.given(placed)
    place = ("notebook_task", "base_parameters")
    source = job.source(placed)
    if not _RUN_ID.fullmatch(given.get("run_id", "").strip()) and "run_id" not in job.parameters:
        message = f"run_id is {given['run_id']!r}" if "run_id" in given else "run_id is not handed over"
        next_step = 'give it run_id: "{{job.run_id}}"'
        yield job.found("run-id", (*place, "run_id"), message, next_step=next_step, task=placed)
    if source is None or "target" not in source.widgets or "target" in job.parameters:
        return
    target = job.target(placed)
    if not target or "{{" in target:
        message = "it does not say its target"
        next_step = "give it the parameter target, written out"
        yield job.found("no-target", (*place, "target"), message, next_step=next_step, task=placed)
    elif target not in job.config.targets:
        message = f"{target} is no target of {FILE_NAME}"
        next_step = nearest(target, list(job.config.targets))
        yield job.found("unknown-target", (*place, "target"), message, next_step=next_step, task=placed)


def relative_profiles(job: LintedJob, value: str, place: Place, task: PlacedTask | None = None) -> Iterator[Finding]:
    """A folder of `profiles.yml` that follows the checkout.

    Args:
        job: the job.
        value: the folder.
        place: where it is said.
        task: the task that says it.
    """
    if value and not value.startswith(("{{", "${")) and not Path(value).is_absolute():
        message = f"profiles.yml is looked for in {value}, in the checkout, and a repair may check out another commit"
        next_step = "keep it beside dbt_project.yml, where it is archived; or give an absolute path"
        yield job.found("profiles-dir", place, message, next_step=next_step, task=task)


def _is_reference(value: str, name: str) -> bool:
    return re.sub(r"\s", "", value) == f"{{{{job.parameters.{name}}}}}"


def _is_true_or_false(job: LintedJob, placed: PlacedTask, name: str) -> bool:
    value = job.resolved(placed, name).lower()
    return value in _TRUE_OR_FALSE or "{{" in job.given(placed).get(name, "")
