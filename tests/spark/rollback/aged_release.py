"""One release over many old tables, the time that passes since, and what a rollback then finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from aged_cases import Case
from aged_logs import age, in_whole_seconds
from pyspark.sql import SparkSession
from release_scene import TESTER, Observed, Scene

from dbx_cd.dbt.effects import BuildEffects
from dbx_cd.delta.retention import FILES_KEPT, retention
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.sql import Sql, in_parallel
from dbx_cd.errors import RestoreFailed, RestoreRefused, SqlFailed
from dbx_cd.plan.baseline import before_release
from dbx_cd.plan.rollback_readiness import require_readiness
from dbx_cd.relations import RelationName
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Release
from dbx_cd.release.log import ReleaseLog
from dbx_cd.rollback.capture import capture_restore_point, record_versions_after
from dbx_cd.rollback.journal import RestoredRelation
from dbx_cd.rollback.plan import plan_restore
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.point import RestorePoint
from dbx_cd.rollback.readiness import Readiness, extend_retention
from dbx_cd.rollback.restore import restore
from dbx_cd.smoke.baseline import NoBaseline
from memory.log_table import MemoryLogTable
from spark_kind import PROD, own_session

THREADS = 4


@dataclass
class StoreTables(SparkTables):
    """Tables that this session may not always alter, on a store that may keep file times in whole seconds."""

    spark: SparkSession
    not_alterable: frozenset[str] = frozenset()
    whole_seconds: frozenset[str] = frozenset()
    sql: Sql = field(init=False)

    def __post_init__(self) -> None:
        self.sql = Sql(self.spark)

    def set_properties(self, table: RelationName, properties: Mapping[str, str]) -> None:
        self._altering(table, lambda: SparkTables.set_properties(self, table, properties))

    def unset_properties(self, table: RelationName, names: Sequence[str]) -> None:
        self._altering(table, lambda: SparkTables.unset_properties(self, table, names))

    def signed(self, user_metadata: str) -> StoreTables:
        return self

    def _altering(self, table: RelationName, alter: Callable[[], None]) -> None:
        if table.key in self.not_alterable:
            raise SqlFailed("User does not have MODIFY", condition="INSUFFICIENT_PERMISSIONS")
        alter()
        if table.key in self.whole_seconds:
            in_whole_seconds(self.spark, table)


@dataclass(frozen=True)
class Seen:
    """What was seen of one table, in order."""

    case: Case
    before: Observed
    """The table before the release."""
    ready: Readiness
    """What its restore point says."""
    refused: bool
    """Whether the policy `error` refuses the deploy for it."""
    taken_at: datetime
    """When that was."""
    passed: timedelta
    """The time that passed until somebody wanted it back."""
    item: PlanItem
    """What the plan says then."""
    baseline: tuple[str, ...] | NoBaseline
    """The rows as a comparison with the table before the release reads them."""
    log_begins: int
    """The oldest version that its log still has."""
    item_extended: PlanItem | None
    """What a plan says after retention was made longer, where the plan said to."""
    done: RestoredRelation | None
    """What a restore did."""
    now: Observed
    """The table in the end."""


@dataclass(frozen=True)
class AgedRelease:
    """A release over a table for each case."""

    scene: Scene
    rows: MemoryLogTable
    cases: Mapping[str, Case]
    """By the table's name in the scene."""

    @classmethod
    def create(cls, spark: SparkSession, schema: str, cases: Iterable[Case]) -> AgedRelease:
        """Make the tables, and make them old. The release log is in memory, so that time can pass for it as well."""
        spark.sql(f"CREATE SCHEMA {PROD}.{schema}")
        rows = MemoryLogTable()
        scene = Scene(own_session(spark, TESTER), schema, ReleaseLog.on(rows, actor=TESTER))
        release = cls(scene, rows, {f"t{n}": case for n, case in enumerate(cases)})
        release.each(release._make)
        return release

    def each(self, do: Callable[[str, Case], None], names: Iterable[str] | None = None) -> None:
        """Do something with tables, some at a time."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda name: do(name, self.cases[name]), self.cases if names is None else names))

    def _make(self, name: str, case: Case) -> None:
        self.scene.sql(*case.before, this=name)
        by = timedelta(days=case.days)
        age(
            self.scene.spark,
            self.scene.name(name),
            by,
            earlier=by + timedelta(days=40) if case.entries == "older" else None,
            shared=datetime.now(UTC) - by if case.entries == "shared" else None,
            whole_seconds=case.whole_seconds or case.entries == "shared",
        )

    def deployer(self) -> Cd:
        """The context of whoever deploys."""
        names = {n: self.scene.name(n).key for n in self.cases}
        tables = StoreTables(
            self.scene.spark,
            frozenset(names[n] for n, case in self.cases.items() if not case.alterable),
            frozenset(names[n] for n, case in self.cases.items() if case.whole_seconds),
        )
        return replace(self.scene.cd, tables=tables)

    def deploy(self) -> tuple[Release, RestorePoint]:
        """Restore point, build, versions after."""
        cd, release = self.deployer(), self.scene.open()
        resets = {self.scene.name(n).key: dict[str, str]() for n, c in self.cases.items() if c.build == "reset"}
        names = [self.scene.name(n) for n in self.cases]
        point = capture_restore_point(cd, release, names, effects=BuildEffects(properties=resets))
        self.each(self._build)
        record_versions_after(cd, release, point)
        return release, point

    def _build(self, name: str, case: Case) -> None:
        self.scene.sql(case.release, this=name)
        if case.whole_seconds:
            in_whole_seconds(self.scene.spark, self.scene.name(name))

    def pass_time(self, point: RestorePoint) -> dict[str, timedelta]:
        """Let for each table pass what its case says, and let maintenance run."""
        passed = {name: self._passing(point, name, case) for name, case in self.cases.items()}

        def go_on(name: str, case: Case) -> None:
            spark, table = self.scene.spark, self.scene.name(name)
            if case.retention == "lengthened":
                extend_retention(spark, table, days=500)
            if passed[name]:
                age(spark, table, passed[name], whole_seconds=False)
            if case.vacuum:
                self.scene.sql("VACUUM @@", this=name)
            if case.clean_up:
                self.scene.sql("ALTER TABLE @@ SET TBLPROPERTIES ('delta.checkpointInterval' = '1')", this=name)

        self.each(go_on)
        self.rows.move_back({self.scene.full(name): by for name, by in passed.items()})
        return passed

    def _passing(self, point: RestorePoint, name: str, case: Case) -> timedelta:
        state = point.state(self.scene.name(name))
        assert state is not None
        assert state.committed_at is not None
        ready = point.readiness[point.relations.index(state)]
        # What is lost is so at once; only a table whose properties a build resets may be kept longer than promised.
        now = {} if case.build == "reset" else state.properties
        end = max(ready.until or point.taken_at, state.committed_at + retention(now, FILES_KEPT))
        match case.moment:
            case "late" if ready.until:
                return (ready.until - point.taken_at) * 6 / 7
            case "past":
                return end - point.taken_at + timedelta(days=1)
        return timedelta()


def play(spark: SparkSession, schema: str, cases: Sequence[Case]) -> dict[Case, Seen]:
    """Everything of one release over the cases' tables."""
    aged = AgedRelease.create(spark, schema, cases)
    scene, cd, names = aged.scene, aged.scene.cd, list(aged.cases)
    before = scene.observe(*names)
    release, point = aged.deploy()
    passed = aged.pass_time(point)
    plan = plan_restore(cd, release)
    items = {item.relation.key: item for item in plan.items}
    recorded = cd.log.last(release, RestorePoint)
    assert recorded is not None
    comparison = before_release(cd.tables, recorded.relations)

    def compare(name: str) -> tuple[str, ...] | NoBaseline:
        source = comparison.source(name, scene.name(name))
        if isinstance(source, NoBaseline):
            return source
        return tuple(map(str, sorted(spark.sql(f"SELECT * FROM {source}").collect(), key=str)))

    baselines = dict(zip(names, in_parallel(compare, names, threads=THREADS), strict=True))
    begins = in_parallel(lambda n: min(cd.tables.history(scene.name(n)).commits), names, threads=THREADS)
    done = _restored(cd, release, skip=[item.name for item in plan.blocked])
    blocked = [n for n in names if items[scene.name(n).key] in plan.blocked]
    aged.each(lambda name, _: extend_retention(spark, scene.name(name), days=500), blocked)
    extended: dict[str, PlanItem] = {}
    if blocked:
        only = [scene.full(n) for n in blocked]
        extended = {item.relation.key: item for item in plan_restore(cd, release, only=only).items}
        done |= _restored(cd, release, only=only, skip=[i.name for i in extended.values() if i.action != "restore"])
    now = scene.observe(*names)
    return {
        case: Seen(
            case,
            before[name],
            ready,
            _is_refused(replace(point, relations=(state,))),
            point.taken_at,
            passed[name],
            items[scene.name(name).key],
            baselines[name],
            first,
            extended.get(scene.name(name).key),
            done.get(scene.full(name)),
            now[name],
        )
        for (name, case), state, ready, first in zip(
            aged.cases.items(), point.relations, point.readiness, begins, strict=True
        )
    }


def _is_refused(point: RestorePoint) -> bool:
    try:
        require_readiness(point, policy="error")
    except RestoreRefused:
        return True
    return False


def _restored(
    cd: Cd, release: Release, *, only: Sequence[str] | None = None, skip: Sequence[str]
) -> dict[str, RestoredRelation]:
    if only is not None and len(only) == len(skip):
        return {}
    plan = plan_restore(cd, release, only=only, skip=skip)
    try:
        result = restore(cd, plan, seal=plan.seal)
    except RestoreFailed as failed:
        result = failed.result
    return {relation.name: relation for relation in result.relations}
