"""Where a project keeps things: by its settings, its profile, dbt's parse for each target, and its bundle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import TypeVar

from dbx_cd.config import CdConfig
from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.relations import RelationName
from dbx_cd.setup.grants import Places, Schema, Volume

Name = TypeVar("Name", str, tuple[str, str], tuple[str, str, str])

_IN_A_SCHEMA = ("model", "seed", "snapshot", "function")


def places_of(
    config: CdConfig,
    *,
    catalogs: Mapping[str, str],
    manifests: Mapping[str, Manifest] | None = None,
    packages: Iterable[str] = (),
) -> Places:
    """The places of a project.

    Args:
        config: its settings.
        catalogs: the catalog of each target, as the profile has it.
        manifests: dbt's parse for each target: `generate_database_name`, configs and sources name further catalogs.
        packages: files and folders of what is installed; those that are on no volume are passed over.
    """
    log = RelationName.parse(config.release_log)
    artifacts = volume_of(config.artifacts_root)
    manifests = manifests or {}
    built = {name: [catalogs[name], *_catalogs(manifests.get(name))] for name in config.targets if name in catalogs}
    return Places(
        log=(log.catalog, log.schema, log.identifier),
        artifacts=artifacts,
        targets=_each_once(name for names in built.values() for name in names),
        gated=_each_once(name for target, names in built.items() if config.targets[target].gate for name in names),
        open=_each_once(name for target, names in built.items() if not config.targets[target].gate for name in names),
        sources=_each_once(_sources(manifests.values())),
        packages=_each_once(volume for path in packages if (volume := volume_of(path)) is not None),
    )


def with_made_schemas(places: Places, config: CdConfig, manifests: Mapping[str, Manifest]) -> Places:
    """The places where the administrator makes the schemas of the targets, so that dbt need not."""
    found = [
        (target, node.resource_type, schema)
        for target, manifest in manifests.items()
        for node in manifest.nodes.values()
        if (schema := _schema(node)) is not None
    ]
    return replace(
        places,
        made_schemas=_each_once(schema for _, _, schema in found),
        made_for_functions=_each_once(schema for _, kind, schema in found if kind == "function"),
        made_gated=_each_once(schema for target, _, schema in found if config.targets[target].gate),
    )


def volume_of(path: str) -> Volume | None:
    """The volume that a path is on; None for one that is on none."""
    parts = PurePosixPath(path).parts
    return (parts[2], parts[3], parts[4]) if parts[:2] == ("/", "Volumes") and len(parts) > 4 else None


def _catalogs(manifest: Manifest | None) -> Iterator[str]:
    """The catalogs in which dbt makes something, or looks for it."""
    for node in manifest.nodes.values() if manifest is not None else ():
        name = str(node.raw.get("database") or "")
        if (
            name
            and node.resource_type != "source"
            and (node.resource_type in _IN_A_SCHEMA or node.relation is not None)
        ):
            yield name


def _schema(node: Node) -> Schema | None:
    """The schema that dbt needs for a node (dbt-core 1.11, `get_model_schemas` in task/runnable.py); None for no one.

    Of functions dbt does not make the schema.
    """
    kept_failures = node.resource_type == "test" and node.relation is not None
    catalog, schema = str(node.raw.get("database") or ""), str(node.raw.get("schema") or "")
    if not (catalog and schema) or node.is_ephemeral or not (node.resource_type in _IN_A_SCHEMA or kept_failures):
        return None
    return catalog, schema


def _sources(manifests: Iterable[Manifest]) -> Iterator[Schema]:
    """Catalog and schema of the tables that the project reads and does not build itself."""
    manifests = list(manifests)
    built = {key for manifest in manifests for key in manifest.relations}
    for manifest in manifests:
        for node in manifest.nodes.values():
            if node.resource_type == "source" and node.relation is not None and node.relation.key not in built:
                yield node.relation.catalog, node.relation.schema


def _each_once(names: Iterable[Name]) -> tuple[Name, ...]:
    """In the order in which they come; Unity Catalog ignores case in names."""
    found: dict[object, Name] = {}
    for name in names:
        found.setdefault(name.lower() if isinstance(name, str) else tuple(part.lower() for part in name), name)
    return tuple(found.values())
