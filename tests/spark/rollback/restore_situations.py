"""Kind of relation x what the release did x what happened since x feature: every situation a restore must know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Situation:
    """`@@` is the relation. `commits` are the operations that the restore adds to its history, newest first.

    `like`: what the relation must be after the restore: as `before` the release, as `now` (just before the restore), or
    `missing`.
    """

    name: str
    before: tuple[str, ...] = ()
    release: tuple[str, ...] = ()
    since: tuple[str, ...] = ()
    action: str = "restore"
    readiness: str = "restorable"
    later: int = 0
    commits: tuple[str, ...] = ("RESTORE",)
    like: str = "before"
    keeps: tuple[str, ...] = ()


TWO = ("CREATE TABLE @@ (id INT, v STRING)", "INSERT INTO @@ VALUES (1, 'a'), (2, 'it\\'s')")
VIEW = ("CREATE VIEW @@ (id COMMENT 'the id', w) COMMENT 'it\\'s one' TBLPROPERTIES ('k' = 'v') AS SELECT 1 id, 2 w",)
WRITE = ("INSERT INTO @@ VALUES (9, 'release')",)
FOREIGN = ("INSERT INTO @@ VALUES (8, 'somebody')",)


def with_properties(**properties: str) -> tuple[str, ...]:
    listed = ", ".join(f"'delta.{k}' = '{v}'" for k, v in properties.items())
    return (f"CREATE TABLE @@ (id INT, v STRING) TBLPROPERTIES ({listed})", TWO[1])


MERGE = (
    "MERGE INTO @@ t USING (SELECT 2 id, 'merged' v UNION ALL SELECT 3, 'new') s ON t.id = s.id "
    "WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"
)

SITUATIONS = [
    # what the release did
    Situation("append", TWO, WRITE),
    Situation("merged", TWO, (MERGE,)),
    Situation("emptied", TWO, ("DELETE FROM @@",)),
    Situation("filled", TWO[:1], WRITE),
    Situation("replaced", TWO, ("CREATE OR REPLACE TABLE @@ AS SELECT 1.5D amount, current_date() d",)),
    Situation("untouched", TWO, action="none", commits=()),
    Situation("column_added", TWO, ("ALTER TABLE @@ ADD COLUMN w INT", "INSERT INTO @@ VALUES (3, 'c', 3)")),
    Situation(
        "partitioned_otherwise",
        ("CREATE TABLE @@ (id INT, v STRING) PARTITIONED BY (v)", TWO[1]),
        ("CREATE OR REPLACE TABLE @@ PARTITIONED BY (id) AS SELECT 5 id, 'z' v",),
    ),
    Situation(
        "clustered", ("CREATE TABLE @@ (id INT, v STRING) CLUSTER BY (id)", TWO[1]), ("ALTER TABLE @@ CLUSTER BY (v)",)
    ),
    Situation(
        "comments_changed",
        ("CREATE TABLE @@ (id INT COMMENT 'the id') COMMENT 'a table'", "INSERT INTO @@ VALUES (1)"),
        ("ALTER TABLE @@ ALTER COLUMN id COMMENT 'other'", "COMMENT ON TABLE @@ IS 'other'"),
    ),
    Situation(
        "nested_types",
        (
            "CREATE TABLE @@ (s STRUCT<a: INT, b: ARRAY<STRING>>, m MAP<STRING, DECIMAL(9, 2)>)",
            "INSERT INTO @@ SELECT named_struct('a', 1, 'b', array('x', null)), map('k', 1.25BD)",
        ),
        ("CREATE OR REPLACE TABLE @@ AS SELECT 1 s",),
    ),
    # features
    Situation("check_added", TWO, ("ALTER TABLE @@ ADD CONSTRAINT positive CHECK (id > 0)",)),
    Situation(
        "check_dropped",
        (*TWO, "ALTER TABLE @@ ADD CONSTRAINT positive CHECK (id > 0)"),
        ("ALTER TABLE @@ DROP CONSTRAINT positive", "INSERT INTO @@ VALUES (-1, 'x')"),
    ),
    Situation(
        "deletion_vector_added", with_properties(enableDeletionVectors="true"), ("DELETE FROM @@ WHERE id = 1",)
    ),
    Situation(
        "deletion_vector_held",
        (
            "CREATE TABLE @@ (id BIGINT) TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')",
            "INSERT INTO @@ SELECT /*+ REPARTITION(1) */ id FROM range(20)",
            "DELETE FROM @@ WHERE id = 3",
        ),
        ("DELETE FROM @@ WHERE id = 4",),
    ),
    Situation(
        "deletion_vectors_enabled",
        TWO,
        ("ALTER TABLE @@ SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')", "DELETE FROM @@ WHERE id = 1"),
    ),
    Situation(
        "column_renamed", with_properties(**{"columnMapping.mode": "name"}), ("ALTER TABLE @@ RENAME COLUMN v TO w",)
    ),
    Situation(
        "column_dropped",
        with_properties(**{"columnMapping.mode": "name"}),
        ("ALTER TABLE @@ DROP COLUMN v", "INSERT INTO @@ VALUES (3)"),
    ),
    Situation(
        "columns_mapped_and_replaced",
        with_properties(**{"columnMapping.mode": "name"}),
        ("CREATE OR REPLACE TABLE @@ TBLPROPERTIES ('delta.columnMapping.mode' = 'name') AS SELECT 1 a, 2 b, 3 c",),
    ),
    Situation("change_data_feed", with_properties(enableChangeDataFeed="true"), (MERGE,)),
    Situation(
        "change_data_feed_enabled", TWO, ("ALTER TABLE @@ SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')",)
    ),
    Situation("append_only", with_properties(appendOnly="true"), WRITE),
    Situation(
        "generated_column",
        ("CREATE TABLE @@ (id INT, twice INT GENERATED ALWAYS AS (id * 2))", "INSERT INTO @@ (id) VALUES (4)"),
        ("INSERT INTO @@ (id) VALUES (5)",),
    ),
    Situation("row_tracking", with_properties(enableRowTracking="true"), (MERGE,)),
    Situation(
        "type_widened", with_properties(enableTypeWidening="true"),
        ("ALTER TABLE @@ ALTER COLUMN id TYPE BIGINT",),
    ),
    # what happened since
    Situation("optimized_since", (*TWO, *FOREIGN), WRITE, ("OPTIMIZE @@",)),
    Situation("only_optimized", (*TWO, *FOREIGN), (), ("OPTIMIZE @@",), action="none", commits=()),
    Situation(
        "retention_lengthened_since",
        with_properties(deletedFileRetentionDuration="interval 2 days"),
        WRITE,
        ("ALTER TABLE @@ SET TBLPROPERTIES ('delta.deletedFileRetentionDuration' = 'interval 20 days')",),
        commits=("SET TBLPROPERTIES", "RESTORE"),
        keeps=("delta.deletedFileRetentionDuration",),
    ),
    Situation("written_by_others_twice", TWO, WRITE, (*FOREIGN, "OPTIMIZE @@", "DELETE FROM @@ WHERE id = 1"), later=2),
    Situation("property_set_by_others", TWO, WRITE, ("ALTER TABLE @@ SET TBLPROPERTIES ('a' = 'b')",), later=1),
    Situation(
        "restored_already", TWO, WRITE, ("RESTORE TABLE @@ TO VERSION AS OF 1",), action="none", commits=(), later=0
    ),
    # Somebody went back further than the release: nothing of it is left to undo.
    Situation(
        "restored_too_far", TWO, WRITE, ("RESTORE TABLE @@ TO VERSION AS OF 0",), action="keep", commits=(), like="now"
    ),
    Situation("only_others_wrote", TWO, (), FOREIGN, action="keep", commits=(), like="now"),
    Situation("gone", TWO, WRITE, ("DROP TABLE @@",), action="rebuild", like="now", commits=()),
    Situation(
        "renamed_away", TWO, WRITE, ("ALTER TABLE @@ RENAME TO @renamed_to",),
        action="rebuild", like="now", commits=(),
    ),
    Situation("made_anew", TWO, ("DROP TABLE @@", *TWO, WRITE[0]), action="rebuild", like="now", commits=()),
    Situation(
        "vacuumed", TWO, ("INSERT OVERWRITE @@ VALUES (7, 'x')",), ("VACUUM @@ RETAIN 0 HOURS",),
        action="rebuild", like="now", commits=(),
    ),
    # kinds
    Situation(
        "table_to_view", TWO, ("DROP TABLE @@", "CREATE VIEW @@ AS SELECT 1 id"),
        action="rebuild", like="now", commits=(),
    ),
    Situation("view_to_table", VIEW, ("DROP VIEW @@", *TWO), action="recreate_view", commits=()),
    Situation(
        "view_text", VIEW, ("CREATE OR REPLACE VIEW @@ AS SELECT 'other' x",),
        action="recreate_view", commits=(),
    ),
    Situation(
        "view_comment", VIEW, ("ALTER VIEW @@ SET TBLPROPERTIES ('k' = 'w')",),
        action="recreate_view", commits=(),
    ),
    Situation("view_untouched", VIEW, action="none", commits=()),
    Situation(
        "view_changed_by_others", VIEW, ("CREATE OR REPLACE VIEW @@ AS SELECT 'other' x",),
        ("CREATE OR REPLACE VIEW @@ AS SELECT 'third' x",), action="recreate_view", commits=(), later=1,
    ),
    Situation(
        "view_only_others_changed", VIEW, (), ("CREATE OR REPLACE VIEW @@ AS SELECT 'third' x",), action="keep",
        commits=(), like="now",
    ),
    Situation("base", TWO, ("CREATE OR REPLACE TABLE @@ AS SELECT 1 id",)),
    Situation("a_reader_of_base", ("CREATE VIEW @@ AS SELECT v FROM @base",), action="none", commits=()),
    Situation("chain_2", VIEW, ("CREATE OR REPLACE VIEW @@ AS SELECT 1 other",), action="recreate_view", commits=()),
    Situation(
        "chain_1", ("CREATE VIEW @@ AS SELECT id + w total FROM @chain_2",),
        ("CREATE OR REPLACE VIEW @@ AS SELECT other FROM @chain_2",),
        action="recreate_view", commits=(),
    ),
    Situation(
        "chain_0", ("CREATE VIEW @@ AS SELECT total FROM `{catalog}`.`{schema}`.`chain_1`",), ("DROP VIEW @@",),
        action="recreate_view", commits=(),
    ),
    # created by the release
    Situation("new_table", (), TWO, action="drop", like="missing", commits=()),
    Situation("new_view", (), VIEW, action="drop", like="missing", commits=()),
    Situation("new_table_written_since", (), TWO, FOREIGN, action="drop", like="missing", later=1, commits=()),
    Situation("new_by_others", (), (), TWO, action="keep", like="now", commits=()),
    Situation("never_there", action="none", commits=()),
]  # fmt: skip
