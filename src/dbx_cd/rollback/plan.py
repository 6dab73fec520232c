"""What a restore would do: read-only, with a seal over everything it describes."""

from __future__ import annotations

import difflib
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

from dbx_cd import html
from dbx_cd.delta.sql import THREADS, in_parallel
from dbx_cd.delta.tables import NOTHING_KNOWN, Tables
from dbx_cd.delta.views import dependency_order
from dbx_cd.digest import digest
from dbx_cd.errors import RestoreRefused, asking_about
from dbx_cd.records import Record
from dbx_cd.release.reading import LogReading
from dbx_cd.rollback.decision import decide
from dbx_cd.rollback.of_target import afters_of, points_of, target_to_restore
from dbx_cd.rollback.ownership import OwnCommits
from dbx_cd.rollback.plan_item import NewTables, PlanItem
from dbx_cd.rollback.point import RestorePoint
from dbx_cd.rollback.present import is_untouched, present_of
from dbx_cd.rollback.proof import with_proof
from dbx_cd.rollback.relation_state import RelationState

if TYPE_CHECKING:
    from dbx_cd.release.context import Cd
    from dbx_cd.release.events import Release

_FRESH = timedelta(minutes=10)

_log = logging.getLogger(__name__)
_BLOCKED = ("rebuild", "impossible")


@dataclass(frozen=True)
class RestorePlan(Record):
    """Every relation of a release in a gated target, as restored: tables, then views after what they read."""

    KIND: ClassVar[str] = "restore_planned"
    FORMAT: ClassVar[int] = 2

    release_id: str
    """The release that would be undone."""
    planned_at: datetime
    """When, UTC."""
    items: tuple[PlanItem, ...]
    """What would be done with each relation."""
    new_tables: NewTables = "keep"
    """What becomes of relations that the release created."""
    to: datetime | None = None
    """The time to go back to, UTC, instead of before the release."""
    only: tuple[str, ...] = ()
    """The relations it is about, those left out by `skip` among them; empty for all of the release."""
    skip: tuple[str, ...] = ()
    """The relations that are left as they are on purpose."""
    reason: str | None = None
    """Why; set in the log, when somebody carries the plan out."""
    target: str = ""
    """The gated target; "" in records of wheels that took a release to have one."""

    @property
    def seal(self) -> str:
        """A digest of what the plan is about, does with each relation, and would erase: maintenance does not change it.

        What is only told besides (warnings, differences, kept properties) is looked at again when it is carried out.
        """
        described = [(i.name, i.action, i.now, i.to_version, i.later_writes) for i in self.items]
        about = [self.release_id, self.new_tables, self.to, self.only, self.skip]
        return digest([*about, sorted(described), *([self.target] if self.target else [])])

    def __post_serialize__(self, d: dict[Any, Any]) -> dict[Any, Any]:
        return {**super().__post_serialize__(d), "seal": self.seal}

    @property
    def changes(self) -> tuple[PlanItem, ...]:
        """The items that change something."""
        return tuple(i for i in self.items if i.changes)

    @property
    def blocked(self) -> tuple[PlanItem, ...]:
        """The items that a restore cannot do: the relation has to be built again, or is lost."""
        return tuple(i for i in self.items if i.action in _BLOCKED)

    @property
    def blocked_first(self) -> tuple[PlanItem, ...]:
        """All items as people read them: what stands in the way first."""
        return tuple(sorted(self.items, key=lambda item: item.action not in _BLOCKED))

    @property
    def later_writes(self) -> tuple[PlanItem, ...]:
        """The items whose restore would erase what others wrote after the release."""
        return tuple(i for i in self.changes if i.later_writes)

    def __str__(self) -> str:
        counts = Counter(i.action for i in self.items)
        actions = ", ".join(f"{n} {action}" for action, n in counts.items()) or "nothing to do"
        actions += f" in {self.target}" if self.target else ""
        warned = f"; {len(self.later_writes)} with later writes by others" if self.later_writes else ""
        left_out = f"; left out: {', '.join(self.skip)}" if self.skip else ""
        return f"restore plan of release {self.release_id}: {actions}{warned}{left_out}; seal {self.seal[:12]}"

    @property
    def text(self) -> str:
        """The plan for a terminal: what stands in its way first, and the seal that agrees to it."""
        lines = [str(self)]
        for item in self.blocked_first:
            lines.append(f"  {item.action:<13} {item}")
            lines += [f"    written by others: {write}" for write in item.later_writes]
            lines += [f"    mind: {warning}" for warning in item.warnings]
            lines += [f"    not as it was: {difference}" for difference in item.differences]
        return "\n".join([*lines, f"seal: {self.seal}"])

    def to_html(self) -> str:
        """The plan as a table, what stands in its way first, and the seal that agrees to it."""
        rows = [
            (i.name, html.badge(i.action), i.from_version, i.to_version, i.rows_written, _bytes(i), i.reason,
             html.join(html.paragraph(w) for w in i.later_writes), "; ".join(i.warnings),
             html.join(html.paragraph(d) for d in i.differences))
            for i in self.blocked_first
        ]  # fmt: skip
        headers = (
            "relation", "action", "from version", "to version", "rows written since", "bytes", "why",
            "writes by others", "mind", "will not be as it was",
        )  # fmt: skip
        sealed = html.paragraph("Seal: ", self.seal)
        return str(html.section("Restore plan", html.paragraph(str(self)), html.table(headers, rows), sealed))


def plan_restore(
    cd: Cd,
    release: Release,
    *,
    target: str | None = None,
    only: Sequence[str] | None = None,
    skip: Sequence[str] = (),
    to: datetime | None = None,
    new_tables: NewTables = "keep",
) -> RestorePlan:
    """Say what bringing back the state before a release would do; nothing is changed and nothing is logged.

    Every version a table would go back to is proved readable, so that a plan without blocked items can be carried out.

    Args:
        cd: the context.
        release: the release to undo.
        target: the gated target in which to undo it; by default the one that it has changed.
        only: restrict to these relations, each as `model`, `schema.model` or `catalog.schema.model`.
        skip: leave these out, named likewise.
        to: bring tables to what they were at this time (UTC when it has no zone) instead of before the release.
        new_tables: what becomes of relations that the release created: "keep" or "drop".

    Raises:
        RestoreRefused: the release has no restore point, it has changed several targets and none is named, a name in
            `only` is not in it, or one in `skip` is not among the relations to bring back.
        SqlFailed: a relation cannot be looked at; the message names it.
    """
    moment = to.replace(tzinfo=UTC) if to is not None and to.tzinfo is None else to
    log = cd.log.read(release)
    plan = assess(cd.tables, log, target=target, only=only, skip=skip, to=moment, new_tables=new_tables)

    def prove(item: PlanItem) -> PlanItem:
        with _asking_about(item.name):
            return with_proof(cd.tables, item)

    plan = replace(plan, items=tuple(in_parallel(prove, plan.items, threads=THREADS)))
    _log.info("%s", plan)
    return plan


def assess(
    tables: Tables,
    log: LogReading,
    *,
    target: str | None = None,
    only: Sequence[str] | None = None,
    skip: Sequence[str] = (),
    to: datetime | None = None,
    new_tables: NewTables = "keep",
    details: bool = True,
    planned: RestorePlan | None = None,
) -> RestorePlan:
    """The plan without the proof that old versions are readable: two metadata queries a table.

    `details`: also say how many bytes each table has, and what will not be as it was. Delta has to go through all its
    file entries for that, and the catalog is asked for all that it keeps.

    `planned`: a plan of before; of a table that nobody has written to since a fresh one, it is taken as it is.
    """
    release, target = log.release, target_to_restore(log, target)
    assert release is not None
    points, afters = points_of(log, target), afters_of(log, target)
    # A deploy that was killed between its claim and its restore point has changed nothing, and holds the target all the
    # same: an empty plan gives it back.
    if not points and log.state.of(target).deployment != "deploying":
        raise RestoreRefused(
            f"{release} has no restore point: it never began to change production",
            next_step="pick a release that was deployed, from cd.log.history()",
        )
    about = _named_all(states_before(points), only, by="only")
    left_out = {s.name for s in _named_all(about, skip, by="skip")} if skip else set()
    states = [s for s in about if s.name not in left_out]
    entries = tables.entries([s.relation for s in states])
    settings = tables.settings([s.relation for s in states]) if details else {}

    @cache
    def dropped(catalog: str, schema: str) -> frozenset[str] | None:
        return tables.dropped(catalog=catalog, schema=schema)

    earlier = {i.name: i for i in planned.items} if planned is not None and is_fresh(planned) else {}

    def item(state: RelationState) -> PlanItem:
        known, entry = earlier.get(state.name), entries[state.relation.key]
        with _asking_about(state.name):
            if known is not None and is_untouched(tables, known, entry):
                return known
            now = present_of(tables, state, entry, details=details, to=to)
        now = replace(now, settings=settings.get(state.relation.key, NOTHING_KNOWN))
        own = OwnCommits.of(state.relation, points, afters)
        return decide(state, now, own=own, to=to, new_tables=new_tables, dropped=dropped)

    items = in_parallel(item, states, threads=THREADS)
    return RestorePlan(
        release_id=release.id,
        planned_at=datetime.now(UTC),
        items=tuple(_ordered(items, {s.name: s for s in states})),
        new_tables=new_tables,
        to=to,
        only=() if only is None else tuple(s.name for s in about),
        skip=tuple(s.name for s in about if s.name in left_out),
        target=target,
    )


def _asking_about(name: str) -> AbstractContextManager[None]:
    return asking_about(name, next_step=f"repair it, or leave it out with skip={[name]}, and plan again")


def is_fresh(plan: RestorePlan) -> bool:
    """Whether a plan was made so lately that what it says of a table that nobody has touched since still counts."""
    return datetime.now(UTC) - plan.planned_at < _FRESH


def states_before(points: Sequence[RestorePoint]) -> list[RelationState]:
    """The relations as they were before the release first touched them.

    A repaired build takes a restore point again, of tables that the failed build had already changed: the first counts.
    """
    first: dict[str, RelationState] = {}
    for point in points:
        for state in point.relations:
            first.setdefault(state.relation.key, state)
    return list(first.values())


def _named_all(states: Sequence[RelationState], names: Sequence[str] | None, *, by: str) -> list[RelationState]:
    """Those that any of a parameter's names means, in the order of the restore point; all where no names are given."""
    if names is None:
        return list(states)
    if not names:
        raise RestoreRefused(f"`{by}` names no relation", next_step="name one, or give none for the whole release")
    # By every end of its name that begins at a part: looked up, as both may be thousands.
    by_end: dict[str, list[RelationState]] = defaultdict(list)
    for state in states:
        parts = state.relation.key.split(".")
        for n in range(len(parts)):
            by_end[".".join(parts[n:])].append(state)
    wanted = {s.name for name in names for s in _named(name, states, by_end, by=by)}
    return [s for s in states if s.name in wanted]


def _named(
    name: str, states: Sequence[RelationState], by_end: Mapping[str, list[RelationState]], *, by: str
) -> list[RelationState]:
    wanted = name.replace("`", "").lower()
    found = by_end.get(wanted, [])
    if not found:
        known = sorted({s.relation.identifier for s in states})
        close = difflib.get_close_matches(wanted.rsplit(".", 1)[-1], known, n=3) or known[:10]
        next_step = f"name one of: {', '.join(close)}" if close else "there is nothing to bring back: name none"
        raise RestoreRefused(
            f"`{by}` names {name!r}, which is not among the relations to bring back", next_step=next_step
        )
    return found


def _ordered(items: Sequence[PlanItem], states: Mapping[str, RelationState]) -> list[PlanItem]:
    """Tables, then views after the views they read, then what is dropped: views before tables."""
    texts = {i.name: states[i.name].view_text or "" for i in items}
    order = dependency_order(texts, {i.name: states[i.name].view_namespace for i in items})
    place = {name: n for n, name in enumerate(order)}

    def group(item: PlanItem) -> int:
        if item.action == "drop":
            return 2 if item.kind_now == "view" else 3
        return 1 if item.is_view else 0

    return sorted(items, key=lambda i: (group(i), place[i.name]))


def _bytes(item: PlanItem) -> str | None:
    if item.bytes_now is None or item.bytes_then is None:
        return None
    return f"{item.bytes_now:,} -> {item.bytes_then:,}"
