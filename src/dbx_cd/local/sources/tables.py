"""Which tables a project's sources are, in all of its targets, and which file in a folder is for which of them.

A file is named `SOURCE.TABLE.EXT`, by the names that `source()` takes: it is for that source's table in every target.
Or it is named `CATALOG.SCHEMA.TABLE.EXT`, as the table is: it is for that table alone. Case does not matter.
Names that begin with `.` or `_`, and `README` files, are passed over.
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.errors import ConfigError
from dbx_cd.relations import RelationName

FORMATS = {"csv": "csv", "parquet": "parquet", "json": "json", "jsonl": "json", "ndjson": "json"}
"""What files are read as, by their extension."""


@dataclass(frozen=True)
class SourceTable:
    """A table that a project reads as a source."""

    relation: RelationName
    """Where it is."""
    node: Node
    """The source, as one of the project's manifests has it."""
    built_by: str | None = None
    """The model, seed or snapshot of the project that makes the same table."""
    file: Path | None = None
    """The file that holds its rows."""

    @property
    def short(self) -> str:
        """The name by which `source()` finds it."""
        return f"{self.node.raw.get('source_name')}.{self.node.name}"

    @property
    def declared_in(self) -> str:
        """The file that declares it, relative to the project."""
        return self.node.path


def source_tables(manifests: Mapping[str, Manifest]) -> list[SourceTable]:
    """The tables of all sources, in the order of the manifests, each once."""
    built = {key: node for manifest in manifests.values() for key, node in manifest.relations.items()}
    found: dict[str, SourceTable] = {}
    for manifest in manifests.values():
        for node in manifest.nodes.values():
            relation = node.relation
            if node.resource_type != "source" or relation is None:
                continue
            own = built.get(relation.key)
            table = SourceTable(relation, node, own.unique_id if own is not None else None)
            before = found.setdefault(relation.key, table)
            if node.columns and not before.node.columns:
                found[relation.key] = replace(before, node=node)  # declared twice, once with columns
    return list(found.values())


def with_files(tables: Iterable[SourceTable], folder: Path, manifests: Mapping[str, Manifest]) -> list[SourceTable]:
    """Give each table its file.

    Args:
        tables: the tables of the project's sources.
        folder: the folder that holds the files.
        manifests: the project's manifests, by target.

    Raises:
        ConfigError: there is no such folder; a file's name is no source's or may mean several tables; or two files are
            for one table.
    """
    by_key = {table.relation.key: table for table in tables}
    names = _names(manifests)
    for path in _files(folder):
        for key in _meant(path, by_key, names):
            other = by_key[key].file
            if other is not None:
                raise ConfigError(
                    f"{path.name} and {other.name} are both for {by_key[key].relation}",
                    where=folder,
                    next_step="remove one of them",
                )
            by_key[key] = replace(by_key[key], file=path)
    return list(by_key.values())


def _names(manifests: Mapping[str, Manifest]) -> dict[str, list[set[str]]]:
    """What `SOURCE.TABLE` means in each target: the keys of relations, several where several packages have it."""
    found: dict[str, list[set[str]]] = defaultdict(list)
    for manifest in manifests.values():
        in_target: dict[str, set[str]] = defaultdict(set)
        for node in manifest.nodes.values():
            if node.resource_type == "source" and node.relation is not None:
                in_target[f"{node.raw.get('source_name')}.{node.name}".lower()].add(node.relation.key)
        for name, keys in in_target.items():
            found[name].append(keys)
    return found


def _meant(path: Path, by_key: Mapping[str, SourceTable], names: Mapping[str, list[set[str]]]) -> list[str]:
    stem = path.name.rpartition(".")[0].lower()
    if stem in by_key:
        return [stem]
    for keys in names.get(stem, ()):
        if len(keys) > 1:
            several = " or ".join(str(by_key[key].relation) for key in sorted(keys))
            raise ConfigError(
                f"{path.name} may be for {several}: sources of several packages have that name",
                where=path.parent,
                next_step="name it as the table is, CATALOG.SCHEMA.TABLE",
            )
    meant = {key for keys in names.get(stem, ()) for key in keys}
    if not meant:
        raise _unknown(path, [*names, *by_key])
    return sorted(meant)


def _files(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as exc:
        raise ConfigError(
            f"the folder of source files cannot be read: {exc.strerror}", where=folder, next_step="give another folder"
        ) from exc
    shown = [path for path in entries if not path.name.startswith((".", "_")) and path.stem.upper() != "README"]
    for path in shown:
        extension = path.suffix.lstrip(".").lower()
        # Spark writes a Parquet file as a folder of parts.
        if extension not in FORMATS or (path.is_dir() and extension != "parquet"):
            raise ConfigError(
                f"{path.name} is no csv, parquet or json file",
                where=folder,
                next_step="name it SOURCE.TABLE.csv, .parquet or .json; or remove it, or let its name begin with `_`",
            )
    return shown


def _unknown(path: Path, names: Iterable[str]) -> ConfigError:
    stem = path.name.rpartition(".")[0]
    known = sorted(set(names))
    near = difflib.get_close_matches(stem.lower(), known, n=3, cutoff=0.5) or known[:5]
    return ConfigError(
        f"{path.name} is named like no source of the project",
        where=path.parent,
        next_step=f"name it by one of {', '.join(near)}" if near else "the project has no sources: remove it",
    )
