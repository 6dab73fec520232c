"""The Workflow's definition: the project's own bundle files, else the packaged ones, with variables filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.jobs import JobSettings

from dbx_cd.errors import ConfigError
from dbx_cd.setup.bundle import BUNDLE_FILE, JOB_FILE, bundle_text, job_text, packaged_folder
from dbx_cd.setup.bundle_files import JOB_KEY, declared_variables, mapping, read_bundle_file
from dbx_cd.setup.bundle_options import BundleOptions, TargetNames

# Keys of a bundle's job that the Jobs API does not take in its settings (asset bundle reference).
_BUNDLE_ONLY = ("permissions", "lifecycle")
_PERMISSION_LEVELS = ("CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER")
_PRINCIPALS = ("user_name", "group_name", "service_principal_name")
_VARIABLE = re.compile(r"\$\{var\.(\w+)\}")


@dataclass(frozen=True)
class BundledJob:
    """A job as the bundle defines it."""

    settings: JobSettings
    """What the Jobs API takes."""
    permissions: tuple[AccessControlRequest, ...]
    """Who may do what with it, but for its owner; a deploy sets these in place of all others."""

    def deployed_by(self, principal: str) -> list[AccessControlRequest]:
        """The permissions as a deploy sets them: whoever deploys owns the job, and nobody has two levels.

        The Databricks CLI raises a line of its own user to that of the owner, and of several lines for one principal
        takes the highest level (databricks/cli, fix_permissions.go).

        Args:
            principal: the service principal that deploys.
        """
        owner = AccessControlRequest(service_principal_name=principal, permission_level=PermissionLevel.IS_OWNER)
        highest: dict[tuple[str | None, ...], AccessControlRequest] = {_principal(owner): owner}
        for line in self.permissions:
            known = highest.get(_principal(line))
            if any(_principal(line)) and (known is None or _rank(line) > _rank(known)):
                highest[_principal(line)] = line
        return list(highest.values())


def _principal(line: AccessControlRequest) -> tuple[str | None, ...]:
    return line.user_name, line.group_name, line.service_principal_name


def _rank(line: AccessControlRequest) -> int:
    return _PERMISSION_LEVELS.index(line.permission_level.value) if line.permission_level else -1


def load_job(
    repository: Path, *, variables: Mapping[str, str], names: TargetNames | None = None, job: str = JOB_KEY
) -> JobSettings:
    """The job's settings as the Jobs API takes them; parameters and errors are those of `load_bundled_job`."""
    return load_bundled_job(repository, variables=variables, names=names, job=job).settings


def load_bundled_job(
    repository: Path, *, variables: Mapping[str, str], names: TargetNames | None = None, job: str = JOB_KEY
) -> BundledJob:
    """The job's settings as the Jobs API takes them, and its permissions.

    Args:
        repository: root of the project's repository; its own files win over the packaged ones.
        variables: values for the bundle's `${var.name}`, over their defaults.
        names: what the targets are called where the repository has no job of its own.
        job: key of the job below `resources.jobs`.

    Raises:
        ConfigError: a file is malformed, a variable has no value, a key is not one of the Jobs API, or a line of the
            permissions gives no level to exactly one principal.
    """
    own = (repository / JOB_FILE).is_file()
    base = repository if own else packaged_folder()
    options = BundleOptions(targets=names or TargetNames())
    source = base / JOB_FILE
    bundle = read_bundle_file(base / BUNDLE_FILE, text=None if own else bundle_text(options))
    definition = read_bundle_file(source, text=None if own else job_text(options))
    declared = declared_variables(bundle, definition, where=base / BUNDLE_FILE)
    values = {name: str(value) for name, value in declared.items()} | dict(variables)
    try:
        settings = definition["resources"]["jobs"][job]
    except (KeyError, TypeError):
        raise ConfigError(f"no job {job!r} under resources.jobs", where=source) from None
    filled = mapping(_fill(settings, values, source), source)
    permissions = tuple(_permission(line, source) for line in filled.get("permissions") or ())
    for key in _BUNDLE_ONLY:
        filled.pop(key, None)
    parsed = JobSettings.from_dict(filled)
    unknown = _lost(filled, parsed.as_dict())
    if unknown:
        raise ConfigError(
            f"not keys or values of the Jobs API: {', '.join(unknown)}", where=source, next_step="fix the spelling"
        )
    return BundledJob(parsed, permissions)


def _permission(line: Any, source: Path) -> AccessControlRequest:
    """One line of `permissions`: a level, and whose it is (asset bundle reference)."""
    line = dict(mapping(line, source))
    level = line.pop("level", None)
    if level not in _PERMISSION_LEVELS:
        raise ConfigError(
            f"permissions: {level!r} is no level of a job",
            where=source,
            next_step=f"give one of {', '.join(_PERMISSION_LEVELS)}",
        )
    if len(line) != 1 or next(iter(line)) not in _PRINCIPALS:
        raise ConfigError(
            f"permissions: {level} is for {', '.join(sorted(line)) or 'nobody'}",
            where=source,
            next_step=f"give exactly one of {', '.join(_PRINCIPALS)}",
        )
    return AccessControlRequest(permission_level=PermissionLevel(level), **line)


def _fill(value: Any, variables: Mapping[str, str], where: Path) -> Any:
    def replacement(match: re.Match[str]) -> str:
        if match[1] not in variables:
            raise ConfigError(
                f"no value for ${{var.{match[1]}}}", where=where, next_step=f"declare it in {BUNDLE_FILE}"
            )
        return variables[match[1]]

    if isinstance(value, dict):
        return {k: _fill(v, variables, where) for k, v in value.items()}
    if isinstance(value, list):
        return [_fill(v, variables, where) for v in value]
    return _VARIABLE.sub(replacement, value) if isinstance(value, str) else value


def _lost(given: Any, kept: Any, path: str = "") -> list[str]:
    """What the SDK's own types did not take over: unknown keys and values outside an enum (measured)."""
    if isinstance(given, dict):
        kept = kept if isinstance(kept, dict) else {}
        return [
            lost
            for key, value in given.items()
            if value not in (None, [], {}, False)
            for lost in _lost(value, kept.get(key), f"{path}.{key}" if path else str(key))
        ]
    if isinstance(given, list):
        pairs = zip(given, kept or [], strict=False)
        found = [lost for i, (a, b) in enumerate(pairs) for lost in _lost(a, b, f"{path}[{i}]")]
        return found if len(kept or []) == len(given) else [*found, path]
    return [] if kept is not None else [path]
