"""Where tasks run, and with which libraries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from databricks.sdk.service.compute import ClusterSpec, DataSecurityMode, Library

from dbx_cd.dbt.process import CHANGE_A_BUILD
from dbx_cd.setup.lint.finding import Finding
from dbx_cd.setup.lint.linted_job import LintedJob, PlacedTask
from dbx_cd.setup.lint.parameter_rules import relative_profiles
from dbx_cd.setup.lint.task_rules import nearest
from dbx_cd.setup.runtimes import OLDEST_CLUSTER
from dbx_cd.setup.yaml_places import Place

_KINDS = ("job_cluster_key", "existing_cluster_id", "new_cluster", "environment_key")
# Types that run on compute of the job; others on a warehouse, or on none.
_ON_COMPUTE = ("notebook_task", "spark_python_task", "python_wheel_task", "spark_jar_task", "spark_submit_task")
# "For other serverless tasks, the task environment is required to be specified" (Jobs API on `environments`).
_NEED_ENVIRONMENT = ("spark_python_task", "python_wheel_task")
_OF_ONE = (DataSecurityMode.SINGLE_USER, DataSecurityMode.DATA_SECURITY_MODE_DEDICATED)
_VERSION = re.compile(r"(\d+)\.(\d+)\.x-")
_CHANGING = frozenset(f"DBT_{part}{name}" for part in ("", "ENGINE_") for name in CHANGE_A_BUILD)
_CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"
_ON_A_VOLUME = ("/Volumes/", "/Workspace/", "./", "../", "${", "s3://", "abfss://", "gs://")


def compute_findings(job: LintedJob) -> Iterator[Finding]:
    """Everything that is wrong with compute and libraries."""
    yield from _defined(job)
    for placed in job.tasks:
        yield from _of_task(job, placed)
        if placed.task.new_cluster is not None:
            yield from _cluster(job, placed.task.new_cluster, (*placed.place, "new_cluster"))
    for number, cluster in enumerate(job.settings.job_clusters or ()):
        if cluster.new_cluster is not None:
            yield from _cluster(job, cluster.new_cluster, ("job_clusters", number, "new_cluster"))
    yield from _shared(job)


def _defined(job: LintedJob) -> Iterator[Finding]:
    kinds = {
        "job_cluster_key": ("job_clusters", "cluster", [c.job_cluster_key for c in job.settings.job_clusters or ()]),
        "environment_key": (
            "environments",
            "environment",
            [e.environment_key for e in job.settings.environments or ()],
        ),
    }
    for key, (place, what, names) in kinds.items():
        used = set()
        for placed in job.tasks:
            name = getattr(placed.task, key)
            used.add(name)
            if name is not None and name not in names:
                message = f"there is no {what} {name}"
                next_step = nearest(name, names) if names else f"define it under {place}"
                yield job.found("no-such-compute", (key,), message, next_step=next_step, task=placed)
        for number, name in enumerate(names):
            if name not in used and name not in names[:number]:
                message = f"no task runs on {what} {name}"
                yield job.found("unused-compute", (place, number), message, next_step="take it out, or use it")


def _kinds(placed: PlacedTask) -> list[str]:
    return [kind for kind in _KINDS if getattr(placed.task, kind) is not None]


def _of_task(job: LintedJob, placed: PlacedTask) -> Iterator[Finding]:
    task, kinds = placed.task, _kinds(placed)
    types = [name for name in _ON_COMPUTE if getattr(task, name) is not None]
    if len(kinds) > 1:
        message = f"it has {' and '.join(kinds)}"
        yield job.found("two-computes", (kinds[-1],), message, next_step="keep one of them", task=placed)
    elif not kinds and types:
        on_clusters = [p.key for p in job.tasks if set(_kinds(p)) - {"environment_key"}]
        if set(types) & set(_NEED_ENVIRONMENT):
            message = "it has no compute, and on serverless compute it needs an environment"
            yield job.found("no-compute", (), message, next_step="give it environment_key", task=placed)
        elif on_clusters:
            message = f"it has no compute, so it would run serverless, and {on_clusters[0]} on a cluster"
            yield job.found("no-compute", (), message, next_step="give it job_cluster_key", task=placed)
    if task.notebook_task is not None and task.notebook_task.warehouse_id is not None:
        # "SQL warehouses only support SQL cells; if the notebook contains non-SQL cells, the run will fail" (Jobs API).
        message = "its notebook would run on a SQL warehouse, which runs no Python"
        place = ("notebook_task", "warehouse_id")
        yield job.found("no-compute", place, message, next_step="take warehouse_id out", task=placed)
    if task.existing_cluster_id is not None:
        message = "it runs on a cluster that others use and may change, with their libraries"
        next_step = "give it a cluster of the job (job_clusters)"
        yield job.found("existing-cluster", ("existing_cluster_id",), message, next_step=next_step, task=placed)
    if task.libraries and types and not set(kinds) - {"environment_key"}:
        # "Task libraries are not supported for serverless" (documentation on serverless compute for jobs).
        message = "it runs serverless, where a task's libraries do not count"
        next_step = "name them in the notebook's environment or in the job's environments"
        yield job.found("serverless-libraries", ("libraries",), message, next_step=next_step, task=placed)
    yield from _libraries(job, placed)


def _libraries(job: LintedJob, placed: PlacedTask) -> Iterator[Finding]:
    libraries = placed.task.libraries or []
    for number, library in enumerate(libraries):
        for kind in ("whl", "requirements", "jar", "egg"):
            path = getattr(library, kind)
            if path is not None and not str(path).startswith(_ON_A_VOLUME):
                message = f"{path} is on no Volume and not in the workspace"
                next_step = "upload it to a Volume, and write its path /Volumes/..."
                # Without the task: by an alias all of them have it from one line.
                yield job.found(
                    "library-path", (*placed.place, "libraries", number, kind), message, next_step=next_step
                )
    source = job.source(placed)
    on_own_cluster = {"job_cluster_key", "new_cluster"} & set(_kinds(placed))
    if source is not None and source.starts_task and on_own_cluster and not any(_is_wheel(one) for one in libraries):
        message = "it starts with dbx_cd, and its libraries have no wheel of that"
        next_step = "name the wheel among its libraries, as the packaged definition does"
        yield job.found("no-wheel", ("libraries",), message, next_step=next_step, task=placed)


def _is_wheel(library: Library) -> bool:
    package = library.pypi.package if library.pypi is not None else ""
    named = f"{library.whl or ''} {package or ''}".lower().replace("-", "_")
    return "dbx_cd" in named or (library.whl or "").startswith("${")


def _cluster(job: LintedJob, cluster: ClusterSpec, place: Place) -> Iterator[Finding]:
    mode = cluster.data_security_mode
    if mode not in _OF_ONE:
        message = f"data_security_mode is {mode.value if mode is not None else 'not set'}"
        next_step = "set data_security_mode: SINGLE_USER: the cluster is for the job's identity alone"
        yield job.found("access-mode", (*place, "data_security_mode"), message, next_step=next_step)
    elif cluster.single_user_name is not None and cluster.single_user_name != job.runs_as:
        message = f"the cluster is for {cluster.single_user_name}, and the job runs as {job.runs_as or 'nobody named'}"
        next_step = "take single_user_name out: it is whom the job runs as"
        yield job.found("access-mode", (*place, "single_user_name"), message, next_step=next_step)
    version = _VERSION.match(cluster.spark_version or "")
    if version is not None and (int(version[1]), int(version[2])) < OLDEST_CLUSTER:
        message = f"the runtime {cluster.spark_version} is older than {'.'.join(map(str, OLDEST_CLUSTER))} LTS"
        next_step = "use 16.4.x-scala2.12 or newer"
        yield job.found("old-runtime", (*place, "spark_version"), message, next_step=next_step)
    for name, value in (cluster.spark_env_vars or {}).items():
        at = (*place, "spark_env_vars", name)
        if name in _CHANGING:
            message = f"{name} changes what dbt builds, unseen by whoever approves it: each build would be refused"
            next_step = "take it out; say it by the tasks' parameters, or under `flags` in dbt_project.yml"
            yield job.found("dbt-flag", at, message, next_step=next_step)
        elif name.endswith("_PROFILES_DIR"):
            yield from relative_profiles(job, str(value), at)
    if str((cluster.spark_conf or {}).get(_CHECK, "true")).lower() == "false":
        message = f"with {_CHECK} off, VACUUM removes what a rollback needs, whatever its age"
        at = (*place, "spark_conf", _CHECK)
        yield job.found("retention", at, message, next_step="take it out")


def _shared(job: LintedJob) -> Iterator[Finding]:
    """A library of one task is one of the cluster, for whoever runs on it."""
    first: dict[str, PlacedTask] = {}
    for placed in job.tasks:
        key = placed.task.job_cluster_key
        if key is None:
            continue
        other = first.setdefault(key, placed)
        source = job.source(placed)
        bare = source is not None and source.starts_task and not any(map(_is_wheel, placed.task.libraries or []))
        if _written(placed) != _written(other) and not bare:
            message = f"its libraries are not those of {other.key}, and both run on {key}: each gets both, in any order"
            yield job.found(
                "libraries-differ", ("libraries",), message, next_step="name the same for both", task=placed
            )


def _written(placed: PlacedTask) -> list[str]:
    return sorted(json.dumps(library.as_dict(), sort_keys=True) for library in placed.task.libraries or ())
