"""Which paths of a project are dbt's own, and what of the asset bundle lies between them and is none of dbt's."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator
from pathlib import Path

from dbx_cd.dbt.packages import install_path, project_settings

# Every `...-paths` of dbt_project.yml is read; these also where it names none (dbt-core 1.11, config/project.py).
_PATHS = {
    "model-paths": "models", "seed-paths": "seeds", "macro-paths": "macros", "snapshot-paths": "snapshots",
    "analysis-paths": "analyses", "test-paths": "tests", "function-paths": "functions",
}  # fmt: skip
_BUNDLE_FILE = "databricks.yml"
# What `init` writes at the root of a repository, and what the Databricks CLI keeps there.
_OF_THE_BUNDLE = (_BUNDLE_FILE, ".databricks", ".github", "notebooks", "requirements", "resources")
_OF_DBT = ("dbt_project.yml", "profiles.yml")


def written_paths(project: Path) -> Iterator[tuple[str, str]]:
    """The paths that dbt reads of a project, as its `dbt_project.yml` writes them, each with its setting."""
    settings = project_settings(project)
    for setting in sorted({*_PATHS, *(key for key in map(str, settings) if key.endswith("-paths"))}):
        given = settings.get(setting, _PATHS.get(setting))
        for written in given if isinstance(given, list) else [given]:
            if written:
                yield setting, str(written)


def of_the_bundle(project: Path, *, kept: Collection[str] = ()) -> frozenset[str]:
    """Names right in a project that are the asset bundle's and not dbt's: neither copied nor archived.

    Only where the project lies at the root of its bundle, and none in which something of dbt's lies: a path of its own,
    the folder of installed packages, a local package, or a `profiles.yml`.

    Args:
        project: the folder with `dbt_project.yml`.
        kept: further paths that stay, relative to the project.
    """
    if not (project / _BUNDLE_FILE).is_file():
        return frozenset()
    written = [path for _, path in written_paths(project)]
    paths = [posixpath.normpath(path) for path in (*written, install_path(project), *kept)]
    if any("{" in path or path == "." for path in paths):  # anything may be below what dbt renders
        return frozenset()
    tops = {path.split("/")[0] for path in paths}
    return frozenset(name for name in _OF_THE_BUNDLE if name not in tops and not _holds_dbt_s(project / name))


def _holds_dbt_s(folder: Path) -> bool:
    return folder.is_dir() and any(next(folder.rglob(name), None) is not None for name in _OF_DBT)
