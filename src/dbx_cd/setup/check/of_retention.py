"""Check of how long Delta keeps what the deployed tables were, against how often the team releases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import pairwise

from dbx_cd.delta.retention import FILES_KEPT, LOG_KEPT, in_days, retention
from dbx_cd.delta.sql import THREADS, in_parallel
from dbx_cd.enumeration import listed
from dbx_cd.relations import RelationName
from dbx_cd.setup.check.report import CheckLine, fail, ok, skipped, warn
from dbx_cd.setup.check.scene import Scene

_DEPLOYS = 10
_SHOWN = 4
_AS_TABLES = ("table", "incremental", "snapshot", "seed")


def retained(scene: Scene, target: str) -> Iterator[CheckLine]:
    """What a table was is kept until the next release at least, so that a rollback finds it."""
    config = scene.config
    if target not in config.gates:
        return
    times = _deploys(scene, target)
    if not times:
        yield skipped(target, "nothing has been deployed yet")
        return
    pace = max([later - earlier for earlier, later in pairwise(times[-_DEPLOYS:])], default=timedelta(0))
    needed = max(pace, config.approval_expires)
    why = (
        f"the last {min(len(times), _DEPLOYS)} deploys were up to {in_days(_whole(pace))} apart"
        if pace >= config.approval_expires
        else f"an approval may take {in_days(config.approval_expires)}"
    )
    tables = _tables(scene, target)
    entries = scene.tables.listed(tables)
    there = [table for table in tables if table.key in entries and entries[table.key].kind == "table"]
    properties = in_parallel(scene.tables.properties, there, threads=THREADS)
    short = too_short(dict(zip(there, properties, strict=True)), needed)
    wanted = f"'interval {_days_above(needed)} days'"
    for name, names in short.items():
        line = fail if config.policies.require_rollback_ready == "error" else warn
        yield line(
            f"{target}: {listed(names, most=_SHOWN)}",
            f"{name} is shorter than {in_days(_whole(needed))}: {why}",
            next_step=f"set `+tblproperties: {{{name}: {wanted}}}` for them in dbt_project.yml, or release more often",
        )
    if not short:
        yield ok(target, f"{len(there)} tables keep what they were for {in_days(_whole(needed))} and longer: {why}")


def too_short(properties: Mapping[RelationName, Mapping[str, str]], needed: timedelta) -> dict[str, list[str]]:
    """The tables that keep their files or their history for less, by the property that says so. Pure."""
    found: dict[str, list[str]] = defaultdict(list)
    for table, own in sorted(properties.items()):
        for name in (FILES_KEPT, LOG_KEPT):
            if retention(own, name) < needed:
                found[name].append(str(table))
    return dict(found)


def _deploys(scene: Scene, target: str) -> list[datetime]:
    if scene.log.table_id is None:
        return []
    reading = scene.once("reading", scene.log.read)
    return sorted(e.at for e in reading.events if e.kind == "deployed" and e.payload.get("target") == target)


def _tables(scene: Scene, target: str) -> list[RelationName]:
    nodes: Iterable[RelationName | None] = (
        n.relation for n in scene.lists(target).relations if (n.materialized or n.resource_type) in _AS_TABLES
    )
    return [relation for relation in nodes if relation is not None]


def _whole(duration: timedelta) -> timedelta:
    """A duration in tenths of a day, for people."""
    return timedelta(days=round(duration / timedelta(days=1), 1))


def _days_above(duration: timedelta) -> int:
    """Whole days that a retention should have: as long, and a week to notice that something is wrong."""
    return -(-duration // timedelta(days=1)) + 7
