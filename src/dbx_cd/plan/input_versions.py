"""What the inputs of a build are now, and whether they have new data since they were read last."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from dbx_cd.artifacts.built_inputs import InputVersion
from dbx_cd.dbt.doubts import doubts_of
from dbx_cd.delta.tables import Tables
from dbx_cd.plan.catalog_references import NOT_READ, Referring, Thing, catalog_references
from dbx_cd.plan.relation_versions import RelationVersions
from dbx_cd.relations import RelationName

_NOT_READ = (*NOT_READ, "clone")
"""What is not read with a table: a clone keeps the rows that it was made with."""


class InputVersions:
    """Inputs as they are now: a query a table, and for views a few queries a level.

    Args:
        tables: the tables of a session.
        relations: what the nodes of a build read outside of it.

    Raises:
        SqlFailed: the catalog cannot be asked.
    """

    def __init__(self, tables: Tables, relations: Sequence[RelationName]) -> None:
        unique = {r.key: r for r in relations}
        entries = tables.listed(list(unique.values()))
        views = [r for key, r in unique.items() if key in entries and entries[key].is_query]
        self._below = {r.key: self._read_by(r, catalog_references(tables, [r], ends_at=_nowhere)) for r in views}
        below = {t.name.key: t.name for things in self._below.values() for t in things if not t.is_function}
        entries = {**tables.listed(list(below.values())), **entries}
        unclear = [key for key, things in self._below.items() if any(t.is_function for t in things)]
        unclear += [key for key, entry in entries.items() if doubts_of(entry.view_text or "")]
        self._now = RelationVersions(tables, list((below | unique).values()), entries=entries, unclear=unclear)

    def of(self, relations: Sequence[RelationName], *, above: Collection[str] = ()) -> tuple[InputVersion, ...]:
        """What these are now, and what is below those of them that are views; each once, sorted.

        Args:
            relations: the relations.
            above: the keys of what is built above their reader: it is built with these, and they are no inputs.
        """
        keys = {r.key for r in relations}
        keys |= {t.name.key for key in set(keys) for t in self._below.get(key, ()) if not t.is_function}
        return tuple(self._now.of(key) for key in sorted(keys) if key not in above)

    def new_since(self, recorded: Sequence[InputVersion], now: Sequence[InputVersion]) -> tuple[str, ...]:
        """Why what is read now is not what was read then, in words; nothing where it is.

        Args:
            recorded: what was read then.
            now: what is read now, by `of`.
        """
        return tuple(self._new_since({one.relation: one for one in recorded}, now))

    @staticmethod
    def other_than(recorded: Sequence[InputVersion], now: Sequence[InputVersion]) -> tuple[str, ...]:
        """Which relations are read now and were not then, in words; their data is not looked at."""
        then = {one.relation for one in recorded}
        return tuple(f"it did not read {one.relation}" for one in now if one.relation not in then)

    def _new_since(self, then: Mapping[str, InputVersion], now: Sequence[InputVersion]) -> Iterator[str]:
        for one in now:
            before = then.get(one.relation)
            if before is None:
                yield f"it did not read {one.relation}"
            elif not (before.is_known and one.is_known):
                yield f"{one.relation} has no version to tell new data by"
            elif not self._now.is_as(before):
                yield f"new data in {one.relation}"
        yield from (f"it reads {key} no more" for key in sorted(then.keys() - {one.relation for one in now}))

    @staticmethod
    def _read_by(view: RelationName, found: Mapping[Thing, Referring]) -> tuple[Thing, ...]:
        """What a view reads, through any number of views; a function among it where something cannot be told."""
        reached: set[Thing] = set()
        waiting = [Thing.of(view)]
        while waiting:
            referring = found.get(waiting.pop())
            if referring is None:
                continue
            if any(gap.through not in _NOT_READ for gap in referring.gaps):
                reached.add(Thing(view, is_function=True))
            new = {r.to for r in referring.references if r.through not in _NOT_READ} - reached
            reached |= new
            waiting += new
        return tuple(sorted(reached, key=lambda t: (t.name, t.is_function)))


def _nowhere(_name: RelationName) -> bool:
    return False
