"""The bundle around the job: its keys, variables and targets, and its other jobs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from databricks.sdk.service.jobs import JobSettings

from dbx_cd.setup.api_types import fields_of
from dbx_cd.setup.bundle_reading import Bundle
from dbx_cd.setup.bundled_job import in_words
from dbx_cd.setup.lint.finding import Finding
from dbx_cd.setup.lint.rights_rules import HIDE_IT, clear_secrets
from dbx_cd.setup.lint.task_rules import nearest
from dbx_cd.setup.yaml_places import Place

# The keys of a bundle and of a target of one (asset bundle reference).
BUNDLE_KEYS = (
    "artifacts", "bundle", "environments", "experimental", "include", "permissions", "presets", "python", "resources",
    "run_as", "scripts", "sync", "targets", "variables", "workspace",
)  # fmt: skip
TARGET_KEYS = (
    "artifacts", "bundle", "cluster_id", "compute_id", "default", "git", "mode", "permissions", "presets", "resources",
    "run_as", "sync", "variables", "workspace",
)  # fmt: skip
MODES = ("development", "production")


def bundle_findings(bundle: Bundle) -> Iterator[Finding]:
    """Everything that is wrong with the bundle beside the job."""
    yield from _keys(bundle)
    for place, name in bundle.undeclared:
        message = f"${{var.{name}}}: there is no variable {name}"
        variables = bundle.content.get("variables")
        known = [str(known) for known in variables] if isinstance(variables, Mapping) else []
        yield Finding.of("no-variable", bundle.where(place), message, nearest(name, known))
    for name in dict.fromkeys(name for _, name in bundle.valueless):
        place = next(place for place, other in bundle.valueless if other == name)
        message = f"the variable {name} has no value in the files: each deploy has to give one"
        yield Finding.of("variable-value", bundle.where(place), message, f"give it a default in {bundle.file.name}")
    for place, pattern in bundle.unmatched:
        message = f"`include`: {pattern} matches no file"
        yield Finding.of("includes-nothing", bundle.where(place), message, "correct the path, or take it out")
    declared = bundle.content.get("variables")
    for name, variable in declared.items() if isinstance(declared, Mapping) else ():
        default = variable.get("default") if isinstance(variable, Mapping) else None
        for inside, _ in clear_secrets(default, (), str(name)):
            place = ("variables", str(name), "default", *inside)
            yield Finding.of("secret", bundle.where(place), f"the variable {name} has a secret in clear", HIDE_IT)


def _keys(bundle: Bundle) -> Iterator[Finding]:
    for key in bundle.content:
        if key not in BUNDLE_KEYS:
            message = f"{key} is no key of a bundle"
            yield Finding.of("bundle-key", bundle.where((key,)), message, nearest(key, BUNDLE_KEYS))
    targets = bundle.content.get("targets") or {}
    for name, settings in targets.items() if isinstance(targets, Mapping) else ():
        for key, value in settings.items() if isinstance(settings, Mapping) else ():
            place = ("targets", name, key)
            if key not in TARGET_KEYS:
                message = f"{key} is no key of a bundle's target"
                yield Finding.of("bundle-key", bundle.where(place), message, nearest(key, TARGET_KEYS))
            elif key == "mode" and value not in MODES:
                message = f"{value} is no mode of a bundle's target"
                yield Finding.of("bundle-key", bundle.where(place), message, nearest(str(value), MODES))


def unknown_key(where: str, place: Place, value: Any) -> Finding:
    """What the Jobs API does not know, with what it may have meant.

    Args:
        where: file and line.
        place: where in the job.
        value: what is there.
    """
    found: type | None = JobSettings
    for part in place[:-1]:
        if isinstance(part, str):
            found = fields_of(found)[part].kind if part in fields_of(found) else None
    names = list(fields_of(found))
    last = place[-1] if place else ""
    if isinstance(last, str) and last in names:
        kind = fields_of(found)[last].kind
        choices = [str(member.value) for member in kind] if kind is not None and issubclass(kind, Enum) else []
        near = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.5)
        message = f"{in_words(place)}: {value!r} is no value of the Jobs API"
        next_step = (
            f"did you mean {near[0]}?" if near else f"use one of {', '.join(choices)}" if choices else "correct it"
        )
    else:
        message = f"{in_words(place)}: the Jobs API has no such key"
        near = difflib.get_close_matches(str(last), names, n=1)
        next_step = f"did you mean {near[0]}?" if near else "take it out"
    return Finding.of("unknown-key", where, message, next_step)
