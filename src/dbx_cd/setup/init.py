"""`init`: notebooks and job definition, copied into a project's repository, for targets of its own names."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

from dbx_cd.config import FILE_NAME, CdConfig, read_settings
from dbx_cd.errors import ConfigError
from dbx_cd.setup.bundle import BUNDLE_FILE, JOB_FILE, bundle_text, job_text, packaged_folder
from dbx_cd.setup.bundle_options import BundleOptions, TargetNames
from dbx_cd.setup.repository import project_folder, require_outputs, require_root
from dbx_cd.yaml_text import load_yaml

_SAY_WHICH = "say which outputs they are, by --staging TARGET and --production TARGET, or add the output"
_CORRECT = f"correct `targets` in {FILE_NAME}, or add the output"


@dataclass(frozen=True)
class Asked:
    """What `init` is asked for."""

    directory: Path
    """The root of the project's repository."""
    project: str | None = None
    """The folder of the dbt project in it; None for the only one."""
    staging: str | None = None
    """The target that is built and tested first; None where nobody says."""
    production: str | None = None
    """The gated target that is built last; None where nobody says."""
    gates: tuple[str, ...] = ()
    """Gated targets in between."""


def init(options: Asked, *, say: Callable[[str], None]) -> None:
    """Copy the notebooks and the job's definition into a project's repository; nothing there is overwritten.

    Args:
        options: what for.
        say: what is told each file that was written.

    Raises:
        ConfigError: it is no root of a repository, its projects or targets are not clear, or files are there already.
    """
    repository = options.directory.resolve()
    if not repository.is_dir():
        raise ConfigError("no such folder", where=repository, next_step="give the root of the project's repository")
    require_root(repository)
    project = project_folder(repository, options.project)
    names, setting = _targets(options, project)
    if project is not None:
        is_written = "targets" in read_settings(project / FILE_NAME)
        require_outputs(project, names.all, next_step=_CORRECT if is_written else _SAY_WHICH)
    inside = project.relative_to(repository).as_posix() if project is not None else "."
    folder = packaged_folder()
    files = sorted(path.relative_to(folder) for path in _files(folder))
    present = [str(name) for name in files if (repository / name).exists()]
    if present:
        raise ConfigError(
            f"already there: {', '.join(present)}",
            where=repository,
            next_step="remove them, and start again; or keep them, and " + _by_hand(repository, names, inside, setting),
        )
    options_ = BundleOptions(targets=names, project_dir=inside)
    texts = {BUNDLE_FILE: bundle_text(options_), JOB_FILE: job_text(options_)}
    for name in files:
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        if name.as_posix() in texts:
            (repository / name).write_text(texts[name.as_posix()], encoding="utf-8")
        else:
            shutil.copyfile(folder / name, repository / name)
        say(str(repository / name))
    if setting is not None:
        path, text = setting
        path.write_text(text, encoding="utf-8")
        say(str(path))
    if project is None:
        say(f"there is no dbt_project.yml yet: where it comes to another folder, set `project_dir` in {BUNDLE_FILE}")


def _by_hand(repository: Path, names: TargetNames, inside: str, setting: tuple[Path, str] | None) -> str:
    """What has to be written into files that stay, so that they are what `init` would write."""
    wanted = {"project_dir": inside, "staging": names.staging, "production": names.production}
    present = _defaults(repository / BUNDLE_FILE)
    differing = [f"{name}: {value}" for name, value in wanted.items() if present.get(name) != value]
    steps = []
    if differing:
        steps.append(f"set the defaults of variables in {BUNDLE_FILE}: {', '.join(differing)}")
    if setting is not None:
        steps.append(f"write into {setting[0].relative_to(repository).as_posix()}:\n{names.setting.rstrip()}")
    if names.between and (repository / JOB_FILE).exists():
        steps.append(
            f"give each of {', '.join(names.between)} its four tasks in {JOB_FILE} (docs/deploy.md, 'A second gate')"
        )
    return "\nand ".join(steps) or "change nothing: they have these names"


def _defaults(bundle: Path) -> dict[str, str]:
    """The defaults of a bundle's variables; nothing where they cannot be read."""
    try:
        variables = load_yaml(bundle.read_text(encoding="utf-8"))["variables"]
        return {str(name): str(variable["default"]) for name, variable in variables.items() if "default" in variable}
    except (OSError, UnicodeDecodeError, yaml.YAMLError, LookupError, TypeError, AttributeError):
        return {}


def _targets(options: Asked, project: Path | None) -> tuple[TargetNames, tuple[Path, str] | None]:
    """What the targets are called, and the settings that have to be written for it: the file, and its text."""
    default = TargetNames()
    asked = TargetNames(options.staging or default.staging, options.production or default.production, options.gates)
    is_asked = bool(options.staging or options.production or options.gates)
    if project is None:
        if is_asked:
            raise ConfigError(
                f"{FILE_NAME} has to lie beside dbt_project.yml, and there is none here",
                where=options.directory.resolve(),
                next_step="start `init` in the root of the repository that has the dbt project",
            )
        return default, None
    path = project / FILE_NAME
    written = read_settings(path)
    if "targets" in written:
        names = TargetNames.of(CdConfig.load(project))
        if is_asked and asked != names:
            raise ConfigError(
                f"`targets` has {', '.join(names.all)}, and {', '.join(asked.all)} are asked for",
                where=path,
                next_step=f"change it there, and alike the variables `staging` and `production` in {BUNDLE_FILE}, if "
                "`init` has written that already; or leave the options out, and the names stay",
            )
        return names, None
    if asked == default:
        return default, None
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    text = (
        f"{before.rstrip()}\n\n" * bool(before.strip())
        + "# By dbt target, in the order in which a release goes through them.\n"
        + asked.setting
    )
    try:
        is_added = load_yaml(text) == written | load_yaml(asked.setting)
    except yaml.YAMLError:  # such as after settings in braces
        is_added = False
    if not is_added:
        raise ConfigError("`targets` cannot be added", where=path, next_step=f"write it there:\n{asked.setting}")
    return asked, (path, text)


def _files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in folder.iterdir():
        if path.is_dir():
            found += [] if path.name == "__pycache__" else _files(path)
        else:
            found.append(path)
    return found
