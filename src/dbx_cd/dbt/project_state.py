"""A project as one build had it: the manifest, the files it was made of, and the variables it was given."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.packages import install_path, package_folders, project_settings, variables_file


@dataclass(frozen=True)
class ProjectState:
    """One of the two states that are compared. What is not known of it is not compared."""

    manifest: Manifest
    """The manifest."""
    folder: Path | None = None
    """The folder of its files, with the installed packages; None where nobody has them any more."""
    vars: Mapping[str, Any] = field(default_factory=dict)
    """The variables that dbt was given, as `--vars`."""
    adapter_version: str | None = None
    """The version of the adapter, which a manifest does not say."""

    @cached_property
    def settings(self) -> Mapping[str, Mapping[str, Any]]:
        """What `dbt_project.yml` sets, by package; the project's own by its name."""
        if self.folder is None:
            return {}
        found = map(_settings, (*package_folders(self.folder), self.folder))
        return {str(settings.get("name")): settings for settings in found}

    def variables(self, package: str) -> Mapping[str, str]:
        """The values, as JSON, that `var` has in a package: dbt's order is `--vars`, the project's, the package's own.

        As `ConfiguredVar` of dbt-core 1.11 (context/configured.py); what a package's name scopes comes first.
        """
        values: dict[str, Any] = {}
        for owner in dict.fromkeys((package, self.manifest.project_name)):
            given = (self.settings.get(owner) or {}).get("vars")
            given = given if isinstance(given, dict) else {}
            scoped = given.get(package)
            values |= given | (scoped if isinstance(scoped, dict) else {})
        return {str(name): _json(value) for name, value in (values | dict(self.vars)).items()}

    def files(self, node: Node) -> tuple[bytes | None, ...]:
        """The content of the files that a node is written in: its own, and that of its properties."""
        package, _, below = str(node.raw.get("patch_path") or "").partition("://")
        return (self.file(node), *([self._file(package, below)] if below else []))

    def set_for(self, node: Node) -> tuple[str, ...]:
        """What `dbt_project.yml` sets, of a node's package and of the project; variables are compared by themselves."""
        owners = dict.fromkeys((node.package, self.manifest.project_name))
        settings = ((self.settings.get(owner) or {}).items() for owner in owners)
        return tuple(_json({key: value for key, value in items if key not in _SAYS_NOTHING}) for items in settings)

    def file(self, node: Node) -> bytes | None:
        """The content of the file that defines a node; None where it is not there."""
        return self._file(node.package, node.path)

    def _file(self, package: str, path: str) -> bytes | None:
        folder = self._folder_of(package)
        try:
            return None if folder is None else (folder / path).read_bytes()
        except OSError:
            return None

    def _folder_of(self, package: str) -> Path | None:
        if self.folder is None or package == self.manifest.project_name:
            return self.folder
        return self.folder / install_path(self.folder) / package


def _settings(folder: Path) -> Mapping[str, Any]:
    """Those of one package; dbt 1.12 also takes the variables from a file of their own, and never from both."""
    settings = project_settings(folder)
    return settings if settings.get("vars") else settings | {"vars": variables_file(folder)}


_SAYS_NOTHING = ("vars", "version")
_OF_ALL_NODES = ("dispatch", "flags", "quoting")


def changed_variables(old: ProjectState, new: ProjectState, package: str) -> frozenset[str]:
    """The variables that have another value in a package, or that only one of the states has."""
    if old.folder is None or new.folder is None:
        a, b = (replace(state, folder=None).variables(package) for state in (old, new))
    else:
        a, b = old.variables(package), new.variables(package)
    return frozenset(name for name in {*a, *b} if a.get(name) != b.get(name))


def changed_settings(old: ProjectState, new: ProjectState) -> tuple[str, ...]:
    """What `dbt_project.yml` sets otherwise of how dbt builds any node; nothing where one of the two is not there."""
    if old.folder is None or new.folder is None:
        return ()
    a, b = (state.settings.get(state.manifest.project_name) or {} for state in (old, new))
    return tuple(key for key in _OF_ALL_NODES if _json(a.get(key)) != _json(b.get(key)))


def is_written_alike(old: tuple[ProjectState, Node], new: tuple[ProjectState, Node]) -> bool | None:
    """Whether all that is written of a node is the same in two states; None where the files are not there."""
    if old[0].folder is None or new[0].folder is None:
        return None
    a, b = ((state.files(node), state.set_for(node)) for state, node in (old, new))
    return a == b and None not in a[0]


def strings(value: Any) -> Iterator[str]:
    """Every text in a JSON value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner)


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
