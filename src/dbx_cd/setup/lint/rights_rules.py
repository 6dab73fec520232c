"""Whom the job runs as, who may do what with it, and secrets in its definition."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel

from dbx_cd.setup.bundle_options import NOBODY
from dbx_cd.setup.lint.finding import Finding
from dbx_cd.setup.lint.linted_job import LintedJob
from dbx_cd.setup.yaml_places import Place

# From the least to the most; each includes those before it (documentation on job permissions).
_LEVELS = (
    PermissionLevel.CAN_VIEW,
    PermissionLevel.CAN_MANAGE_RUN,
    PermissionLevel.IS_OWNER,
    PermissionLevel.CAN_MANAGE,
)
RUN_AS_NEEDS = PermissionLevel.CAN_MANAGE_RUN
"""What the job's identity needs on its own job: to run as an identity gives it no right to see its own
runs, and a rollback by itself ends what of its run is still at work."""
_FILL_IN = "set the variables run_as, ci and the like in the bundle to the application ids of service principals"
_EVERYONE = ("users", "account users")
_NAMES = re.compile(
    r"(?i)(?:.*[_.\-])?(?:token|secret|passw(?:or)?d|passphrase|private_?key|api_?key|access_?key|client_?secret)"
)
# What tokens look like, whatever they are called: Databricks, GitHub, GitLab, AWS, a web token, a private key, a user
# and password in an address.
_TOKENS = re.compile(
    r"\bdapi[0-9a-f]{32}|\bdose[0-9a-f]{32}|\bgh[opsu]_\w{30,}|\bgithub_pat_\w{20,}|\bglpat-[\w-]{20,}"
    r"|\bAKIA[0-9A-Z]{16}\b|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.|-----BEGIN [A-Z ]*PRIVATE KEY|://[^/\s:@{}$]+:[^/\s@{}$]+@"
)


def rights_findings(job: LintedJob) -> Iterator[Finding]:
    """Everything that is wrong with identities, rights and secrets."""
    yield from _placeholders(job)
    yield from _run_as(job)
    yield from _permissions(job)
    yield from secret_findings(job)


def principal(line: AccessControlRequest) -> str:
    """Whose line it is."""
    return line.group_name or line.service_principal_name or line.user_name or ""


def rank(level: PermissionLevel | None) -> int:
    """How much a level is: more than another, if it includes that."""
    return _LEVELS.index(level) if level in _LEVELS else -1


def rights_of(job: LintedJob, name: str) -> list[tuple[int, int]]:
    """The lines of the permissions that are somebody's: their numbers, and how much each gives."""
    return [(n, rank(line.permission_level)) for n, line in enumerate(job.permissions) if principal(line) == name]


def may_at_most(job: LintedJob, name: str) -> int:
    """How much somebody may do with a job; -1 for nothing."""
    return max((level for _, level in rights_of(job, name)), default=-1)


def _placeholders(job: LintedJob) -> Iterator[Finding]:
    """One for all of a job's identities: the next step is one, too."""
    named: dict[Place, str] = {("run_as",): job.runs_as}
    named |= {("permissions", number): principal(line) for number, line in enumerate(job.permissions)}
    unknown = [place for place, name in named.items() if name == NOBODY]
    if unknown:
        what = "whom it runs as" if unknown[0] == ("run_as",) else "whose right this is"
        more = f", and {len(unknown) - 1} more of its identities are not" if len(unknown) > 1 else ""
        yield job.found("placeholder", unknown[0], f"{what} is not filled in{more}", next_step=_FILL_IN)


def _run_as(job: LintedJob) -> Iterator[Finding]:
    run_as = job.settings.run_as
    next_step = "give it run_as: {service_principal_name: ...}, by its application id"
    if run_as is None or not (run_as.user_name or run_as.service_principal_name or run_as.group_name):
        message = "nobody is named whom it runs as: it would be whoever deploys it"
        yield job.found("no-run-as", ("run_as",), message, next_step=next_step)
        return
    if run_as.service_principal_name is None:
        message = f"it runs as {run_as.user_name or run_as.group_name}, who could approve what that identity asks for"
        yield job.found("runs-as-person", ("run_as",), message, next_step=next_step)
    name = run_as.service_principal_name or run_as.user_name or run_as.group_name
    if name == NOBODY:
        return
    if may_at_most(job, name or "") < rank(RUN_AS_NEEDS):
        message = (
            f"{name}, whom it runs as, may not do with its own runs what tasks do: read them, and end what is at work"
        )
        next_step = f"give it {RUN_AS_NEEDS.value} in permissions"
        yield job.found("run-as-rights", ("permissions",), message, next_step=next_step)
    for number, level in rights_of(job, name or ""):
        if level > rank(PermissionLevel.CAN_MANAGE_RUN):
            message = f"{name}, whom it runs as, may change the job: so may every macro that is merged"
            next_step = f"give it {RUN_AS_NEEDS.value}, and {PermissionLevel.CAN_MANAGE.value} to CI's identity alone"
            yield job.found("run-as-manages", ("permissions", number), message, next_step=next_step)


def _permissions(job: LintedJob) -> Iterator[Finding]:
    approvers = job.parameters.get("approvers")
    may_repair = rank(PermissionLevel.CAN_MANAGE_RUN)
    levels = [rank(line.permission_level) for line in job.permissions if line.group_name == approvers]
    # The run that is repaired is the first half's, which starts the second one anew.
    needed = PermissionLevel.CAN_VIEW if job.is_second_half else PermissionLevel.CAN_MANAGE_RUN
    if approvers and max(levels, default=-1) < rank(needed):
        what = "see what waits" if job.is_second_half else "repair a run, so a decision leads to nothing"
        message = f"the approvers ({approvers}) may not {what}"
        next_step = f"give the group {needed.value} in permissions"
        yield job.found("approvers-rights", ("permissions",), message, next_step=next_step)
    seen: set[str] = set()
    owners = 0
    for number, line in enumerate(job.permissions):
        place, name = ("permissions", number), principal(line)
        if approvers and line.group_name == approvers and rank(line.permission_level) > may_repair:
            message = f"the approvers ({approvers}) may change the job, and so take the gate out of it"
            yield job.found("approvers-manage", place, message, next_step="give them CAN_MANAGE_RUN")
        if line.group_name in _EVERYONE and rank(line.permission_level) >= may_repair:
            message = f"the group {name} is everybody: each may start, repair or change the job"
            yield job.found("everyone", place, message, next_step="give them CAN_VIEW, or nothing")
        if name == NOBODY:
            continue
        if name in seen:
            message = f"{name} has two levels"
            yield job.found("principal-twice", place, message, next_step="keep one of them")
        seen.add(name)
        if line.permission_level == PermissionLevel.IS_OWNER:
            owners += 1
            # "A job has exactly one owner; a group cannot be one" (documentation on job permissions).
            if owners > 1 or line.group_name is not None:
                message = "a group cannot be the owner" if line.group_name is not None else f"{name} is a second owner"
                yield job.found("owner", place, message, next_step="name one user or service principal as the owner")


def secret_findings(job: LintedJob) -> Iterator[Finding]:
    """Secrets in clear, anywhere in the job's settings."""
    settings = job.settings.as_dict()
    keys = [task.get("task_key", "") for task in settings.get("tasks", [])]
    for place, name in clear_secrets(settings):
        task = f" (task {keys[int(place[1])]})" if place[0] == "tasks" else ""
        yield job.found("secret", place, f"{name} has a secret in clear{task}", next_step=HIDE_IT)


HIDE_IT = "put it into a secret scope and write {{secrets/<scope>/<key>}}; and change the secret, it has been seen"


def clear_secrets(value: Any, place: Place = (), name: str = "") -> Iterator[tuple[Place, str]]:
    """Where something holds a secret in clear, and what it is called there.

    Args:
        value: settings.
        place: where they are.
        name: the key that holds them.
    """
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str) and isinstance(value.get("default"), str):
            yield from clear_secrets(value["default"], (*place, "default"), value["name"])
            return
        for key, inner in value.items():
            yield from clear_secrets(inner, (*place, str(key)), str(key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from clear_secrets(inner, (*place, number), name)
    elif isinstance(value, str):
        is_named = _NAMES.fullmatch(name) is not None and value.strip() and "{{" not in value and "${" not in value
        if _TOKENS.search(value) or is_named:
            yield place, name
