"""What the catalog shows of the relations and functions that manifests name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.functions import functions_of
from dbx_cd.delta.tables import CatalogEntry, Function, Tables
from dbx_cd.relations import RelationName


def relations_of(*manifests: Manifest | None) -> list[RelationName]:
    """The relations that the nodes of manifests build, each once, sorted."""
    nodes = (n for m in manifests if m is not None for n in m.relations.values())
    return sorted({n.relation.key: n.relation for n in nodes if n.relation is not None}.values())


def existing_relations(
    tables: Tables, *manifests: Manifest | None, more: Sequence[RelationName] = ()
) -> Mapping[str, CatalogEntry]:
    """What the catalog shows of them, and of more relations, by `RelationName.key`, in a few queries a catalog.

    Raises:
        SqlFailed: a catalog cannot be asked.
    """
    return tables.listed([*relations_of(*manifests), *more])


def existing_functions(tables: Tables, manifest: Manifest) -> frozenset[str]:
    """The dbt functions of a manifest that exist, by `RelationName.key`; nothing is asked where it has none.

    Raises:
        SqlFailed: a catalog cannot be asked.
    """
    return frozenset(functions_there(tables, functions_of(manifest.nodes.values())))


def functions_there(tables: Tables, functions: Iterable[RelationName]) -> Mapping[str, Function]:
    """What the catalog knows of functions, by `RelationName.key`, a query a catalog.

    Raises:
        SqlFailed: a catalog cannot be asked.
    """
    names: dict[str, set[str]] = defaultdict(set)
    for name in functions:
        names[name.catalog].add(name.identifier)
    return {key: found for catalog, wanted in names.items() for key, found in tables.functions(catalog, wanted).items()}
