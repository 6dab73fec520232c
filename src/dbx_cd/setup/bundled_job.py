"""A job of a bundle as the Jobs API takes it, and what of its definition the API does not know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.jobs import JobSettings

from dbx_cd.errors import ConfigError
from dbx_cd.setup.bundle_reading import Bundle
from dbx_cd.setup.yaml_places import Place

JOB_KEY = "dbx_cd"
"""The key of the Workflow's job below `resources.jobs`: the same in every project, whatever the job is called."""
PRODUCTION_JOB_KEY = "dbx_cd_production"
"""The key of the job of what has a gate, where that is one of its own."""
# Keys of a bundle's job that the Jobs API does not take in its settings (asset bundle reference).
BUNDLE_ONLY = ("permissions", "lifecycle")
_PERMISSION_LEVELS = ("CAN_VIEW", "CAN_MANAGE_RUN", "CAN_MANAGE", "IS_OWNER")
_PRINCIPALS = ("user_name", "group_name", "service_principal_name")


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


def bundled_job(bundle: Bundle, *, job: str, file: object) -> BundledJob:
    """A job's settings as the Jobs API takes them, and its permissions.

    Args:
        bundle: the bundle.
        job: key of the job below `resources.jobs`.
        file: the file that should have it, for messages.

    Raises:
        ConfigError: there is no such job, a variable has no value, a key is not one of the Jobs API, or a line of the
            permissions gives no level to exactly one principal.
    """
    if job not in bundle.defined_jobs:
        raise ConfigError(f"no job {job!r} under resources.jobs", where=file)
    here = ("resources", "jobs", job)
    for place, name in (*bundle.undeclared, *bundle.valueless):
        if place[: len(here)] == here:
            raise ConfigError(
                f"no value for ${{var.{name}}}",
                where=file,
                next_step=f"declare it in {bundle.file.name}, with a default",
            )
    filled = bundle.defined_jobs[job]
    permissions = tuple(permission(line, where=file) for line in filled.get("permissions") or ())
    settings = {key: value for key, value in filled.items() if key not in BUNDLE_ONLY}
    parsed = parsed_settings(settings, where=file)
    unknown = [in_words(place) for place, _ in not_taken(settings, parsed.as_dict())]
    if unknown:
        raise ConfigError(
            f"not keys or values of the Jobs API: {', '.join(unknown)}", where=file, next_step="fix the spelling"
        )
    return BundledJob(parsed, permissions)


def parsed_settings(settings: Mapping[str, Any], *, where: object) -> JobSettings:
    """A job's settings in the SDK's types.

    Raises:
        ConfigError: something in them is not of the kind that it has to be, such as text in place of a list.
    """
    try:
        return JobSettings.from_dict(dict(settings))
    except (AttributeError, TypeError, ValueError, KeyError) as exc:
        raise ConfigError(
            f"the job cannot be read as the Jobs API's settings: {exc}",
            where=where,
            next_step="compare its lists and mappings with the packaged definition",
        ) from exc


def permission(line: Any, *, where: object) -> AccessControlRequest:
    """One line of `permissions`: a level, and whose it is (asset bundle reference).

    Raises:
        ConfigError: it gives no level of a job to exactly one principal.
    """
    if not isinstance(line, Mapping):
        raise ConfigError("permissions: each line must be a mapping", where=where)
    principals = {key: value for key, value in line.items() if key != "level"}
    level = line.get("level")
    if level not in _PERMISSION_LEVELS:
        raise ConfigError(
            f"permissions: {level!r} is no level of a job",
            where=where,
            next_step=f"give one of {', '.join(_PERMISSION_LEVELS)}",
        )
    if len(principals) != 1 or next(iter(principals)) not in _PRINCIPALS:
        raise ConfigError(
            f"permissions: {level} is for {', '.join(sorted(principals)) or 'nobody'}",
            where=where,
            next_step=f"give exactly one of {', '.join(_PRINCIPALS)}",
        )
    name = next(iter(principals.values()))
    if not isinstance(name, str):
        raise ConfigError(
            f"permissions: {level} is for {name!r}, which is no name", where=where, next_step="write the name as text"
        )
    return AccessControlRequest(permission_level=PermissionLevel(level), **principals)


def not_taken(given: Any, kept: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """What the SDK's own types did not take over: unknown keys and values outside an enum (measured).

    Args:
        given: settings as they are written.
        kept: the same settings, as the SDK's types give them back.
        place: where they are.

    Returns:
        Where each is, and the value.
    """
    if isinstance(given, Mapping):
        kept = kept if isinstance(kept, Mapping) else {}
        for key, value in given.items():
            if value not in (None, [], {}, False):
                yield from not_taken(value, kept.get(key), (*place, str(key)))
    elif isinstance(given, list):
        kept = kept if isinstance(kept, list) else []
        for number, (one, other) in enumerate(zip(given, kept, strict=False)):
            yield from not_taken(one, other, (*place, number))
        if len(kept) != len(given):
            yield place, given
    elif kept is None:
        yield place, given


def in_words(place: Place) -> str:
    """A place as it is said: `tasks[0].notebook_task.source`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).removeprefix(".")
