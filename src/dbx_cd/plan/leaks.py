"""Staging leaks: what of production refers to staging, found in the catalog.

After a deferred build that is whatever dbt resolved to staging and what stays: a view's text, a foreign key, a mask.
`dbx_cd.plan.leak_prediction` says beforehand what will.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.functions import functions_of
from dbx_cd.delta.tables import Tables
from dbx_cd.plan.catalog_references import NOT_READ, Kind, Referring, Thing, Through, catalog_references
from dbx_cd.plan.existing import relations_of
from dbx_cd.relations import RelationName

_VERBS: Mapping[str, str] = {"foreign key": "refers to", "clone": "has files of"}


@dataclass(frozen=True)
class Leak:
    """An object of production that refers to staging."""

    relation: str
    """Production's object."""
    kind: Kind
    """What it is."""
    through: Through
    """By what of its own it refers to staging; `cannot be read` where it may."""
    path: tuple[str, ...]
    """The objects on the way, its own side first."""
    refers_to: str
    """Staging's object; or what cannot be read."""
    reason: str = ""
    """What else there is to say, as why it cannot be read."""

    @property
    def is_certain(self) -> bool:
        """Whether it refers to staging; else that cannot be told."""
        return self.through != "cannot be read"

    def __str__(self) -> str:
        path = f" through {', '.join(self.path)}" if self.path else ""
        reason = f": {self.reason}" if self.reason else ""
        if not self.is_certain:
            return f"{self.relation} may refer to staging, for {self.refers_to} cannot be read{path}{reason}"
        verb = _VERBS.get(self.through, "reads")
        return f"{self.relation} {verb} {self.refers_to}{path} ({self.through}){reason}"


@dataclass(frozen=True)
class StagingNames:
    """What is staging's."""

    relations: frozenset[str] = frozenset()
    """The relations that its nodes build and production's do not, by `RelationName.key`."""
    schemas: frozenset[str] = frozenset()
    """The schemas in which its nodes lie and none of production's, as `catalog.schema` in lower case."""
    functions: frozenset[str] = frozenset()
    """The functions that it has and production has not, by `RelationName.key`."""
    outside: frozenset[str] = frozenset()
    """Relations in its schemas that both environments read and neither builds."""

    @classmethod
    def of(cls, state: Manifest, target: Manifest) -> StagingNames:
        """What is staging's, by the manifest of its artifacts and one of the target's."""
        own, others = relations_of(state), relations_of(target)
        own_functions, other_functions = (functions_of(manifest.nodes.values()) for manifest in (state, target))
        schemas = {*map(_schema, own), *map(_schema, own_functions)}
        return cls(
            relations=_keys(own) - _keys(others),
            schemas=frozenset(schemas - {*map(_schema, others), *map(_schema, other_functions)}),
            functions=_keys(own_functions) - _keys(other_functions),
            outside=(_keys(_sources_of(state)) & _keys(_sources_of(target))) - _keys(own),
        )

    @property
    def catalogs(self) -> frozenset[str]:
        """The catalogs in which it has anything."""
        return frozenset(name.split(".")[0] for name in (*self.schemas, *self.functions, *self.relations))

    def has(self, name: RelationName) -> bool:
        """Whether a relation or function is staging's."""
        is_within = _schema(name) in self.schemas and name.key not in self.outside
        return name.key in self.relations or name.key in self.functions or is_within


def find_leaks(
    tables: Tables,
    relations: Sequence[RelationName],
    *,
    staging: StagingNames,
    functions: Sequence[RelationName] = (),
) -> tuple[Leak, ...]:
    """What of production refers to staging, through any number of objects, as the catalog has it now.

    Args:
        tables: the tables of a session.
        relations: production's relations.
        staging: what is staging's.
        functions: production's functions.

    Returns:
        Each object with each of staging's that it refers to, by the shortest way; and what cannot be read.

    Raises:
        SqlFailed: production's catalog cannot be asked.
    """
    found = catalog_references(tables, relations, functions=functions, ends_at=staging.has, catalogs=staging.catalogs)
    roots = [(Thing.of(r), str(r)) for r in relations]
    roots += [(Thing.of(f, is_function=True), str(f)) for f in functions]
    return tuple(dict.fromkeys(leak for root, name in roots for leak in _leaks_of(root, name, found, staging)))


def _leaks_of(root: Thing, name: str, found: Mapping[Thing, Referring], staging: StagingNames) -> Iterator[Leak]:
    """What one object refers to in staging."""
    kind, seen = found[root].kind, {root}
    waiting: deque[tuple[Thing, tuple[str, ...], Through | None]] = deque([(root, (), None)])
    while waiting:
        thing, path, first = waiting.popleft()
        for reference in found[thing].references:
            if thing != root and reference.through in NOT_READ:
                continue
            through, to = first or reference.through, reference.to
            if staging.has(to.name):
                yield Leak(name, kind, through, path, str(to), reference.reason)
            elif to in found and to not in seen and reference.through != "foreign key":
                seen.add(to)
                waiting.append((to, (*path, str(to)), through))
        for gap in found[thing].gaps:
            if thing == root or gap.through not in NOT_READ:
                between = path[:-1] if path[-1:] == (gap.about,) else path
                yield Leak(name, kind, "cannot be read", between, gap.about, gap.reason)


def _schema(name: RelationName) -> str:
    return f"{name.catalog}.{name.schema}".lower()


def _keys(names: Iterable[RelationName]) -> frozenset[str]:
    return frozenset(name.key for name in names)


def _sources_of(manifest: Manifest) -> Iterator[RelationName]:
    nodes = (n for n in manifest.nodes.values() if n.resource_type == "source")
    return (n.relation for n in nodes if n.relation is not None)
