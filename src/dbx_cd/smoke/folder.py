"""The suites of a folder, and what is wrong where there are none: suites that are not read must not pass for none."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path

import yaml

from dbx_cd.config import FILE_NAME, CdConfig, read_settings
from dbx_cd.errors import ConfigError, SuiteError
from dbx_cd.smoke.checks import InvalidCheck
from dbx_cd.smoke.suite import SmokeSuite
from dbx_cd.yaml_text import keys_of

_SUFFIXES = (".yml", ".yaml")
_DEFAULT = CdConfig.smoke_dir.name


def suites_in(folder: Path) -> list[SmokeSuite]:
    """The suites of a folder, in the order of the file names.

    A file that as a whole is no suite is a suite with one broken check, and so is everything that keeps suites from
    being read: a folder that is not there, is a file, cannot be read or holds none, unless it is the default one that
    no project needs to have; a suite in a folder below; a folder beside the missing one that seems to be meant.
    """
    suites: list[SmokeSuite] = []
    try:
        suites += (_read(file) for file in sorted(_yaml_files(folder)))
        suites += (_broken(folder, problem) for problem in _below(folder))
        return suites or [_broken(folder, problem) for problem in _no_suites(folder)]
    except OSError as exc:
        return [*suites, _broken(folder, f"the folder {folder.name}/ cannot be read: {exc}")]


def _below(folder: Path) -> Iterator[str]:
    """What is wrong with suites in folders below: nobody reads them."""
    for file in sorted(_suites_below(folder)):
        yield f"{file.relative_to(folder)} is a suite, and suites are read from {folder.name}/ itself alone"


def _no_suites(folder: Path) -> Iterator[str]:
    """What is wrong with a folder without suites; nothing where a project need not have it."""
    if folder.is_symlink() and not folder.exists():
        found = f"{folder.name} is a link to {folder.readlink()}, which is not there"
    elif folder.exists() and not folder.is_dir():
        found = f"{folder.name} is a file, and suites are read from a folder"
    else:
        found = f"the folder {folder.name}/ holds no suite" if folder.is_dir() else f"there is no folder {folder.name}/"
    beside = folder.parent.iterdir() if folder.parent.is_dir() else ()
    others = {f.name: f for f in beside if f.is_dir() and f != folder and any(map(_is_suite, _yaml_files(f)))}
    near = difflib.get_close_matches(folder.name, sorted(others), n=1)
    if near:
        yield f"{found}, and {near[0]}/ beside it has suites: rename one, or name it as `smoke_dir` in {FILE_NAME}"
    elif not _may_be_missing(folder):
        there = f" ({', '.join(f'{name}/' for name in sorted(others))} has some)" if others else ""
        yield f"{found}: write a suite there, or correct `smoke_dir` in {FILE_NAME}{there}"


def _may_be_missing(folder: Path) -> bool:
    """Whether it is the default folder of a project that says nothing of it, and nothing else has its name."""
    project = folder.absolute().parent
    if folder.name != _DEFAULT or not (project / "dbt_project.yml").is_file():
        return False
    if not folder.is_dir() and (folder.exists() or folder.is_symlink()):
        return False
    try:
        return "smoke_dir" not in read_settings(project / FILE_NAME, last_counts=True)
    except ConfigError:
        return False


def _yaml_files(folder: Path) -> Iterator[Path]:
    # What is no folder is a suite, a link that leads nowhere as well: it cannot be read, and must not pass for none.
    if folder.is_dir():
        yield from (f for f in folder.iterdir() if f.suffix.lower() in _SUFFIXES and not f.is_dir())


def _suites_below(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        for inner in folder.iterdir():
            if inner.is_dir() and not inner.name.startswith("."):
                yield from (f for f in inner.rglob("*") if f.suffix.lower() in _SUFFIXES and _is_suite(f))


def _is_suite(file: Path) -> bool:
    """Whether a file looks like a suite, by its keys: other tools have YAML files of their own, also broken ones."""
    try:
        keys = keys_of(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return False
    return not keys.isdisjoint(("tables", "assertions"))


def _read(file: Path) -> SmokeSuite:
    try:
        return SmokeSuite.read(file)
    except SuiteError as exc:
        where = f"{file.parent.name}/{Path(str(exc.where)).name}"  # the name, and the line if there is one
        return SmokeSuite(file.stem, (InvalidCheck(name="suite file", where=where, problem=exc.what),))


def _broken(folder: Path, problem: str) -> SmokeSuite:
    return SmokeSuite(folder.name, (InvalidCheck(name="suites", where=f"{folder.name}/", problem=problem),))
