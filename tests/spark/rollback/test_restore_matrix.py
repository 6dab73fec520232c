"""One release over every situation at once: restore point, plan, restore; then each situation on its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce

import pytest
from pyspark.sql import SparkSession
from release_scene import Observed, Scene
from restore_situations import SITUATIONS, Situation

from dbx_cd.errors import RestoreRefused
from dbx_cd.rollback.journal import RestoredRelation
from dbx_cd.rollback.plan import RestorePlan, plan_restore
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.readiness import Readiness
from dbx_cd.rollback.restore import restore
from spark_kind import PROD

pytestmark = pytest.mark.deep

CHECK = "spark.databricks.delta.retentionDurationCheck.enabled"
NAMES = [s.name for s in SITUATIONS]
# Situations that need another relation of the matrix go last, in the order written.
TOGETHER = [s for s in SITUATIONS if not any(s.name.startswith(p) for p in ("a_reader", "chain"))]
AFTERWARDS = [s for s in SITUATIONS if s not in TOGETHER]


@dataclass(frozen=True)
class Outcome:
    """Everything a test asks about, by relation."""

    plan: RestorePlan
    readiness: dict[str, Readiness]
    items: dict[str, PlanItem]
    done: dict[str, RestoredRelation]
    before: dict[str, Observed]
    now: dict[str, Observed]
    after: dict[str, Observed]


@pytest.fixture(scope="module")
def outcome(spark: SparkSession) -> Outcome:
    scene = Scene.create(spark, "restore_matrix")
    scene.spark.conf.set(CHECK, "false")
    return play(scene)


def play(scene: Scene) -> Outcome:
    run(scene, lambda s: s.before)
    before = scene.observe(*NAMES)
    release, point = scene.deploy(NAMES, lambda: run(scene, lambda s: s.release))
    run(scene, lambda s: s.since)
    now = scene.observe(*NAMES)
    cd = scene.cd
    whole = plan_restore(cd, release, new_tables="drop")
    with pytest.raises(RestoreRefused, match="cannot be brought back"):
        restore(cd, whole, seal=whole.seal, discard_later_writes=True)
    plan = plan_restore(cd, release, new_tables="drop", skip=[i.name for i in whole.blocked])
    with pytest.raises(RestoreRefused, match="others wrote after the release"):
        restore(cd, plan, seal=plan.seal)
    result = restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    by_name = {scene.name(n).key: n for n in NAMES}
    return Outcome(
        plan=whole,
        readiness=dict(zip(NAMES, point.readiness, strict=True)),
        items={by_name[i.relation.key]: i for i in whole.items},
        done={n: r for r in result.relations for n in NAMES if r.name in (scene.full(n), scene.name(n).quoted)},
        before=before,
        now=now,
        after=scene.observe(*NAMES),
    )


def run(scene: Scene, phase: Callable[[Situation], tuple[str, ...]]) -> None:
    names = {"{schema}": scene.schema, "{catalog}": PROD}

    def one(situation: Situation) -> None:
        written = (reduce(lambda text, name: text.replace(name, names[name]), names, s) for s in phase(situation))
        scene.sql(*written, this=situation.name)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, TOGETHER))
    for situation in AFTERWARDS:
        one(situation)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda s: s.name)
def test_relation_is_classified_and_brought_back(outcome: Outcome, situation: Situation) -> None:
    name = situation.name
    item, after, now = outcome.items[name], outcome.after[name], outcome.now[name]
    assert outcome.readiness[name].status == situation.readiness
    assert (item.action, len(item.later_writes)) == (situation.action, situation.later), item
    expected = {"before": outcome.before[name], "now": now, "missing": Observed("missing")}[situation.like]
    assert (after.kind, after.rows, after.schema, after.comment) == (
        expected.kind,
        expected.rows,
        expected.schema,
        expected.comment,
    )
    kept = dict(now.properties)
    assert dict(after.properties) == dict(expected.properties) | {k: kept[k] for k in situation.keeps}
    if now.kind == "table" and after.kind == "table":
        assert after.operations == situation.commits + now.operations
    assert (name in outcome.done) == (situation.action != "rebuild")


def test_plan_says_that_files_are_gone_before_anything_is_changed(outcome: Outcome) -> None:
    assert outcome.items["vacuumed"].reason.startswith("version 1 cannot be read")
    assert outcome.items["vacuumed"] in outcome.plan.blocked


def test_table_in_the_place_of_a_view_is_renamed_and_not_dropped(outcome: Outcome, spark: SparkSession) -> None:
    moved = outcome.done["view_to_table"].moved_to
    assert moved is not None
    assert spark.table(moved).count() == 2


def test_every_relation_of_the_result_carries_its_proof(outcome: Outcome) -> None:
    assert all(r.ok and r.proof for r in outcome.done.values())
