"""A project with the packages that it names, installed once: what staging builds, and what is archived."""

from __future__ import annotations

import logging
import os
import posixpath
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from dbx_cd.artifacts.checkout import Checkout
from dbx_cd.artifacts.project_files import ProjectFiles
from dbx_cd.artifacts.secrets import is_secret
from dbx_cd.dbt.packages import INSTALLED, LOCK_FILE, install_path, names_packages, needs_deps, not_installed
from dbx_cd.errors import ArtifactError, ConfigError

_log = logging.getLogger(__name__)


def with_packages(project: ProjectFiles, *, layout: Path, install: Callable[[Path], object]) -> Mapping[str, Path]:
    """The files of a project and of its packages, by their names in the archive.

    The project is copied with its local packages as they lie to one another, and `dbt deps` runs in the copy. A project
    that names no packages, or has all of them among its files, is as it is.

    Args:
        project: the files that the commit has.
        layout: a folder on local disk that does not exist yet; what is returned may lie in it.
        install: runs `dbt deps` in the folder it is given.

    Raises:
        ConfigError: packages are to be installed outside of the project's folder, or are links to what is outside of
            the copy.
    """
    if not names_packages(project.project):
        return project.files
    path = _install_path(project.project)
    committed = _committed(project.files, path)
    missing = not_installed(project.project, committed)
    if not missing:
        return project.files  # a team that commits its packages
    if committed:
        _log.warning("the packages that the commit has are not all that it names, and are installed anew: %s", missing)
    folders = [project.project, *project.beside]
    top = Path(posixpath.commonpath([str(folder) for folder in folders]))
    copies = {folder: layout.resolve() / folder.relative_to(top) for folder in folders}
    for folder, files in ((project.project, project.files), *project.beside.items()):
        for name, source in files.items():
            copy = copies[folder] / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)  # not its mode: a checkout may be read-only
            if os.access(source, os.X_OK):
                copy.chmod(0o755)
    copy = copies[project.project]
    install(copy)
    own = {name: file for name, file in project.files.items() if not name.startswith(f"{path}/")}
    files = {**own, **{f"{path}/{name}": file for name, file in _installed(copy / path, layout.resolve())}}
    if (copy / LOCK_FILE).is_file():
        files[LOCK_FILE] = copy / LOCK_FILE
    return files


def require_packages(project: Path, *, of: object, target: str) -> None:
    """Make sure that a project for a gated target has its packages: `dbt deps` is run for no gated target.

    It asks a hub or a git server, which may be away while production is half built, or have another version by then.

    Args:
        project: the unpacked archive.
        of: the artifacts that it is of, for the message.
        target: the gated target.

    Raises:
        ArtifactError: a package that the project names is not in its archive, as in those of 0.1.0.
    """
    if needs_deps(project):
        raise ArtifactError(
            f"the archive has not all packages that the project names, and `dbt deps` never runs for {target}",
            where=of,
            next_step="build staging again, which archives them: python -m dbx_cd trigger with this commit",
        )


def _committed(files: Mapping[str, Path], path: str) -> dict[str, bool]:
    """The folders of packages among a project's files, each with whether it holds a project; a `.gitkeep` is none."""
    found: dict[str, bool] = {}
    for name in files:
        package, _, inner = name.removeprefix(f"{path}/").partition("/")
        if name.startswith(f"{path}/") and inner and not package.startswith("__"):
            found[package] = found.get(package, False) or inner == "dbt_project.yml"
    return found


def _install_path(project: Path) -> str:
    written = install_path(project)
    path = posixpath.normpath(written)
    if "{" in written or posixpath.isabs(path) or path.split("/")[0] in ("..", "."):
        raise ConfigError(
            f"`packages-install-path` is {written}, and only packages in the project's own folder can be archived",
            where=project / "dbt_project.yml",
            next_step="name a folder of the project, without Jinja, such as dbt_packages",
        )
    return path


def _installed(folder: Path, layout: Path) -> Iterator[tuple[str, Path]]:
    """The files of all installed packages; those of a local one, to which dbt makes a link, from where they are."""
    left_out: list[str] = []
    for package in sorted(folder.iterdir()) if folder.is_dir() else ():
        real = package.resolve()
        if package.is_symlink() and not real.is_relative_to(layout):
            raise ConfigError(
                f"the package {package.name} is {real}, outside of the repository: no archive can hold what it was",
                where="packages.yml",
                next_step="move it into the repository and name it by a relative path, or install it from git",
            )
        if not real.is_dir():
            continue  # dbt takes folders only
        # A package that holds the project itself, as dbt-utils holds its tests, would hold its own copy.
        installed = f"{folder.relative_to(real).as_posix()}/" if folder.is_relative_to(real) else None
        for entry in Checkout.of_files(real).below(real):
            if installed is not None and entry.name.startswith(installed):
                continue
            if entry.path is None or is_secret(entry.name, entry.path):
                left_out.append(f"{package.name}/{entry.name}{entry.fault and f' {entry.fault}'}")
            else:
                yield f"{package.name}/{entry.name}", entry.path
    if left_out:
        _log.warning("left out of the packages in the archive: %s", "; ".join(left_out))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / INSTALLED).touch()
    yield INSTALLED, folder / INSTALLED
