"""`init`: notebooks and job definition, copied into a project's repository, for targets of its own names."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

import yaml

from dbx_cd.cli.bundle import BUNDLE_FILE, JOB_FILE, TargetNames, bundle_text, job_text, packaged_folder
from dbx_cd.config import FILE_NAME, CdConfig, read_settings
from dbx_cd.dbt.packages import project_settings
from dbx_cd.errors import ConfigError

_NO_PROJECTS = ("dbt_packages", "integration_tests", "node_modules", "target")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("init", help="copy notebooks and job definition into a project's repository")
    parser.add_argument("directory", nargs="?", default=".", metavar="DIR", help="its root (default: here)")
    parser.add_argument("--project", metavar="DIR", help="folder of the dbt project in it (default: the only one)")
    parser.add_argument("--staging", metavar="TARGET", help="the dbt target that is built and tested first (stg)")
    parser.add_argument("--production", metavar="TARGET", help="the dbt target that needs an approval (prod)")
    parser.add_argument(
        "--gate", action="append", default=[], metavar="TARGET",
        help="one more that needs an approval, between the two; may be given again",
    )  # fmt: skip
    parser.set_defaults(command=init)


def init(options: argparse.Namespace) -> int:
    """Copy the notebooks and the job's definition into a project's repository; nothing there is overwritten."""
    repository = Path(options.directory).resolve()
    if not repository.is_dir():
        raise ConfigError("no such folder", where=repository, next_step="give the root of the project's repository")
    project = _project(repository, options.project)
    names, setting = _targets(options, project)
    folder = packaged_folder()
    files = sorted(path.relative_to(folder) for path in _files(folder))
    present = [str(name) for name in files if (repository / name).exists()]
    if present:
        raise ConfigError(
            f"already there: {', '.join(present)}", where=repository, next_step="remove or keep them by hand"
        )
    inside = project.relative_to(repository).as_posix() if project is not None else "."
    texts = {BUNDLE_FILE: bundle_text(names, project_dir=inside), JOB_FILE: job_text(names)}
    for name in files:
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        if name.as_posix() in texts:
            (repository / name).write_text(texts[name.as_posix()], encoding="utf-8")
        else:
            shutil.copyfile(folder / name, repository / name)
        print(repository / name)
    if setting is not None:
        path, text = setting
        path.write_text(text, encoding="utf-8")
        print(path)
    return 0


def _project(repository: Path, given: str | None) -> Path | None:
    """The folder of the dbt project; None where that cannot be said, and nobody has."""
    if given is not None:
        project = (repository / given).resolve()
        if not (project / "dbt_project.yml").is_file() or not project.is_relative_to(repository):
            raise ConfigError(
                "no dbt_project.yml", where=project, next_step="give a folder of the repository, relative to its root"
            )
        return project
    if (repository / "dbt_project.yml").is_file():
        return repository
    found = []
    for folder, inner, names in os.walk(repository):
        inner[:] = [name for name in inner if not name.startswith(".") and name not in _NO_PROJECTS]
        if "dbt_project.yml" in names:
            found.append(Path(folder))
    # A package names no profile: the projects that use it do.
    found = [folder for folder in found if project_settings(folder).get("profile")] or found
    return found[0] if len(found) == 1 else None


def _targets(options: argparse.Namespace, project: Path | None) -> tuple[TargetNames, tuple[Path, str] | None]:
    """What the targets are called, and the settings that have to be written for it: the file, and its text."""
    default = TargetNames()
    asked = TargetNames(
        options.staging or default.staging, options.production or default.production, tuple(options.gate)
    )
    is_asked = bool(options.staging or options.production or options.gate)
    if project is None:
        if is_asked:
            raise ConfigError(
                f"{FILE_NAME} has to lie beside dbt_project.yml, and there is not exactly one of those here",
                where=Path(options.directory).resolve(),
                next_step="give its folder by --project",
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
                next_step="change the file, or leave the options out: the job then gets the names that are there",
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
        is_added = yaml.safe_load(text) == written | yaml.safe_load(asked.setting)
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
