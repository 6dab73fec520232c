"""What the targets of a project are called: as asked for, as its settings have them, or as its profile suggests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from dbx_cd.config import FILE_NAME, CdConfig, read_settings
from dbx_cd.errors import ConfigError
from dbx_cd.setup.bundle_options import TargetNames
from dbx_cd.setup.repository import profile_outputs, require_outputs
from dbx_cd.yaml_text import load_yaml

# What outputs are called that need not be asked about.
_STAGING = ("stg", "staging", "stage", "qa", "test", "uat", "preprod", "pre_prod", "acceptance", "acc", "int")
_PRODUCTION = ("prod", "production", "prd", "live")
_SAY_WHICH = "say which outputs they are, by --staging TARGET and --production TARGET, or add the output"
_CORRECT = f"correct `targets` in {FILE_NAME}, or add the output"


@dataclass(frozen=True)
class AskedNames:
    """What is asked for; None where nobody says."""

    staging: str | None = None
    """The target that is built and tested first."""
    production: str | None = None
    """The gated one that is built last."""
    gates: tuple[str, ...] = ()
    """Gated ones in between."""

    @property
    def is_any(self) -> bool:
        """Whether anything is."""
        return bool(self.staging or self.production or self.gates)


@dataclass(frozen=True)
class FoundTargets:
    """The targets of a project, and what has to be written so that it says so itself."""

    names: TargetNames
    """What they are called."""
    settings: tuple[Path, str] | None = None
    """The settings file that has to be written, and its text."""
    remark: str = ""
    """What was concluded without being asked."""


def find_targets(project: Path, asked: AskedNames) -> FoundTargets:
    """What the targets of a project are called.

    Raises:
        ConfigError: its settings have other names than are asked for, its profile has no such output or leaves open
            which they are, or its settings cannot be added to.
    """
    path = project / FILE_NAME
    written = read_settings(path)
    if "targets" in written:
        names = TargetNames.of(CdConfig.load(project))
        if asked.is_any and _wanted(asked, TargetNames()) != names:
            wanted = _wanted(asked, TargetNames())
            raise ConfigError(
                f"`targets` has {', '.join(names.all)}, and {', '.join(wanted.all)} are asked for",
                where=path,
                next_step="change it there, and start `init` again; or leave the options out, and the names stay",
            )
        require_outputs(project, names.all, next_step=_CORRECT)
        return FoundTargets(names)
    suggested, remark = _suggested(project, asked)
    names = _wanted(asked, suggested)
    require_outputs(project, names.all, next_step=_SAY_WHICH)
    if names == TargetNames():
        return FoundTargets(names)
    return FoundTargets(names, (path, _with_targets(path, written, names)), remark)


def _wanted(asked: AskedNames, otherwise: TargetNames) -> TargetNames:
    return TargetNames(asked.staging or otherwise.staging, asked.production or otherwise.production, asked.gates)


def _suggested(project: Path, asked: AskedNames) -> tuple[TargetNames, str]:
    """What the profile's outputs suggest, where one alone can be meant; else the default names."""
    outputs = profile_outputs(project)
    default = TargetNames()
    if outputs is None or (asked.staging and asked.production) or set(default.all) <= set(outputs):
        return default, ""
    free = [name for name in outputs if name not in asked.gates]
    found = {}
    for role, given, words in (("staging", asked.staging, _STAGING), ("production", asked.production, _PRODUCTION)):
        others = (asked.staging, asked.production)
        named = [given] if given else [n for n in free if n.lower().replace("-", "_") in words and n not in others]
        if len(named) > 1:
            raise ConfigError(
                f"any of {', '.join(named)} may be the target that is {_ROLES[role]}; the profile has "
                f"{', '.join(outputs)}",
                where=project,
                next_step="say which by --staging TARGET and --production TARGET; --gate TARGET is one more with an "
                "approval, in between",
            )
        found[role] = named[0] if named else getattr(default, role)
    names = TargetNames(found["staging"], found["production"])
    concluded = [f"{name} is {_ROLES[role]}" for role, name in found.items() if getattr(asked, role) is None]
    return names, f"by the outputs of profiles.yml, {' and '.join(concluded)}" if names != default else ""


_ROLES = {"staging": "built and tested first", "production": "built last, after the approval"}


def _with_targets(path: Path, written: dict[str, object], names: TargetNames) -> str:
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    text = (
        f"{before.rstrip()}\n\n" * bool(before.strip())
        + "# By dbt target, in the order in which a release goes through them.\n"
        + names.setting
    )
    try:
        is_added = load_yaml(text) == written | load_yaml(names.setting)
    except yaml.YAMLError:  # such as after settings in braces
        is_added = False
    if not is_added:
        raise ConfigError("`targets` cannot be added", where=path, next_step=f"write it there:\n{names.setting}")
    return text
