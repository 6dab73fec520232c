"""Try a data rollback on copies: the same statements and the same proof, and production is only read."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar, Literal

from dbx_cd import html
from dbx_cd.delta.clones import clone, scratch_schema
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.sql import THREADS, in_parallel
from dbx_cd.delta.view_reading import UNKNOWN_READING
from dbx_cd.delta.views import named_in, with_other_relations
from dbx_cd.errors import DbxCdError, RestoreFailed
from dbx_cd.records import Record
from dbx_cd.relations import RelationName
from dbx_cd.rollback.of_target import points_of
from dbx_cd.rollback.plan import RestorePlan, plan_restore, states_before
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.proof import is_copy_of
from dbx_cd.rollback.relation_state import RelationState, written
from dbx_cd.rollback.statements import RestoreStatements

if TYPE_CHECKING:
    from dbx_cd.release.context import Cd
    from dbx_cd.release.events import Release

_log = logging.getLogger(__name__)

Outcome = Literal["proved", "skipped", "failed"]


@dataclass(frozen=True)
class RehearsedRelation:
    """One relation of a rehearsal."""

    name: str
    """The relation, with catalog and schema."""
    action: str
    """What the plan would do with it."""
    outcome: Outcome
    """What came of it on a copy."""
    proof: str
    """What was tried and found, or why nothing was."""
    seconds: float = 0.0
    """Wall time."""

    def __str__(self) -> str:
        return f"{self.name}: {self.action}, {self.outcome}: {self.proof}"


@dataclass(frozen=True)
class Rehearsal(Record):
    """What a rollback would have come to."""

    KIND: ClassVar[str] = "rehearsed"

    release_id: str
    """The release that would be undone."""
    seal: str
    """The seal of the plan that was tried."""
    scratch: str
    """The schema that had the copies; it is gone."""
    relations: tuple[RehearsedRelation, ...]
    """Every relation of the plan."""
    started_at: datetime
    """When, UTC."""
    seconds: float
    """Wall time."""
    target: str = ""
    """The gated target; "" in records of wheels that took a release to have one."""

    @property
    def ok(self) -> bool:
        """Whether the plan can be carried out, as far as can be tried on copies."""
        return not self.failed

    @property
    def failed(self) -> tuple[RehearsedRelation, ...]:
        """The relations that would not come back."""
        return tuple(r for r in self.relations if r.outcome == "failed")

    def raise_if_failed(self) -> None:
        """Stop here unless every relation would come back.

        Raises:
            RestoreFailed: `.result` is this rehearsal. Production is as it was.
        """
        if not self.ok:
            raise RestoreFailed(
                f"{len(self.failed)} of {len(self.relations)} relations would not come back: {self.failed[0]}",
                result=self,
                next_step="production is as it was; leave these out with skip, or fix what they need",
            )

    def __str__(self) -> str:
        counts = {o: sum(r.outcome == o for r in self.relations) for o in ("proved", "skipped", "failed")}
        outcomes = ", ".join(f"{n} {outcome}" for outcome, n in counts.items() if n)
        where = f" in {self.target}" if self.target else ""
        return f"rehearsal of release {self.release_id}{where} on copies: {outcomes or 'nothing to do'}"

    @property
    def text(self) -> str:
        """The rehearsal for a terminal, what failed first."""
        return "\n".join([str(self), *(f"  {r}" for r in self._failed_first())])

    def to_html(self) -> str:
        """Every relation with its proof, what failed first."""
        rows = [(r.name, html.badge(r.outcome), r.action, r.proof, f"{r.seconds:.1f} s") for r in self._failed_first()]
        table = html.table(("relation", "", "action", "proof", "took"), rows)
        return str(html.section("Rehearsal", html.paragraph(str(self)), table))

    def _failed_first(self) -> tuple[RehearsedRelation, ...]:
        return (*self.failed, *(r for r in self.relations if r.outcome != "failed"))


def rehearse(
    cd: Cd,
    release: Release,
    *,
    target: str | None = None,
    plan: RestorePlan | None = None,
    scratch: str | None = None,
    threads: int = THREADS,
) -> Rehearsal:
    """Carry out a restore plan on copies in a schema of its own, prove each, and drop them again.

    A table's copy is a shallow clone, which has the data files of production, so that the files after RESTORE can be
    compared with those of the version to go back to. Where a clone cannot be made, rows are copied and compared. Views
    are made from their recorded text over the copies, and read.

    Args:
        cd: the context of somebody who may read production, and create a schema in the catalog of the scratch schema.
        release: the release that would be undone.
        target: the gated target in which to try it; by default the one that the release has changed.
        plan: what to try; by default `plan_restore(cd, release, target=target)`.
        scratch: `catalog.schema` that does not exist yet; by default a new schema beside the release log.
        threads: how many tables to copy at the same time.

    Returns:
        A proof for each relation; it is in the release log as well.

    Raises:
        RestoreRefused: the release has no restore point, or has changed several targets and none is named.
        SqlFailed: the scratch schema exists already, or may not be made.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    tables = SparkTables.of(cd.spark)
    plan = plan or plan_restore(cd, release, target=target)
    catalog, _, schema = (scratch or f"{cd.log.table.catalog}.dbx_cd_rehearsal_{uuid.uuid4().hex[:12]}").partition(".")
    _log.info("%s: rehearsing its rollback on copies in %s.%s", release, catalog, schema)
    with scratch_schema(tables, catalog, schema):
        stage = _Stage(
            tables=tables,
            before={s.name: s for s in states_before(points_of(cd.log.read(release), plan.target))},
            copies=_names(plan, catalog, schema),
            statements=RestoreStatements.signed(tables, release_id=release.id),
            at_point=plan.to is None,
        )
        restored = [i for i in plan.items if i.action == "restore"]
        done = {r.name: r for r in in_parallel(stage.play, restored, threads=threads)}
        for item in plan.items:
            if item.name not in done:
                done[item.name] = stage.play(item)
    rehearsal = Rehearsal(
        release_id=release.id,
        seal=plan.seal,
        scratch=f"{catalog}.{schema}",
        relations=tuple(done[i.name] for i in plan.items),
        started_at=started,
        seconds=round(time.monotonic() - clock, 1),
        target=plan.target,
    )
    cd.log.append(release, rehearsal)
    return rehearsal


def _names(plan: RestorePlan, catalog: str, schema: str) -> dict[str, RelationName]:
    """Where each relation's copy is, by key. What a restore would drop gets a name, too, under which there is nothing.

    Relations that the restore leaves alone have no copy: views read them in production.
    """
    moved = [i for i in plan.items if i.changes or (i.is_view and i.action == "none")]
    return {i.relation.key: RelationName(catalog, schema, f"r{n}_{i.relation.identifier}") for n, i in enumerate(moved)}


@dataclass(frozen=True)
class _Stage:
    tables: SparkTables
    before: Mapping[str, RelationState]
    copies: Mapping[str, RelationName]
    statements: RestoreStatements
    at_point: bool

    def play(self, item: PlanItem) -> RehearsedRelation:
        """Try one item; a failure becomes part of the result."""
        clock = time.monotonic()
        try:
            outcome, proof = self._play(item)
        except DbxCdError as exc:
            outcome, proof = "failed", str(exc)
            _log.warning("%s would not come back: %s", item.name, exc)
        return RehearsedRelation(item.name, item.action, outcome, proof, round(time.monotonic() - clock, 1))

    def _play(self, item: PlanItem) -> tuple[Outcome, str]:
        match item.action:
            case "restore":
                return "proved", self._table(item)
            case "rebuild" | "impossible":
                return "failed", item.reason
            case "undrop":
                return "skipped", "UNDROP cannot be tried on a copy"
            case "drop":
                return "skipped", "a drop needs no rehearsal; views over it are tried without it"
        if item.is_view and item.relation.key in self.copies:
            return self._view(item)
        return "skipped", item.reason

    def _table(self, item: PlanItem) -> str:
        """Restore a copy that was what the table was to that version."""
        assert item.to_version is not None
        name = self.copies[item.relation.key]
        was = self.before[item.name].detail if self.at_point else None
        copy = clone(self.tables, item.relation, name, version=item.to_version, was=was)
        self.statements.restore(replace(item, name=written(name), from_version=copy.now, to_version=copy.then))
        return is_copy_of(self.tables, item, name, copy)

    def _view(self, item: PlanItem) -> tuple[Outcome, str]:
        before, name = self.before[item.name], self.copies[item.relation.key]
        if before.view_text is None:
            raise RestoreFailed("this user may not read the view's text", where=item.name)
        text = with_other_relations(before.view_text, self.copies)
        if named_in(text, before.view_namespace) & self.copies.keys():
            # In whole names, those are the copies' by now.
            return "skipped", "its query names what would be restored in one or two parts, which mean production's here"
        self.tables.create_view(
            name,
            text=text,
            columns=before.columns,
            comment=before.comment,
            properties=before.view_properties,
            reading=before.view_reading or UNKNOWN_READING,
        )
        self.tables.read_one(name)
        return "proved", "its text answers over the restored copies"
