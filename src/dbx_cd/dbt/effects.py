"""What a dbt build does to relations, judged from its manifest: which ones it may touch, and which it would DROP."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.relations import RelationName

_READERS = ("model", "snapshot", "exposure")
TABLES = ("table", "incremental", "seed", "snapshot")
MATERIALIZATIONS = (*TABLES, "view", "materialized_view", "streaming_table", "metric_view", "clone")
"""Those of dbt-databricks 1.12: what they build the catalog lists. Of a custom one nobody knows."""
REPLACEABLE_FORMATS = ("delta", "iceberg")


@dataclass(frozen=True)
class BuildEffects:
    """What a build means for relations that exist, by `RelationName.key`."""

    replaced: Mapping[str, str] = field(default_factory=dict)
    """What takes the place of a table that the build drops, in words such as `a view`."""
    properties: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The table properties that the project sets, of tables that the build replaces whole: all others are reset."""
    altered: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The table properties that the project sets, of tables that the build goes on with: all others stay."""
    readers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The nodes that read a relation."""

    @classmethod
    def of(cls, manifest: Manifest, selected: Collection[str], *, full_refresh: bool = False) -> BuildEffects:
        """What a build of these unique ids means, by the names that the manifest gives the relations."""
        return cls(
            replaced=table_replacements(manifest, selected, full_refresh=full_refresh),
            properties=replaced_properties(manifest, selected, full_refresh=full_refresh),
            altered=altered_properties(manifest, selected, full_refresh=full_refresh),
            readers=known_readers(manifest),
        )

    def dropping(self, relations: Iterable[RelationName]) -> BuildEffects:
        """These effects, of a deploy that drops some more relations."""
        return replace(self, replaced={**self.replaced, **{r.key: "good, as an orphan" for r in relations}})

    def properties_after(self, key: str, before: Mapping[str, str]) -> Mapping[str, str] | None:
        """What the build makes of a table's properties; None where it leaves them."""
        if key in self.altered:
            return {**before, **self.altered[key]}
        return self.properties.get(key)


def affected_relations(manifest: Manifest, selected: Iterable[str]) -> list[RelationName]:
    """The relations a build may touch: those of the selected nodes, and views that read them directly or through views.

    A view over a changed table is not built, but bringing the table back can break it.
    """
    chosen = {n.unique_id for n in manifest.select(selected) if n.builds_relation}
    reached = set(chosen)
    views = [n for n in manifest.nodes.values() if n.builds_relation and n.materialized == "view"]
    while more := {v.unique_id for v in views if v.unique_id not in reached and reached & set(v.depends_on)}:
        reached |= more
    return sorted(n.relation for n in manifest.select(reached) if n.relation is not None)


def table_replacements(manifest: Manifest, selected: Iterable[str], *, full_refresh: bool = False) -> Mapping[str, str]:
    """What a build puts in the place of an existing Delta table after it has dropped that, by `RelationName.key`.

    dbt-databricks keeps a table's history by CREATE OR REPLACE where both the old and the new one are Delta (or
    Iceberg) tables, and drops it otherwise (read in the macros of 1.12.7: `table.sql`, `view.sql`, `incremental.sql`,
    `seeds/helpers.sql`, `relations/replace.sql`). A table that is dropped takes its history along.

    Args:
        manifest: the manifest of the build, for the target it builds.
        selected: the unique ids that it builds.
        full_refresh: whether it rebuilds incremental models.

    Returns:
        Words for people, such as "a view"; relations that keep their history are left out.
    """
    found = {}
    for node in manifest.select(selected):
        if node.builds_relation and node.relation is not None:
            replacement = _replacement(node, full_refresh=full_refresh)
            if replacement is not None:
                found[node.relation.key] = replacement
    return found


def replaced_properties(
    manifest: Manifest, selected: Iterable[str], *, full_refresh: bool = False
) -> Mapping[str, Mapping[str, str]]:
    """The table properties that tables have after a build replaces them whole, by `RelationName.key`.

    CREATE OR REPLACE TABLE keeps none of the properties that somebody set by hand (measured): what the project's
    `tblproperties` do not say is Delta's default again.
    """
    return _properties(manifest, selected, whole=True, full_refresh=full_refresh)


def altered_properties(
    manifest: Manifest, selected: Iterable[str], *, full_refresh: bool = False
) -> Mapping[str, Mapping[str, str]]:
    """The table properties that a build sets on tables that it goes on with, by `RelationName.key`.

    dbt-databricks sets the project's `tblproperties` on existing incremental tables (read in `incremental.sql` 1.12.7).
    """
    return _properties(manifest, selected, whole=False, full_refresh=full_refresh)


def _properties(
    manifest: Manifest, selected: Iterable[str], *, whole: bool, full_refresh: bool
) -> Mapping[str, Mapping[str, str]]:
    found = {}
    for node in manifest.select(selected):
        if kind_of(node) not in TABLES or not node.builds_relation or node.relation is None:
            continue
        if is_replaced_whole(node, full_refresh=full_refresh) == whole:
            given = node.config.get("tblproperties") or {}
            found[node.relation.key] = {str(k): str(v) for k, v in given.items()}
    return found


def known_readers(manifest: Manifest) -> Mapping[str, tuple[str, ...]]:
    """The models, snapshots and exposures that read each relation directly, as dbt knows them."""
    found: dict[str, list[str]] = {}
    for node in manifest.nodes.values():
        if node.resource_type in _READERS:
            for read in manifest.select(node.depends_on):
                if read.relation is not None:
                    found.setdefault(read.relation.key, []).append(f"{node.resource_type} {node.name}")
    return {key: tuple(sorted(set(names))) for key, names in found.items()}


def _replacement(node: Node, *, full_refresh: bool) -> str | None:
    kind = kind_of(node)
    if kind not in TABLES:
        return f"a {kind.replace('_', ' ')}"
    if not is_replaced_whole(node, full_refresh=full_refresh):
        return None
    if kind != "incremental" and node.config.get("use_safer_relation_operations"):
        return "a table that takes its name (use_safer_relation_operations)"
    made = file_format(node.config)
    return None if made in REPLACEABLE_FORMATS else f"a {made} table"


def kind_of(node: Node) -> str:
    """What a node becomes: a seed or snapshot by what it is, a model by its materialization."""
    return node.resource_type if node.resource_type in TABLES else node.materialized


def is_replaced_whole(node: Node, *, full_refresh: bool) -> bool:
    """Whether a build makes the table anew: always, or where incremental models are rebuilt.

    A model's own `full_refresh` wins over the command's flag (dbt's `should_full_refresh`).
    """
    kind, own = kind_of(node), node.config.get("full_refresh")
    return kind in ("table", "seed") or (kind == "incremental" and bool(full_refresh if own is None else own))


def file_format(config: Mapping[str, Any]) -> str:
    """The format of a table with this config, in lower case."""
    # An Iceberg table is a Delta table with a second face, or a managed one, by a flag the manifest does not hold.
    iceberg = config.get("table_format") == "iceberg"
    return "delta" if iceberg else str(config.get("file_format") or "delta").lower()
