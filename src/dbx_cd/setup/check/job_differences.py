"""Where a job in the workspace is not the one that is written, by paths. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dbx_cd.setup.check.written_job import is_unknown

# What entries of a list are known by; of any other list the order counts.
_KEYS = ("task_key", "job_cluster_key", "environment_key", "name")
# What a trigger sets for a run (`dbx_cd.release.workflow`), and what only a deploy knows.
_NOT_COMPARED = {"git_source.git_branch", "git_source.git_commit", "git_source.git_tag", "git_source.git_snapshot"}
# What the platform, or the deploy of a bundle, fills in by itself: reference of the Jobs API (defaults of its fields),
# of clusters (attributes of the cloud), and of asset bundles (`deployment`, `edit_mode`, `max_retries` of a mode).
_FILLED_IN = {
    "format", "deployment", "edit_mode", "email_notifications", "webhook_notifications", "notification_settings",
    "queue", "run_as", "budget_policy_id", "performance_target", "aws_attributes", "azure_attributes",
    "gcp_attributes", "enable_elastic_disk", "driver_node_type_id", "min_retry_interval_millis",
    "retry_on_timeout", "disable_auto_optimization", "data_security_mode", "effective_budget_policy_id",
    "usage_policy_id", "effective_usage_policy_id", "workload_type", "kind", "runtime_engine", "policy_id",
    "apply_policy_default_values", "tags",
}  # fmt: skip
# Where the files say nothing, these values are as good as nothing (reference of the Jobs API); any other one is not.
_DEFAULTS: dict[str, Any] = {
    "timeout_seconds": 0, "max_concurrent_runs": 1, "run_if": "ALL_SUCCESS", "max_retries": 0, "source": "GIT",
    "spark_env_vars": {"PYSPARK_PYTHON": "/databricks/python3/bin/python3"},
}  # fmt: skip
_ABSENT = "<absent>"


@dataclass(frozen=True)
class Difference:
    """One place that differs."""

    path: str
    """Where, such as `tasks[approval_gate].depends_on`."""
    written: Any
    """What the files have."""
    deployed: Any
    """What the workspace has."""

    @property
    def is_of_the_files(self) -> bool:
        """Whether the files say something about it."""
        return bool(self.written != _ABSENT)

    def __str__(self) -> str:
        if not self.is_of_the_files:
            return f"{self.path} is {_shown(self.deployed)}, of which the bundle says nothing"
        return f"{self.path} is {_shown(self.deployed)}, and the bundle has {_shown(self.written)}"


def differences(written: Mapping[str, Any], deployed: Mapping[str, Any]) -> list[Difference]:
    """All places in which two settings of a job differ, but for what a trigger pins and the platform fills in.

    Args:
        written: as the files have it, in the shape of the Jobs API.
        deployed: as the workspace has it.
    """
    return list(_differing(written, deployed, ""))


def _differing(written: Any, deployed: Any, path: str) -> Iterator[Difference]:
    if path in _NOT_COMPARED or is_unknown(written) or (_is_empty(written) and _is_empty(deployed)):
        return
    if isinstance(written, Mapping) and isinstance(deployed, Mapping):
        for key in [*written, *(k for k in deployed if k not in written)]:
            inner = f"{path}.{key}" if path else str(key)
            if key in written and key in deployed:
                yield from _differing(written[key], deployed[key], inner)
            elif key in written:
                if not _is_default(key, written[key]) and inner not in _NOT_COMPARED:
                    yield Difference(inner, written[key], _ABSENT)
            elif not _is_filled_in(key, deployed[key]) and inner not in _NOT_COMPARED:
                yield Difference(inner, _ABSENT, deployed[key])
    elif isinstance(written, list) and isinstance(deployed, list):
        yield from _of_lists(written, deployed, path)
    elif not _is_same(written, deployed):
        yield Difference(path, written, deployed)


def _of_lists(written: Sequence[Any], deployed: Sequence[Any], path: str) -> Iterator[Difference]:
    key = next((k for k in _KEYS if all(isinstance(e, Mapping) and k in e for e in (*written, *deployed))), None)
    if key is None:
        if sorted(map(str, written)) != sorted(map(str, deployed)):
            yield Difference(path, list(written), list(deployed))
        return
    own, there = {str(e[key]): e for e in written}, {str(e[key]): e for e in deployed}
    for name in [*own, *(n for n in there if n not in own)]:
        inner = f"{path}[{name}]"
        if name not in there:
            yield Difference(inner, "it", _ABSENT)
        elif name not in own:
            yield Difference(inner, _ABSENT, "there")
        else:
            yield from _differing(own[name], there[name], inner)


def _is_same(written: Any, deployed: Any) -> bool:
    return bool(written == deployed) or str(written).lower() == str(deployed).lower()


def _is_empty(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_is_empty, value.values()))
    return value is None or value is False or value in ("", [])


def _is_default(key: str, value: Any) -> bool:
    return _is_empty(value) or bool(key in _DEFAULTS and _DEFAULTS[key] == value)


def _is_filled_in(key: str, value: Any) -> bool:
    return _is_default(key, value) or key in _FILLED_IN


def _shown(value: Any) -> str:
    text = "not there" if value == _ABSENT else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
