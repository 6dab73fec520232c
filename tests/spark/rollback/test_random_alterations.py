"""Whatever is done to a table between two restore points comes back, or the plan names it: 200 tables, at random."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import Phase, given, seed, settings, strategies as st
from pyspark.sql import SparkSession
from release_scene import Scene

from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.local.emulation import emulate
from dbx_cd.relations import RelationName
from dbx_cd.rollback.plan import plan_restore
from dbx_cd.rollback.restore import restore

pytestmark = pytest.mark.deep

TABLES, TOGETHER = 200, 20
CREATE = (
    "CREATE TABLE @@ (id INT NOT NULL COMMENT 'the id', v STRING, w INT, CONSTRAINT pk PRIMARY KEY (id)) "
    "COMMENT 'a table' CLUSTER BY (v) TBLPROPERTIES ('delta.columnMapping.mode' = 'name', 'k' = 'v')"
)
FILL = "INSERT INTO @@ VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30)"
TAGS = ("ALTER TABLE @@ SET TAGS ('pii' = 'yes')", "ALTER TABLE @@ ALTER COLUMN v SET TAGS ('pii' = 'no')")

# Statements that fail after others (a column that is gone by then) do nothing, which is as good.
ALTERATIONS = [
    "INSERT INTO @@ (id) VALUES (9)",
    "DELETE FROM @@ WHERE id = 1",
    "UPDATE @@ SET w = 0 WHERE id = 2",
    "MERGE INTO @@ t USING (SELECT 2 AS id, 5 AS w) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET w = s.w",
    "TRUNCATE TABLE @@",
    "ALTER TABLE @@ ADD COLUMN x DOUBLE COMMENT 'new'",
    "ALTER TABLE @@ RENAME COLUMN w TO y",
    "ALTER TABLE @@ DROP COLUMN w",
    "ALTER TABLE @@ ALTER COLUMN v COMMENT 'other'",
    "ALTER TABLE @@ ALTER COLUMN id DROP NOT NULL",
    "COMMENT ON TABLE @@ IS 'other'",
    "ALTER TABLE @@ SET TBLPROPERTIES ('k' = 'other', 'l' = 'new')",
    "ALTER TABLE @@ UNSET TBLPROPERTIES ('k')",
    "ALTER TABLE @@ SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')",
    "ALTER TABLE @@ SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')",
    "ALTER TABLE @@ SET TBLPROPERTIES ('delta.logRetentionDuration' = 'interval 60 days')",
    "ALTER TABLE @@ SET TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 2 days')",
    "ALTER TABLE @@ ADD CONSTRAINT positive CHECK (id > 0)",
    "ALTER TABLE @@ CLUSTER BY (id)",
    "ALTER TABLE @@ CLUSTER BY NONE",
    "OPTIMIZE @@",
    "CREATE OR REPLACE TABLE @@ CLUSTER BY (id) AS SELECT 7 AS id, 'z' AS other",
    "CREATE OR REPLACE TABLE @@ (id INT) TBLPROPERTIES ('m' = 'n')",
    "ALTER TABLE @@ DROP PRIMARY KEY IF EXISTS CASCADE",
    "ALTER TABLE @@ SET TAGS ('pii' = 'no', 'more' = '')",
    "ALTER TABLE @@ UNSET TAGS ('pii')",
    "ALTER TABLE @@ ALTER COLUMN v UNSET TAGS ('pii')",
    "ALTER TABLE @@ ALTER COLUMN id SET TAGS ('key' = 'yes')",
]


@dataclass(frozen=True)
class Seen:
    """All that can be seen of a table, each aspect with the words with which a difference names it."""

    aspects: dict[str, Any]

    def differing(self, other: Seen) -> list[str]:
        names = {**self.aspects, **other.aspects}
        return [name for name in names if self.aspects.get(name) != other.aspects.get(name)]


def look(scene: Scene, name: RelationName) -> Seen:
    tables = SparkTables.of(scene.spark)
    detail, entry, kept = tables.detail(name), tables.entries([name])[name.key], tables.settings([name])[name.key]
    frame = scene.spark.table(name.quoted)
    return Seen(
        {
            "rows": sorted(map(str, frame.collect())),
            "columns": (frame.schema.json(), entry.columns),
            "comment": entry.comment,
            **{f"property {name}": value for name, value in detail.properties.items()},
            "partitioned": detail.partitioned_by,
            "clustered": detail.clustered_by,
            "protocol": (detail.reader_version, detail.writer_version),
            **{f"table feature {name}": True for name in detail.features},
            **{str(key): True for key in kept.keys or ()},
            **{f"tag {name}": value for name, value in (kept.tags or {}).items()},
            **{f"column tag {name}": value for name, value in (kept.column_tags or {}).items()},
            "grant": kept.grants,
            "owner": kept.owner,
            "row filter": kept.row_filter,
            "column mask": kept.column_masks,
        }
    )


def run(scene: Scene, statement: str, name: str) -> None:
    """A statement as the SQL endpoint would run it: what open-source Spark lacks is emulated."""
    text = statement.replace("@@", scene.name(name).quoted)
    answer = emulate(scene.spark, text)
    if isinstance(answer, str):
        scene.spark.sql(answer).collect()


WORKED: set[str] = set()
"""The alterations that were carried out at least once."""


def alter(scene: Scene, name: str, statements: list[str]) -> None:
    for statement in statements:
        with suppress(Exception):  # what cannot be done after what was done before
            run(scene, statement, name)
            WORKED.add(statement)


def drawn() -> list[list[str]]:
    """The statements for each table. They are drawn first and run together: a table alone takes many seconds."""
    found: list[list[str]] = []

    @seed(0)
    @settings(max_examples=TABLES, phases=[Phase.generate], database=None)
    @given(st.lists(st.sampled_from(ALTERATIONS), min_size=1, max_size=5))
    def draw(statements: list[str]) -> None:
        found.append(statements)

    draw()
    return found


@pytest.mark.parametrize("first", range(0, TABLES, TOGETHER))
def test_every_difference_is_restored_or_named(spark: SparkSession, first: int) -> None:
    compare(spark, drawn()[first : first + TOGETHER])


def compare(spark: SparkSession, done: list[list[str]]) -> None:
    """Alter a table by each of the lists of statements, bring all of them back, and look for what is not named."""
    scene = Scene.create(spark, f"random_{uuid.uuid4().hex[:8]}")
    names = [f"t{n}" for n in range(len(done))]

    def each(function: Callable[[str], Any]) -> dict[str, Any]:
        with ThreadPoolExecutor(4) as pool:
            return dict(zip(names, pool.map(function, names), strict=True))

    each(lambda name: [run(scene, statement, name) for statement in (CREATE, FILL, *TAGS)])
    before = each(lambda name: look(scene, scene.name(name)))
    release, _ = scene.deploy(names, lambda: each(lambda name: alter(scene, name, done[names.index(name)])))
    plan = plan_restore(scene.cd, release)
    restore(scene.cd, plan, seal=plan.seal)
    after = each(lambda name: look(scene, scene.name(name)))
    named = {item.relation.identifier: item.differences for item in plan.items}
    for name in names:
        differing = before[name].differing(after[name])
        missed = [aspect for aspect in differing if not any(d.startswith(f"{aspect} ") for d in named[name])]
        assert not missed, (done[names.index(name)], missed, named[name], before[name], after[name])


def test_every_alteration_was_carried_out_at_least_once() -> None:
    assert sorted(set(ALTERATIONS) - WORKED) == []
