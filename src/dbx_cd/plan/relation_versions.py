"""What versions relations and functions have now, and whether these are still the ones that were recorded of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache

from dbx_cd.artifacts.built_inputs import InputVersion
from dbx_cd.delta.history import History
from dbx_cd.delta.sql import THREADS, in_parallel
from dbx_cd.delta.tables import CatalogEntry, Tables
from dbx_cd.digest import digest
from dbx_cd.errors import SqlFailed
from dbx_cd.plan.existing import functions_there
from dbx_cd.relations import RelationName


class RelationVersions:
    """Relations as they are now: a query a table, several at a time.

    Args:
        tables: the tables of a session.
        relations: the relations.
        entries: what the catalog has of them, by key; by default it is asked.
        unclear: the keys of views whose text does not tell all that they read.

    Raises:
        SqlFailed: the catalog cannot be asked.
    """

    def __init__(
        self,
        tables: Tables,
        relations: Sequence[RelationName],
        *,
        entries: Mapping[str, CatalogEntry] | None = None,
        unclear: Collection[str] = (),
    ) -> None:
        self._tables = tables
        self._unclear = frozenset(unclear)
        self._names = {r.key: r for r in relations}
        named = list(self._names.values())
        there = tables.listed(named) if entries is None else entries
        seen = in_parallel(lambda r: self._version(r, there.get(r.key)), named, threads=THREADS)
        self._now = {one.relation: one for one in seen}
        self._history = cache(self._whole_history)

    def of(self, key: str) -> InputVersion:
        """What one of the relations is now."""
        return self._now[key]

    def is_as(self, then: InputVersion) -> bool:
        """Whether a relation has the rows, or a view the text, that were recorded of it; a known version is needed."""
        now = self._now[then.relation]
        if (then.version, then.mark) == (now.version, now.mark) and then.at == now.at:
            return True
        if then.version is None or now.version is None:
            return False
        history = self._history(now.relation)
        if history is None or then.version not in history.commits:
            return False
        return history.has(then.version, at=then.at, mark=then.mark) and not history.changes_since(then.version)

    def _whole_history(self, key: str) -> History | None:
        try:
            return self._tables.history(self._names[key])
        except SqlFailed:
            return None

    def _version(self, relation: RelationName, entry: CatalogEntry | None) -> InputVersion:
        if entry is None:
            return InputVersion(relation.key)
        if entry.is_query:
            # Only a plain view is read by its query each time; the rows of others are as old as their last refresh.
            is_plain = entry.table_type.upper() == "VIEW" and entry.view_text is not None
            is_clear = is_plain and relation.key not in self._unclear
            return InputVersion(relation.key, mark=digest(entry.view_text) if is_clear else "")
        if entry.kind != "table":
            return InputVersion(relation.key)
        try:
            history = self._tables.history(relation, limit=1)
        except SqlFailed:
            return InputVersion(relation.key)
        newest = history.commits[history.version]
        return InputVersion(relation.key, newest.version, newest.at, newest.mark)


def function_versions(tables: Tables, functions: Sequence[RelationName]) -> Mapping[str, InputVersion]:
    """What functions are now, by key: a digest of what is written in them, where this user may read that.

    Raises:
        SqlFailed: a catalog cannot be asked.
    """
    found = functions_there(tables, functions)
    marks = {key: "" if f.body is None else digest([f.language, f.body]) for key, f in found.items()}
    return {name.key: InputVersion(name.key, mark=marks.get(name.key, "")) for name in functions}
