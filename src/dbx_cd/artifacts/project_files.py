"""Which files are a dbt project's: what its commit has, linked folders and local packages included, and no secrets."""

from __future__ import annotations

import logging
import os
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dbx_cd.artifacts.checkout import Checkout
from dbx_cd.artifacts.secrets import is_secret, refuse_clear_secrets
from dbx_cd.config import FILE_NAME, CdConfig
from dbx_cd.dbt.own_paths import of_the_bundle, written_paths
from dbx_cd.dbt.packages import LOCK_FILE, PACKAGE_FILES, install_path, local_folders
from dbx_cd.dbt.project_copy import GENERATED
from dbx_cd.dbt.requirements_lock import FILE_NAME as DBT_LOCK
from dbx_cd.enumeration import listed
from dbx_cd.errors import ConfigError

_FILES = ("dbt_project.yml", *PACKAGE_FILES, "selectors.yml", "profiles.yml", ".dbtignore", FILE_NAME, DBT_LOCK)
_SHOWN = 5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProjectFiles:
    """The files of one project."""

    project: Path
    """Its folder, resolved."""
    files: Mapping[str, Path]
    """Every file by its name relative to the project."""
    beside: Mapping[Path, Mapping[str, Path]] = field(default_factory=dict)
    """The files of each local package that lies outside of the project's folder, by the folder `packages.yml` names."""


def project_files(project_dir: str | Path) -> ProjectFiles:
    """Decide which files of a folder are the dbt project's.

    In a git work tree they are the tracked ones, those of submodules included. Elsewhere (a Databricks checkout shows
    no `.git`) every file but what dbt and Python generate. Links are followed to what they lead to. Files with names
    that tools give to secrets are left out, also where they are tracked, and the log names them; so is what of the
    asset bundle lies between dbt's own paths, such as notebooks.

    Args:
        project_dir: the folder with `dbt_project.yml`.

    Raises:
        ConfigError: no project; something that dbt or the smoke test reads is not as the commit has it, is behind a
            link that cannot be followed or in a submodule that is not checked out; a package leaves the repository; or
            `profiles.yml` holds a secret in clear.
    """
    project = Path(project_dir).resolve()
    if not (project / "dbt_project.yml").is_file():
        raise ConfigError("no dbt_project.yml", where=project, next_step="give the folder of the dbt project")
    checkout = Checkout.around(project, generated=GENERATED | _installed_by_dbt(project))
    packages = _packages(project, checkout)
    inside = [path for path in packages if path.is_relative_to(project) and path != project]
    read = [*paths_read(project), _smoke_dir(project)]
    read += [posixpath.join(p.relative_to(project).as_posix(), name) for p in inside for name in paths_read(p)]
    left_out = of_the_bundle(project, kept=[_smoke_dir(project)])
    files = {n: p for n, p in _chosen(checkout, project, read=read).items() if n.split("/")[0] not in left_out}
    _refuse_clear_secrets({n: p for n, p in files.items() if not n.startswith(f"{install_path(project)}/")})
    beside: dict[Path, Mapping[str, Path]] = {}
    for path in packages:
        if path not in inside:
            real = path.resolve()
            own = checkout if checkout.in_git else Checkout.around(real, generated=GENERATED)
            beside[path] = _chosen(own, real, read=list(paths_read(real)), shown=os.path.relpath(path, project))
            _refuse_clear_secrets(beside[path], shown=os.path.relpath(path, project))
            if "dbt_project.yml" not in beside[path]:
                raise ConfigError("nothing of this local package is committed", where=path, next_step="commit it")
    return ProjectFiles(project, files, beside)


def _chosen(checkout: Checkout, folder: Path, *, read: Sequence[str], shown: str = "") -> dict[str, Path]:
    """The files of one folder.

    Args:
        checkout: what it is in.
        folder: a resolved path.
        read: what dbt reads of it: files and folders; "." for everything.
        shown: how messages name the folder; "" for the project's own.
    """
    files, left_out, faults, unread, ways_out = {}, [], [], [], []
    linked = [*read, install_path(folder)]  # dbt reads packages that a team commits
    for entry in checkout.below(folder):
        fault = f"{posixpath.join(shown, entry.name)} {entry.fault}"
        if entry.fault and _is_read(entry.name, linked if entry.bad_link else read):
            faults.append(fault)
            ways_out += [entry.way_out] if entry.way_out else []
        elif entry.path is None:
            unread += [fault] if entry.bad_link else []
        elif is_secret(entry.name, entry.path):
            left_out.append(posixpath.join(shown, entry.name))
        else:
            files[entry.name] = entry.path
    if faults:
        raise ConfigError(
            f"not as the commit has it: {listed(faults, most=_SHOWN, separator='; ')}",
            where=folder,
            next_step=next(iter(ways_out), "commit or remove what is named, or release a clean checkout"),
        )
    if unread:
        _log.warning("left out of the archive, as dbt reads none of it: %s", "; ".join(unread))
    if left_out:
        _log.warning("left out of the archive, by names that secrets have: %s", ", ".join(left_out))
    return files


def _refuse_clear_secrets(files: Mapping[str, Path], *, shown: str = "") -> None:
    for name, path in files.items():
        if PurePosixPath(name).name in ("profiles.yml", "profiles.yaml"):
            refuse_clear_secrets(path, name=posixpath.join(shown, name))


def _is_read(name: str, read: Sequence[str]) -> bool:
    if name == LOCK_FILE:  # `dbt deps` writes it, and the one that counts is written for the archive
        return False
    if "." in read and PurePosixPath(name).parts[0] not in GENERATED:
        return True
    return any(name == path or name.startswith(f"{path}/") or path.startswith(f"{name}/") for path in read)


def paths_read(project: Path) -> Iterator[str]:
    """What dbt reads of a project, relative to it.

    Raises:
        ConfigError: a folder that is not in the project's own.
    """
    yield from _FILES
    for setting, written in written_paths(project):
        path = "." if "{" in written else posixpath.normpath(written)
        if posixpath.isabs(path) or path.split("/")[0] == "..":
            raise ConfigError(
                f"`{setting}` names {written}, which is not in the project's folder and not in its archive",
                where=project / "dbt_project.yml",
                next_step="link the folder into the project, or make it a local package",
            )
        yield path


def _smoke_dir(project: Path) -> str:
    smoke_dir = Path(os.path.normpath(CdConfig.load(project).smoke_dir))
    if not smoke_dir.is_relative_to(project):
        raise ConfigError(
            f"`smoke_dir` is {smoke_dir}, which is not in the project's folder and not in its archive",
            where=project / FILE_NAME,
            next_step="name a folder of the project",
        )
    return smoke_dir.relative_to(project).as_posix()


def _packages(project: Path, checkout: Checkout) -> list[Path]:
    """The folders of all local packages.

    Raises:
        ConfigError: one lies outside of the repository, or is named by an absolute path.
    """
    found: list[Path] = []
    for named_in, written, path in local_folders(project):
        if Path(written).is_absolute():
            raise ConfigError(
                f"the local package {written} is named by an absolute path, which no archive can hold",
                where=named_in,
                next_step="name it by a path relative to the project, in the repository, or install it from git",
            )
        if checkout.in_git and not path.resolve().is_relative_to(checkout.root):
            raise ConfigError(
                f"the local package {written} is outside of the repository, so no archive can hold what it was",
                where=named_in,
                next_step="move it into the repository and name it by a relative path, or install it from git",
            )
        found.append(path)
    return found


def _installed_by_dbt(project: Path) -> frozenset[str]:
    """The folder of installed packages, where links in it show that `dbt deps` was run in this very checkout.

    Without them it is part of the checkout, by teams that commit it: without git nothing else can be said.
    """
    folder = project / install_path(project)
    is_linked = folder.is_dir() and any(path.is_symlink() for path in folder.iterdir())
    return frozenset({folder.name}) if is_linked and folder.parent == project else frozenset()
