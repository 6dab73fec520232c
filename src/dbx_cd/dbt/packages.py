"""Which packages a dbt project names, which of them are installed, and which lie beside it in the checkout.

The files are read leniently: dbt renders Jinja in them and reports what is wrong with them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from dbx_cd.dbt.lock_hash import lock_hashes
from dbx_cd.errors import ConfigError
from dbx_cd.jinja import EarlyJinja
from dbx_cd.yaml_text import load_yaml

PACKAGE_FILES = ("packages.yml", "dependencies.yml")
LOCK_FILE = "package-lock.yml"
INSTALLED = ".installed"
"""A file in the folder of packages of an archive: `dbt deps` has done its work there, also where that was none."""
# What dbt-core 1.11 takes where dbt_project.yml sets no `packages-install-path` (config/project.py).
_INSTALL_PATH = "dbt_packages"
_LOCAL = re.compile(r"""^[\s-]*["']?local["']?\s*:\s*["']?([^"'#\n]+)""", re.MULTILINE)
# What an entry is known by (dbt-core 1.11, contracts/project.py), and a version or commit that is named exactly.
_KINDS = ("package", "git", "tarball", "local", "private")
_EXACT = {"version": re.compile(r"\d+\.\d+\.\d+"), "revision": re.compile(r"[0-9a-f]{40}")}


def project_settings(project: Path) -> dict[str, Any]:
    """What `dbt_project.yml` sets; nothing where it cannot be read."""
    return _mapping(project / "dbt_project.yml") or {}


def variables_file(project: Path) -> dict[str, Any]:
    """The variables of `vars.yml`, which dbt 1.12 reads (config/project.py); none where there is no such file."""
    given = (_mapping(project / "vars.yml") or {}).get("vars")
    return given if isinstance(given, dict) else {}


def install_path(project: Path) -> str:
    """Where `dbt deps` puts packages, as dbt_project.yml writes it."""
    return str(project_settings(project).get("packages-install-path") or _INSTALL_PATH)


def package_folders(project: Path) -> list[Path]:
    """The folders of a project's installed packages; none where there are none yet."""
    return sorted(_folders(project / install_path(project)))


def names_packages(project: Path) -> bool:
    """Whether a project names packages, which `dbt deps` then installs."""
    return any(_lists_packages(project / name) for name in PACKAGE_FILES if (project / name).is_file())


def needs_deps(project: Path) -> bool:
    """Whether a package that a project names is not installed in its folder."""
    folder = project / install_path(project)
    if not names_packages(project) or (folder / INSTALLED).is_file():
        return False
    found = {p.name: (p / "dbt_project.yml").is_file() for p in _folders(folder)}
    return bool(not_installed(project, found))


def not_installed(project: Path, folders: Mapping[str, bool]) -> str:
    """Why the packages of a project have to be installed; "" where all of them are.

    dbt itself compares numbers only: it refuses to run where there are fewer folders than packages named, or a folder
    without a project (dbt-core 1.11, `load_dependencies` in config/runtime.py). The lock file that `dbt deps` writes
    says more: the folder of every package, also of those that packages name, and the version that was chosen.

    Args:
        project: its folder.
        folders: the folders where packages are installed, each with whether it holds a `dbt_project.yml`.
    """
    path = install_path(project)
    cut_off = sorted(name for name, is_whole in folders.items() if not is_whole)
    if cut_off:
        return f"{path}/{cut_off[0]} holds no dbt_project.yml"
    named = _named(project)
    if named is None and not folders:
        return f"{path} holds no package"
    lock = _mapping(project / LOCK_FILE)
    locked = [entry for entry in _list(lock, "packages") if isinstance(entry, dict)]
    for entry in named or () if lock is not None else ():
        kind = next((k for k in _KINDS if k in entry), "")
        known = str(entry.get(kind))
        if "{" in known:
            continue  # the lock file has it as dbt has rendered it, without secrets
        chosen = next((one for one in locked if str(one.get(kind)) == known), None)
        if chosen is None:
            # Teams that commit packages may not commit the lock file with them.
            if known.rsplit("/", 1)[-1] not in folders:
                return f"{LOCK_FILE} is older than what names {known}"
        elif _is_another(entry, chosen):
            return f"{LOCK_FILE} has another version of {known} than is named"
    written = (lock or {}).get("sha1_hash")
    if written and named and not all(map(_is_exact, named)):
        # Of a range or a branch the chosen version says nothing: dbt's own question is whether it was chosen for this.
        hashes = lock_hashes(named)
        if hashes and written not in hashes:
            return f"{LOCK_FILE} is of other packages, or other versions, than are named"
    for name in (str(entry["name"]) for entry in locked if entry.get("name")):
        if name not in folders:
            return f"{path}/{name} is not there"
    if named is not None and len(folders) < len(named):
        return f"{len(named)} packages are named, and {path} holds {len(folders)}"
    return ""


def local_packages(project: Path) -> Iterator[str]:
    """The paths of packages that lie on the same disk, as dbt takes them.

    One with Jinja that cannot be rendered here is left out: dbt says what is wrong with it.
    """
    jinja = EarlyJinja()
    for path in (project / name for name in PACKAGE_FILES):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        found = _LOCAL.findall(text)
        try:
            packages = (load_yaml(text, last_counts=True) or {}).get("packages") or []
            found = [str(p["local"]) for p in packages if isinstance(p, dict) and p.get("local")]
        except (yaml.YAMLError, AttributeError, TypeError):
            pass
        for written in found:
            try:
                # dbt renders packages.yml, and not dependencies.yml (config/renderer.py, `render_packages`)
                yield jinja.render(written, where=str(path)) if path.name == PACKAGE_FILES[0] else written.strip()
            except ConfigError:
                continue


def local_folders(project: Path) -> Iterator[tuple[Path, str, Path]]:
    """All packages on the same disk: where each is named, by which path, and its folder.

    A path in a local package counts from the project as well, as dbt takes it (dbt-core 1.11, deps/local.py). What is
    not there is left out: `missing_folders` has it.

    Args:
        project: its folder, resolved.
    """
    return ((named_in, written, path) for named_in, written, path, is_there in _local(project) if is_there)


def missing_folders(project: Path) -> list[str]:
    """What a project or its local packages name as packages on the same disk and is not there, each in a sentence.

    Args:
        project: its folder, resolved.
    """
    return [
        f"`local: {written}`, which {named_in} names, is not there: {path} has no dbt_project.yml"
        for named_in, written, path, is_there in _local(project)
        if not is_there
    ]


def _local(project: Path) -> Iterator[tuple[Path, str, Path, bool]]:
    found: set[Path] = set()
    open_ends = [(project, written) for written in local_packages(project)]
    while open_ends:
        named_in, written = open_ends.pop(0)
        path = Path(os.path.normpath(project / written))
        if path not in found:
            found.add(path)
            is_there = (path / "dbt_project.yml").is_file()
            yield named_in, written, path, is_there
            open_ends += [(path, inner) for inner in local_packages(path)] if is_there else []


def _named(project: Path) -> list[dict[str, Any]] | None:
    """The packages that a project names, as it writes them; None where only dbt can say, for Jinja around them."""
    named: list[dict[str, Any]] = []
    for path in (project / name for name in PACKAGE_FILES):
        loaded = _mapping(path) if path.is_file() else {}
        if loaded is None:
            return None
        named += [entry for entry in _list(loaded, "packages") if isinstance(entry, dict)]
    return named


def _is_exact(named: Mapping[str, Any]) -> bool:
    """Whether a package names its version or commit, or has none, as one on the same disk."""
    wanted = [(named.get(key), exact) for key, exact in _EXACT.items() if key in named]
    return (
        all(exact.fullmatch(str(value)) for value, exact in wanted) if wanted else not {"git", "private"} & set(named)
    )


def _is_another(named: Mapping[str, Any], locked: Mapping[str, Any]) -> bool:
    """Whether a lock file has another version than the one that is named; of a range or a branch only dbt can say."""
    for key, exact in _EXACT.items():
        wanted, chosen = str(named.get(key)), str(locked.get(key))
        if exact.fullmatch(wanted) and exact.fullmatch(chosen) and wanted != chosen:
            return True
    return False


def _folders(folder: Path) -> Iterator[Path]:
    """What dbt takes for packages (config/runtime.py, `_get_project_directories`)."""
    if folder.is_dir():
        yield from (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("__"))


def _mapping(path: Path) -> dict[str, Any] | None:
    """What a YAML file holds; None where it cannot be read."""
    try:
        loaded = load_yaml(path.read_text(encoding="utf-8"), last_counts=True)
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return loaded if isinstance(loaded, dict) else {}


def _list(loaded: Mapping[str, Any] | None, key: str) -> list[Any]:
    found = (loaded or {}).get(key)
    return found if isinstance(found, list) else []


def _lists_packages(path: Path) -> bool:
    loaded = _mapping(path)
    if loaded is None:
        return True  # Jinja, or a mistake: `dbt deps` renders the one and reports the other.
    return bool(loaded.get("packages") or loaded.get("projects"))
