"""How a plan and its consent grow with the number of relations: in memory, without Spark.

Run alone with `make bench PART=scale`. Ten times the relations may take fifteen times as long.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dbx_cd.delta.history import Commit, History
from dbx_cd.delta.tables import CatalogEntry, CatalogSettings, TableDetail
from dbx_cd.delta.view_reading import ViewReading
from dbx_cd.relations import RelationName
from dbx_cd.release.events import Release
from dbx_cd.release.reading import LogReading
from dbx_cd.release.state import Event
from dbx_cd.rollback.capture import observe
from dbx_cd.rollback.consent import agreed
from dbx_cd.rollback.ownership import OwnCommits
from dbx_cd.rollback.plan import RestorePlan, assess, states_before
from dbx_cd.rollback.point import RestorePoint, VersionAfter, VersionsAfter
from dbx_cd.rollback.relation_state import RelationState

FEW, MANY = 200, 2000
ROUNDS = 5
AIM = 15.0
NOW = datetime(2026, 1, 2, tzinfo=UTC)
COMMITS = [Commit(n, NOW + timedelta(hours=n - 1), "WRITE", "ci") for n in range(3)]
BEFORE, WROTE = COMMITS[1:]


def measure() -> Iterator[str]:
    """How many times as long each step takes with ten times the relations."""
    few, many = _steps(FEW), _steps(MANY)
    for name in few:
        times = [min(_seconds(steps[name]) for _ in range(ROUNDS)) for steps in (few, many)]
        grown = times[1] / times[0]
        yield (
            f"{name} of {MANY} relations against {FEW}: {grown:.1f} times as long (aim <= {AIM:.0f}: "
            f"{'met' if grown <= AIM else 'MISSED'}); {times[1]:.3f} s and {times[0]:.3f} s"
        )


def _steps(relations: int) -> dict[str, Callable[[], object]]:
    names = [RelationName("prod", "shop", f"m{n:05}") for n in range(relations)]
    states = tuple(_state(n, name, names) for n, name in enumerate(names))
    point = RestorePoint("r", NOW, states, ("ci",))
    after = VersionsAfter("r", NOW + timedelta(hours=2), tuple(map(_after, states)))
    release = Release("r", "0" * 40, "1", "ci", NOW)
    records = [release, point, after]
    events = tuple(
        Event(str(n), "r", record.kind, NOW, "ci", record.to_dict(), n)  # as read from the log
        for n, record in enumerate(records, start=1)
    )
    log, tables = LogReading(events, release), _Tables(states)

    def plan() -> RestorePlan:
        return assess(tables, log)  # type: ignore[arg-type]

    def ownership() -> None:
        points, afters = log.all(RestorePoint), log.all(VersionsAfter)
        history = History.of(COMMITS)
        for state in states_before(points):
            own = OwnCommits.of(state.relation, points, afters)
            assert own.writer_of(WROTE, history) == "release" or state.kind == "view"

    planned = plan()
    some = [name.identifier for name in names[::2]]
    # A plan that is blocked everywhere is told in full, what is blocked first.
    blocked = replace(planned, items=tuple(replace(i, action="impossible") for i in planned.items))
    return {
        "plan": plan,
        "plan of half, by name": lambda: assess(tables, log, only=some),  # type: ignore[arg-type]
        "ownership": ownership,
        "versions after": lambda: observe(tables, names),  # type: ignore[arg-type]
        "consent": lambda: agreed(planned, planned),
        "text and page": lambda: (planned.text, planned.to_html(), blocked.text, blocked.to_html()),
    }


def _state(n: int, name: RelationName, names: list[RelationName]) -> RelationState:
    if n % 2 == 0:
        return RelationState(str(name), "table", "MANAGED", 1, BEFORE.at, BEFORE.mark)
    # A view over the table before it and over another view.
    text = f"SELECT * FROM {names[n - 1].quoted} JOIN {names[max(n - 2, 0)].quoted} USING (id)"
    return RelationState(str(name), "view", "VIEW", view_text=text, view_reading=ViewReading(("prod", "shop")))


def _after(state: RelationState) -> VersionAfter:
    is_table = state.kind == "table"
    return VersionAfter(state.name, state.kind, 2 if is_table else None, WROTE.at, WROTE.mark, state.definition)


class _Tables:
    """Answers of a catalog and of Delta, each in the same time however many relations there are."""

    def __init__(self, states: tuple[RelationState, ...]) -> None:
        self._states = {state.relation.key: state for state in states}

    def entries(self, relations: list[RelationName]) -> dict[str, CatalogEntry]:
        states = [self._states[relation.key] for relation in relations]
        return {s.relation.key: CatalogEntry(s.kind, s.table_type, view_text=s.view_text) for s in states}

    def settings(self, relations: list[RelationName]) -> dict[str, CatalogSettings]:
        kept = CatalogSettings(keys=(), tags={"team": "shop"}, column_tags={}, grants=("SELECT to all",), owner="ci")
        return {relation.key: kept for relation in relations}

    def detail(self, _table: RelationName) -> TableDetail:
        return TableDetail("t", {"k": "v"}, clustered_by=("id",), features=("appendOnly", "deletionVectors"))

    def properties(self, _relation: RelationName) -> dict[str, str]:
        return {}

    def view_reading(self, _view: RelationName) -> ViewReading:
        return ViewReading(("prod", "shop"))

    def history(self, _table: RelationName, **_limit: Any) -> History:
        return History.of(COMMITS)


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()  # as timeit does: with more objects a collection takes longer, and comes whenever it comes
    try:
        started = time.process_time()
        work()
        return time.process_time() - started
    finally:
        gc.enable()
