"""What the objects of a catalog refer to: view texts, keys, defaults, clones, masks, filters, functions' bodies.

A few queries a catalog for each level of views; one more for a view whose names are not whole, and for a clone. What
cannot be read is a gap, and never nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from dbx_cd.delta.references import References, completed, references
from dbx_cd.delta.sql import THREADS, in_parallel
from dbx_cd.delta.sql_names import names_in
from dbx_cd.delta.tables import CatalogEntry, CatalogSettings, Function, Tables
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName, split_name

Through = Literal[
    "view text", "foreign key", "default", "clone", "column mask", "row filter", "function", "cannot be read"
]
Kind = Literal["view", "table", "function"]
NOT_READ = ("foreign key", "default")
"""What whoever reads a table does not read with it."""

_NOT_PARSED = "the text could not be parsed, so every name in it counts"


@dataclass(frozen=True)
class Thing:
    """A relation or a function."""

    name: RelationName
    """Its name, in lower case: the catalog ignores case."""
    is_function: bool = False
    """Which of them."""

    @classmethod
    def of(cls, name: RelationName, *, is_function: bool = False) -> Thing:
        """A relation or function of that name, however it is written."""
        return cls(RelationName(name.catalog.lower(), name.schema.lower(), name.identifier.lower()), is_function)

    def __str__(self) -> str:
        return str(self.name)


@dataclass(frozen=True)
class Reference:
    """That something refers to another thing."""

    through: Through
    """By what."""
    to: Thing
    """The other thing."""
    reason: str = ""
    """What else there is to say."""


@dataclass(frozen=True)
class Gap:
    """What something refers to and nobody can tell."""

    about: str
    """What it is about."""
    reason: str
    """Why it cannot be told."""
    through: Through = "view text"
    """By what it refers to it."""


@dataclass
class Referring:
    """One thing, and what it refers to."""

    kind: Kind
    """What it is."""
    references: list[Reference] = field(default_factory=list)
    """What it refers to."""
    gaps: list[Gap] = field(default_factory=list)
    """What of that cannot be told."""


def catalog_references(
    tables: Tables,
    relations: Sequence[RelationName],
    *,
    functions: Sequence[RelationName] = (),
    ends_at: Callable[[RelationName], bool],
    catalogs: Collection[str] = (),
) -> Mapping[Thing, Referring]:
    """What relations and functions refer to, and what that refers to in turn.

    Args:
        tables: the tables of a session.
        relations: the relations to begin with. Of them alone keys, defaults, masks and filters are asked for.
        functions: the functions to begin with.
        ends_at: whether a name is of interest itself, so that what it refers to is not.
        catalogs: where to look for functions that a text calls by a name of one part, besides the relations' own.

    Raises:
        SqlFailed: the catalog of the relations to begin with cannot be asked for what it keeps of tables.
    """
    given = {r.key for r in relations}
    own = {r.catalog.lower() for r in (*relations, *functions)}
    search = _Search(tables, given, ends_at, sorted(own | {c.lower() for c in catalogs}))
    waiting = [Thing.of(r) for r in relations] + [Thing.of(f, is_function=True) for f in functions]
    while waiting:
        search.read(waiting)
        named = {reference.to for thing in waiting for reference in search.found[thing].references}
        open_ends = (t for t in named if t not in search.found and not ends_at(t.name) and not _is_system(t.name))
        waiting = sorted(open_ends, key=lambda t: (t.name, t.is_function))
    return search.found


@dataclass
class _Search:
    tables: Tables
    given: Collection[str]
    ends_at: Callable[[RelationName], bool]
    catalogs: Sequence[str]
    found: dict[Thing, Referring] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    words: set[str] = field(default_factory=set)
    asked: set[tuple[str, str]] = field(default_factory=set)

    def read(self, things: Sequence[Thing]) -> None:
        """Find out what these refer to."""
        relations = [t for t in things if not t.is_function]
        entries = self._entries(relations)
        there = [t for t in relations if t in entries]
        for thing in there:
            self.found[thing] = Referring("view" if entries[thing].is_query else "table")
        self._read_texts({t: entries[t] for t in there if entries[t].view_text is not None})
        for thing in there:
            self._read_entry(thing, entries[thing])
        self._read_settings([t for t in there if t.name.key in self.given and entries[t].kind != "missing"], entries)
        self._read_functions([t for t in things if t.is_function])

    def _entries(self, relations: Sequence[Thing]) -> dict[Thing, CatalogEntry]:
        """What the catalogs say of each; where they refuse, each half is asked by itself, down to who is refused."""
        try:
            entries = self.tables.entries([t.name for t in relations])
        except SqlFailed as exc:
            if len(relations) == 1:
                (refused,) = relations
                self.found[refused] = Referring("table", gaps=[Gap(str(refused), exc.what)])
                return {}
            half = len(relations) // 2
            return self._entries(relations[:half]) | self._entries(relations[half:])
        return {t: entries[t.name.key] for t in relations}

    def _read_texts(self, views: Mapping[Thing, CatalogEntry]) -> None:
        texts = {thing: references(entry.view_text or "") for thing, entry in views.items()}
        self._ask({word for named in texts.values() for word in named.called}, self.catalogs)
        # Where names are whole nobody needs to know in which schema the view is read.
        partly = [t for t, named in texts.items() if named.unclear or named.called & self.words]
        namespaces = dict(zip(partly, in_parallel(self._namespace, partly, threads=THREADS), strict=True))
        for thing, entry in views.items():
            namespace = namespaces.get(thing)
            named = references(entry.view_text or "", namespace=namespace) if namespace else texts[thing]
            self._add(thing, named, "view text", namespace)

    def _namespace(self, view: Thing) -> Sequence[str] | None:
        try:
            return self.tables.view_reading(view.name).namespace
        except SqlFailed:
            return None

    def _add(self, thing: Thing, named: References, through: Through, namespace: Sequence[str] | None) -> None:
        """Take what a text of a thing names."""
        referring, reason = self.found[thing], _NOT_PARSED if named.by_tokens else ""
        local = (completed((word,), namespace) for word in sorted(named.called))
        called = [*named.functions, *(name for name in local if name is not None and name.key in self.functions)]
        by_call: Through = "function" if through == "view text" else through
        referring.references += [Reference(through, Thing.of(r), reason) for r in named.relations]
        referring.references += [Reference(by_call, Thing.of(f, is_function=True), reason) for f in called]
        referring.gaps += [Gap(path, "its files are read by their path", through) for path in named.paths]
        referring.gaps += [Gap(name, "the text alone does not tell what it means", through) for name in named.unclear]

    def _read_entry(self, thing: Thing, entry: CatalogEntry) -> None:
        referring = self.found[thing]
        if entry.is_query and entry.view_text is None:
            referring.gaps.append(Gap(str(thing), "its text is not shown to this user, who does not own it"))
        if entry.is_shallow_clone:
            self._read_clone(thing)
        if thing.name.key in self.given:
            for expression in entry.defaults.values():
                named = references(expression, namespace=_schema(thing))
                self._ask(named.called, [thing.name.catalog])
                self._add(thing, named, "default", _schema(thing))

    def _read_clone(self, thing: Thing) -> None:
        """A shallow clone says in its history what it was made from last (Delta's documentation of operations)."""
        referring = self.found[thing]
        try:
            commits = self.tables.history(thing.name).commits.values()
        except SqlFailed as exc:
            referring.gaps.append(Gap(f"what {thing} was cloned from", exc.what, "clone"))
            return
        sources = (commit.parameters.get("source", "") for commit in commits if commit.operation == "CLONE")
        parts = split_name(next(sources, ""))
        if len(parts) == 3:
            referring.references.append(Reference("clone", Thing.of(RelationName(*parts))))
        else:
            reason = f"its history says {'.'.join(parts) or 'nothing'} of it"
            referring.gaps.append(Gap(f"what {thing} was cloned from", reason, "clone"))

    def _read_settings(self, things: Sequence[Thing], entries: Mapping[Thing, CatalogEntry]) -> None:
        of_tables = [t for t in things if entries[t].table_type.upper() != "VIEW"]
        settings = self.tables.settings([t.name for t in of_tables]) if of_tables else {}
        for thing in of_tables:
            self._read_keys(thing, settings[thing.name.key])
            self._read_protection(thing, settings[thing.name.key])

    def _read_keys(self, thing: Thing, settings: CatalogSettings) -> None:
        referring = self.found[thing]
        for key in settings.keys or ():
            if key.type != "FOREIGN KEY":
                continue
            parts = split_name(key.parent or key.references or "")
            parent = RelationName(*parts) if len(parts) == 3 else None
            if parent is not None and (key.parent or self.ends_at(parent)):
                reason = "" if key.parent else "this is the name of the key; its table is not shown to this user"
                referring.references.append(Reference("foreign key", Thing.of(parent), reason))
            else:
                about = f"the table of the key {key.references or '?'}"
                referring.gaps.append(Gap(about, "it is not shown to this user", "foreign key"))

    def _read_protection(self, thing: Thing, settings: CatalogSettings) -> None:
        given: list[tuple[Through, str]] = [("row filter", settings.row_filter)] if settings.row_filter else []
        given += [("column mask", mask) for mask in (settings.column_masks or {}).values()]
        for through, text in given:
            function = completed(next((n.parts for n in names_in(text)), ()), _schema(thing))
            if function is not None:
                self.found[thing].references.append(Reference(through, Thing.of(function, is_function=True)))

    def _read_functions(self, things: Sequence[Thing]) -> None:
        for catalog in sorted({t.name.catalog for t in things}):
            self._ask({t.name.identifier for t in things if t.name.catalog == catalog}, [catalog])
        for thing in things:
            self.found[thing] = Referring("function")
        bodies = {thing: references(body, namespace=_schema(thing)) for thing, body in self._bodies(things)}
        for thing, named in bodies.items():
            self._ask(named.called, [thing.name.catalog])
            self._add(thing, named, "function", _schema(thing))

    def _bodies(self, things: Sequence[Thing]) -> Iterator[tuple[Thing, str]]:
        for thing in things:
            function = self.functions.get(thing.name.key)
            if function is None:
                self.found[thing].gaps.append(Gap(str(thing), "the function is not shown to this user", "function"))
            elif function.language == "SQL" and function.body is None:
                reason = "its body is not shown to this user, who does not own it"
                self.found[thing].gaps.append(Gap(str(thing), reason, "function"))
            elif function.language == "SQL" and function.body is not None:
                yield thing, function.body

    def _ask(self, names: Collection[str], catalogs: Sequence[str]) -> None:
        """Know the functions of these names, where that has not been asked yet."""
        for catalog in catalogs:
            new = {name for name in names if (catalog, name) not in self.asked}
            self.asked |= {(catalog, name) for name in new}
            if new:
                found = self._known(catalog, new)
                self.functions |= found
                self.words |= {name for name in new if any(key.endswith(f".{name}") for key in found)}

    def _known(self, catalog: str, names: Collection[str]) -> dict[str, Function]:
        try:
            return self.tables.functions(catalog, names)
        except SqlFailed:
            return {}  # each that is named in full is a gap


def _schema(thing: Thing) -> tuple[str, str]:
    """Where a function's body, or an expression of a table, is taken to be read: in its own schema."""
    return thing.name.catalog, thing.name.schema


def _is_system(name: RelationName) -> bool:
    """What belongs to the platform and refers to nobody's tables."""
    return "system" in (name.catalog, name.schema) or name.schema == "information_schema"
