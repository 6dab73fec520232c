"""A copy of a project that dbt may write to, with the packages beside the project where dbt looks for them."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from dbx_cd.dbt.own_paths import of_the_bundle
from dbx_cd.dbt.packages import install_path, local_folders

GENERATED = frozenset({"target", "logs", ".venv", "node_modules"})
"""What tools write into a project. Only at the top: further down, `logs` may well be a folder of models."""
_LEFT_OUT = GENERATED | {".git", "__pycache__"}


def copy_project(source: Path, destination: Path) -> Path:
    """Copy a project; a copy that is there already is used again.

    Local packages outside of the project's folder, such as `../shared`, lie to the copy as they lie to the project: as
    links, since dbt only reads them. What `dbt deps` has linked into the project's folder of packages stays a link, as
    one to a package that holds the project would never end.

    Args:
        source: the project's folder, resolved.
        destination: the folder for the copy and what lies around it.

    Returns:
        The folder of the copy: `destination`, or one in it.
    """
    named = ((Path(written), path) for _, written, path in local_folders(source))
    # One that is named by an absolute path dbt finds by itself.
    beside = [path for written, path in named if not (written.is_absolute() or path.is_relative_to(source))]
    top = Path(os.path.commonpath([source, *beside]))
    copy = destination / source.relative_to(top)
    if copy.exists():
        return copy
    installed = _packages(source)
    links = [path for path in installed.iterdir() if path.is_symlink()] if _is_in(installed, source) else []
    at_the_top = _LEFT_OUT | of_the_bundle(source)

    def left_out(folder: str, names: Sequence[str]) -> set[str]:
        here = Path(folder)
        linked = {link.name for link in links if here == installed}
        return set(at_the_top if here == source else ()) | linked | {name for name in names if _is_no_file(here / name)}

    shutil.copytree(source, copy, ignore=left_out, copy_function=shutil.copyfile)
    # copytree takes over the mode of folders, and those of a checkout may be read-only.
    for folder in (copy, *(p for p in copy.rglob("*") if p.is_dir())):
        folder.chmod(folder.stat().st_mode | stat.S_IRWXU)
    for link in links:
        real = link.resolve()
        is_own = real.is_relative_to(source) and real != source
        if real.is_dir():
            (copy / link.relative_to(source)).symlink_to(copy / real.relative_to(source) if is_own else real)
    for package in sorted(beside):  # a folder comes before what is in it
        _put_beside(package, destination / package.relative_to(top), project=source)
    return copy


def _is_no_file(path: Path) -> bool:
    """Whether there is nothing to copy: a link to nothing or to a folder that holds it, a socket, a pipe.

    dbt minds none of them.
    """
    if not (path.is_file() or path.is_dir()):
        return True
    return path.is_symlink() and path.parent.resolve().is_relative_to(path.resolve())


def leads_elsewhere(project: Path) -> bool:
    """Whether packages of a project are installed outside of its folder, or as links that lead out of it."""
    installed = _packages(project)
    if not _is_in(installed, project):
        return installed.is_dir()
    return any(path.is_symlink() and not path.resolve().is_relative_to(project) for path in installed.iterdir())


def _packages(project: Path) -> Path:
    return Path(os.path.normpath(project / install_path(project)))


def _is_in(installed: Path, project: Path) -> bool:
    return installed.is_relative_to(project) and installed.is_dir()


def _put_beside(folder: Path, place: Path, *, project: Path) -> None:
    """Let a place lead to a folder; on the way to the project, whose copy is there, only what is in the folder."""
    if folder == project:
        return
    if project.is_relative_to(folder):
        place.mkdir(parents=True, exist_ok=True)
        for inner in folder.iterdir():
            if inner.name != ".git":
                _put_beside(inner, place / inner.name, project=project)
    elif not os.path.lexists(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(folder)
