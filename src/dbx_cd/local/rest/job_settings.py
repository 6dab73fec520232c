"""Which job settings this workspace accepts.

Refused with 400: what the platform refuses, and mistakes that neither the platform nor the asset bundle schema catches
(duplicate task keys, undeclared job parameters, unknown keys). Refused with 501: what exists on Databricks, but would
have no effect here. Accepted and recorded only: clusters, libraries and environments, because every task runs in the
embedded process' own Python, where the wheel already is. Files of libraries are asked for (`libraries.py`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from databricks.sdk.service.jobs import JobSettings

from dbx_cd.local.rest.api_error import invalid_parameter, not_implemented
from dbx_cd.local.rest.parameters import references
from dbx_cd.local.rest.task_graph import RUN_IF, dependencies, find_cycle

Settings = dict[str, Any]

_TASK_TYPES = frozenset({"notebook_task", "condition_task", "run_job_task"})
_OF_RUN_JOB = ("job_id", "job_parameters")
_CONDITION_OPS = frozenset(
    {"EQUAL_TO", "NOT_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL", "LESS_THAN", "LESS_THAN_OR_EQUAL"}
)
_GIT_REFERENCES = ("git_branch", "git_commit", "git_tag")
_SUBMIT_ONLY = frozenset({"run_name", "idempotency_token", "access_control_list"})
_STARTERS = ("schedule", "trigger", "continuous")


def check_job_settings(settings: Settings) -> None:
    """Refuse settings of a job (``create``, ``reset``, ``update``) that cannot be run as written.

    Raises:
        ApiError: 400 naming the task and the reason, or 501 naming the unsupported field.
    """
    _check_shape(settings, JobSettings.from_dict(settings).as_dict())
    for field in _STARTERS:
        if settings.get(field) and settings[field].get("pause_status") != "PAUSED":
            raise not_implemented(
                f"the job setting '{field}' unless its pause_status is PAUSED (nothing would start it)"
            )
    if settings.get("health"):
        raise not_implemented("the job setting 'health'")
    _check_parameters(settings.get("parameters") or [])
    _check_tasks(settings)


def check_submission(settings: Settings) -> None:
    """Refuse settings of a one-time run (``runs/submit``) that cannot be run as written."""
    shared = {name: value for name, value in settings.items() if name not in _SUBMIT_ONLY}
    _check_shape(shared, JobSettings.from_dict(shared).as_dict())
    if settings.get("health"):
        raise not_implemented("the run setting 'health'")
    _check_tasks(settings)


def _check_shape(given: Settings, understood: Settings) -> None:
    """Whatever the SDK's own classes do not carry over is a typo or not part of this API version."""
    for path in _lost(given, understood, ""):
        raise invalid_parameter(f"unknown field or value '{path}'")


def _lost(given: Any, understood: Any, path: str) -> Iterable[str]:
    if isinstance(given, Mapping) and given:
        if not isinstance(understood, Mapping):
            yield path
            return
        for key, value in given.items():
            here = f"{path}.{key}" if path else str(key)
            if key in understood:
                yield from _lost(value, understood[key], here)
            elif value not in (None, {}, [], False, "", 0):  # as_dict() leaves out what is empty
                yield here
    elif isinstance(given, list) and given:
        if not isinstance(understood, list) or len(understood) != len(given):
            yield path
            return
        for index, (value, other) in enumerate(zip(given, understood, strict=True)):
            yield from _lost(value, other, f"{path}[{index}]")


def _check_parameters(parameters: list[Settings]) -> None:
    for name, count in Counter(parameter.get("name") for parameter in parameters).items():
        if not name:
            raise invalid_parameter("a job parameter has no name")
        if count > 1:
            raise invalid_parameter(f"job parameter '{name}' is declared {count} times")


def _check_tasks(settings: Settings) -> None:
    tasks: list[Settings] = settings.get("tasks") or []
    keys = [task.get("task_key") for task in tasks]
    if not all(keys):
        raise invalid_parameter("a task has no task_key")
    for key, count in Counter(keys).items():
        if count > 1:
            raise invalid_parameter(f"task '{key}': task_key is used {count} times")
    declared = {parameter["name"] for parameter in settings.get("parameters") or []}
    by_key = {str(task["task_key"]): task for task in tasks}
    for task in tasks:
        _check_task_type(task)
        _check_dependencies(task, by_key)
        _check_references(task, declared, set(by_key))
        _check_sources(task, settings.get("git_source"))
    cycle = find_cycle(tasks)
    if cycle:
        raise invalid_parameter(f"task '{cycle[0]}': depends_on is a cycle: {' -> '.join(cycle)}")
    _check_git_source(settings.get("git_source"))


def _check_task_type(task: Settings) -> None:
    key = task["task_key"]
    types = sorted(field for field in task if field.endswith("_task") and task[field])
    for unsupported in (t for t in types if t not in _TASK_TYPES):
        raise not_implemented(f"the task type '{unsupported}' (task '{key}')")
    if len(types) > 1:
        raise invalid_parameter(f"task '{key}': more than one task type: {', '.join(types)}")
    if not types:
        raise invalid_parameter(f"task '{key}': no task type; supported are {', '.join(sorted(_TASK_TYPES))}")
    for field in ("disabled", "health"):
        if task.get(field):
            raise not_implemented(f"the task setting '{field}' (task '{key}')")
    if "notebook_task" in types and not task["notebook_task"].get("notebook_path"):
        raise invalid_parameter(f"task '{key}': notebook_task has no notebook_path")
    for field in set(task.get("run_job_task") or {}) - set(_OF_RUN_JOB):
        raise not_implemented(f"the field 'run_job_task.{field}' (task '{key}')")
    if "condition_task" in types:
        missing = [field for field in ("op", "left", "right") if field not in task["condition_task"]]
        if missing:
            raise invalid_parameter(f"task '{key}': condition_task has no {', '.join(missing)}")
        if task["condition_task"]["op"] not in _CONDITION_OPS:
            raise invalid_parameter(f"task '{key}': unknown condition operator {task['condition_task']['op']}")


def _check_dependencies(task: Settings, by_key: Mapping[str, Settings]) -> None:
    key = task["task_key"]
    if task.get("run_if", "ALL_SUCCESS") not in RUN_IF:
        raise invalid_parameter(f"task '{key}': unknown run_if {task['run_if']}")
    for dependency in dependencies(task):
        if dependency.task_key not in by_key:
            raise invalid_parameter(
                f"task '{key}': depends_on names '{dependency.task_key}', which is no task of this job"
            )
        if dependency.outcome is None:
            continue
        if not by_key[dependency.task_key].get("condition_task"):
            raise invalid_parameter(
                f"task '{key}': outcome given for '{dependency.task_key}', which is no condition_task"
            )
        if dependency.outcome not in ("true", "false"):
            raise invalid_parameter(f"task '{key}': outcome must be 'true' or 'false', not '{dependency.outcome}'")


def _check_references(task: Settings, declared: set[str], task_keys: set[str]) -> None:
    key = task["task_key"]
    texts = list((task.get("notebook_task") or {}).get("base_parameters", {}).values())
    texts += list((task.get("run_job_task") or {}).get("job_parameters", {}).values())
    texts += [str((task.get("condition_task") or {}).get(side, "")) for side in ("left", "right")]
    for text in texts:
        for parts in references(text):
            if parts[:2] == ("job", "parameters") and (len(parts) != 3 or parts[2] not in declared):
                raise invalid_parameter(f"task '{key}': {text} refers to a job parameter that is not declared")
            if parts[0] == "tasks" and parts[1] not in task_keys:
                raise invalid_parameter(f"task '{key}': {text} refers to '{parts[1]}', which is no task of this job")


def _check_sources(task: Settings, git_source: Settings | None) -> None:
    notebook = task.get("notebook_task")
    if not notebook:
        return
    key, path = task["task_key"], notebook["notebook_path"]
    if notebook_source(notebook, git_source) == "GIT":
        if not git_source:
            raise invalid_parameter(f"task '{key}': source is GIT, but the job has no git_source")
        if path.startswith("/") or ".." in path.split("/"):
            raise invalid_parameter(
                f"task '{key}': notebook_path '{path}' must be relative to the root of the repository"
            )
    elif not path.startswith("/"):
        raise invalid_parameter(
            f"task '{key}': notebook_path '{path}' must be absolute, because the source is WORKSPACE"
        )


def notebook_source(notebook: Mapping[str, Any], git_source: Settings | None) -> str:
    """``GIT`` or ``WORKSPACE``; when not given, a job with a git source means ``GIT`` (public API documentation)."""
    return str(notebook.get("source") or ("GIT" if git_source else "WORKSPACE"))


def _check_git_source(git_source: Settings | None) -> None:
    if not git_source:
        return
    if not git_source.get("git_url"):
        raise invalid_parameter("git_source has no git_url")
    given = [field for field in _GIT_REFERENCES if git_source.get(field)]
    if len(given) != 1:
        raise invalid_parameter(
            f"git_source needs exactly one of {', '.join(_GIT_REFERENCES)}; given: {', '.join(given) or 'none'}"
        )
    for field in ("sparse_checkout", "job_source"):
        if git_source.get(field):
            raise not_implemented(f"the setting 'git_source.{field}'")
