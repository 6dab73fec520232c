"""What full builds of a generated project leave, computed from its parts without dbt and without Spark.

A second opinion of what `changed_only` leaves: it is compared with real full builds by
`tests/spark/plan/test_random_edits.py`, and then stands for them in many more releases than those leave time for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from benchmarks.compared_rows import Row
from benchmarks.generated_project import PRIME, ROWS, UNSTABLE, Model, Project

Values = Mapping[int, int]
"""The values `v` by `id`."""
Key = tuple[str, str]
"""A target and the name of a relation in it."""
_CALL = re.compile(r"(ref|source)\((?:'landed', )?'(\w+)'\)")
_FIRST = datetime(2026, 1, 1)


class Landed:
    """The rows of the sources: values and times of change, by source and id."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[int, tuple[int, datetime]]] = {}

    def land(self, name: str, *, count: int = ROWS) -> tuple[int, int]:
        """Rows come; the first of their ids, and the first that is not there yet."""
        rows = self.rows.setdefault(name, {})
        first = len(rows) + 1
        at = _FIRST + timedelta(days=first)
        rows.update({id: (id * 7919 % 100_003, at) for id in range(first, first + count)})
        return first, first + count

    def change(self, name: str, id: int, value: int) -> None:
        """A row gets another value, as of a day later."""
        self.rows[name][id] = (value, self.rows[name][id][1] + timedelta(days=1))

    def values(self, name: str) -> Values:
        """The values of a source."""
        return {id: value for id, (value, _) in self.rows[name].items()}


@dataclass(frozen=True)
class Table:
    """A relation that holds rows."""

    values: Values


@dataclass(frozen=True)
class View:
    """A relation that is its code, and what that reads."""

    model: Model
    project: Project
    target: str


@dataclass(frozen=True)
class Kept:
    """A snapshot: id, value, time of change, and until when it was so."""

    rows: tuple[tuple[int, int, datetime, datetime | None], ...] = ()


Relation = Table | View | Kept


class FullBuilds:
    """Relations of a staging and a production that are built whole, with what does not ship read from staging.

    Args:
        landed: the rows of the sources.
    """

    def __init__(self, landed: Landed) -> None:
        self._landed = landed
        self.relations: dict[Key, Relation] = {}

    def build(self, project: Project, target: str) -> None:
        """Build what is tagged, in staging with all that it reads; what fails there is not built, nor what is below."""
        for name in project.seeds:
            self.relations[target, name] = Table(dict(project.seeds[name]))
        for name, source in project.snapshots.items():
            self._keep((target, name), _named(source))
        failed: set[str] = set()
        for model in _in_order(project):
            # dbt keeps the order of what it selects through what it does not: below a failure is below it all the same.
            if (target == "prod" and model.fails_in_prod) or {
                parent.name for parent in _read_by(model, project)
            } & failed:
                failed.add(model.name)
            elif model.materialized != "ephemeral" and (model.tags or (target == "stg" and _ships(model, project))):
                self._make(model, project, target)

    def write_to(self, target: str, name: str) -> None:
        """Somebody changes rows of a table, as `EmbeddedReleases.write_to` does."""
        table = self.relations[target, name]
        assert isinstance(table, Table)
        self.relations[target, name] = Table({id: v + (id % 2 == 0) for id, v in table.values.items()})

    def rows(self, target: str, name: str) -> list[Row] | None:
        """The rows of a relation, as text; None where there is none."""
        relation = self.relations.get((target, name))
        if relation is None:
            return None
        if not isinstance(relation, Kept):
            return [(str(id), str(v)) for id, v in self._read((target, name)).items()]
        return [
            (str(id), str(v), str(at), str(at), None if until is None else str(until))
            for id, v, at, until in relation.rows
        ]

    def _make(self, model: Model, project: Project, target: str) -> None:
        key, view = (target, model.name), View(model, project, target)
        before = self.relations.get(key)
        if model.materialized == "view":
            self.relations[key] = view
            return
        values = self._values(view)
        if model.materialized == "incremental" and isinstance(before, Table):
            newest = max(before.values, default=0)
            values = {**before.values, **{id: v for id, v in values.items() if id > newest}}
        self.relations[key] = Table(values)

    def _keep(self, key: Key, source: str) -> None:
        """A snapshot by time of change: what is newer than what is kept ends it."""
        before = self.relations.get(key, Kept())
        assert isinstance(before, Kept)
        now = {id: at for id, _, at, until in before.rows if until is None}
        newer = {id: row for id, row in self._landed.rows[source].items() if id not in now or row[1] > now[id]}
        ended = [
            (id, v, at, newer[id][1] if until is None and id in newer else until) for id, v, at, until in before.rows
        ]
        self.relations[key] = Kept((*ended, *((id, v, at, None) for id, (v, at) in newer.items())))

    def _read(self, key: Key) -> Values:
        relation = self.relations[key]
        assert not isinstance(relation, Kept)
        return relation.values if isinstance(relation, Table) else self._values(relation)

    def _values(self, view: View) -> Values:
        """What a model's query gives."""
        model, project = view.model, view.project
        first, *others = (self._parent(call, view) for call in model.parents)
        by = project.macros[model.macro] if model.macro else 1
        added = project.variables[model.variable] if model.variable else 0
        return {
            id: ((v + sum(other.get(id, 0) for other in others)) * by * model.factor + added) % PRIME
            for id, v in first.items()
        }

    def _parent(self, call: str, view: View) -> Values:
        """What a call of `ref` or `source` means: staging's where the parent does not ship."""
        if call.startswith("source"):
            return self._landed.values(_named(call))
        name = _named(call)
        model = view.project.models.get(name)
        if model is not None and model.materialized == "ephemeral":
            return self._values(View(model, view.project, view.target))
        return self._read((view.target if model is None or model.tags else "stg", name))


def _named(call: str) -> str:
    found = _CALL.fullmatch(call)
    assert found is not None, call
    return found[2]


def _in_order(project: Project) -> Iterator[Model]:
    """Models after what they read, but for those of which no two builds are the same."""
    done: set[str] = set()

    def after_parents(model: Model) -> Iterator[Model]:
        if model.name not in done:
            done.add(model.name)
            for parent in _read_by(model, project):
                yield from after_parents(parent)
            yield model

    for model in project.models.values():
        if model.name not in UNSTABLE:
            yield from after_parents(model)


def _read_by(model: Model, project: Project) -> Iterator[Model]:
    """The models that a model reads itself."""
    names = (_named(call) for call in model.parents if call.startswith("ref"))
    return (project.models[name] for name in names if name in project.models)


def _ships(model: Model, project: Project) -> bool:
    """Whether a model is tagged, or above one that is."""
    shipped = {m.name for m in project.models.values() if m.tags}
    waiting = list(shipped)
    while waiting:
        for parent in _read_by(project.models[waiting.pop()], project):
            if parent.name not in shipped:
                shipped.add(parent.name)
                waiting.append(parent.name)
    return model.name in shipped
