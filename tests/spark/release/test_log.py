"""The release log on real Delta."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from pyspark.sql import SparkSession

from dbx_cd import Release, ReleaseLog, SqlFailed
from dbx_cd.delta.log_table import DeltaLogTable
from dbx_cd.delta.sql import Sql
from dbx_cd.release.events import Deployed, Deploying, Failed
from spark_kind import OPS

FIRST, SECOND = "a" * 40, "b" * 40


def a_log(spark: SparkSession) -> ReleaseLog:
    return ReleaseLog(spark, f"{OPS}.log_{uuid.uuid4().hex[:8]}.releases", actor="bot")


@pytest.fixture(scope="module")
def log(spark: SparkSession) -> ReleaseLog:
    """One log for the tests that take no event away; each opens releases of its own."""
    return a_log(spark)


def test_tasks_that_open_at_once_agree_on_one_release(log: ReleaseLog) -> None:
    log.open(FIRST, run_id="before", requester="ci")
    with ThreadPoolExecutor(4) as pool:
        opened = list(pool.map(lambda _: log.open(SECOND, run_id="at once", requester="ci"), range(4)))
    assert len(set(opened)) == 1


def test_an_event_is_one_delta_commit_signed_with_its_id(spark: SparkSession, log: ReleaseLog) -> None:
    release = log.open(FIRST, run_id="signed", requester="ci")
    (before,) = spark.sql(f"DESCRIBE HISTORY {log.table.quoted} LIMIT 1").collect()
    event = log.append(release, Deploying("prod"))
    (newest,) = spark.sql(f"DESCRIBE HISTORY {log.table.quoted} LIMIT 1").collect()
    assert newest["version"] == before["version"] + 1
    assert newest["userMetadata"] == f"dbx_cd {event.event_id}"


def test_an_event_that_is_appended_again_is_there_once_also_at_the_same_time(spark: SparkSession) -> None:
    """What makes it safe to try again where nobody knows whether the first attempt has written."""
    log = a_log(spark)
    log.open(FIRST, run_id="again", requester="ci")
    table = DeltaLogTable(Sql(spark), log.table)
    row = replace(table.rows()[0][1], event_id=uuid.uuid4().hex)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: table.append([row]), range(4)))
    before = len(table.commits())
    table.append([row])
    assert [r.event_id for _, r in table.rows()].count(row.event_id) == 1
    assert len(table.commits()) == before


def test_what_looks_like_a_variable_is_read_as_it_was_written(log: ReleaseLog) -> None:
    """Spark would put the environment's secrets there, and nothing in the place of what it does not know."""
    release = log.open(FIRST, run_id="variables", requester="ci")
    text = r"${env:HOME} ${spark.app.name} ${nothing} \${HOME} $HOME '${HOME}'"
    log.append(release, Failed("prod", text))
    assert log.last(release, Failed) == Failed("prod", text)


def test_order_is_commit_order_also_after_optimize(spark: SparkSession, log: ReleaseLog) -> None:
    release = log.open(FIRST, run_id="in order", requester="ci")
    for record in (Deploying("prod"), Failed("prod", "no"), Deploying("prod"), Deployed("prod", "d")):
        log.append(release, record)
    spark.sql(f"OPTIMIZE {log.table.quoted}")
    assert [e.kind for e in log.events(release.id)] == ["opened", "deploying", "failed", "deploying", "deployed"]
    assert not log.tampering()


def test_the_log_refuses_updates_and_deletes(spark: SparkSession, log: ReleaseLog) -> None:
    log.open(FIRST, run_id="refused", requester="ci")
    with pytest.raises(Exception, match="append"):
        spark.sql(f"DELETE FROM {log.table.quoted}")


def _delete_after_unlocking(spark: SparkSession, table: str) -> None:
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
    spark.sql(f"DELETE FROM {table}")
    spark.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.appendOnly' = 'true')")


def _restore(spark: SparkSession, table: str) -> None:
    spark.sql(f"RESTORE TABLE {table} TO VERSION AS OF 0")


@pytest.mark.parametrize("alter", [_delete_after_unlocking, pytest.param(_restore, marks=pytest.mark.deep)])
def test_an_altered_log_is_noticed(spark: SparkSession, alter: Callable[[SparkSession, str], None]) -> None:
    log = a_log(spark)
    log.open(FIRST, run_id="1", requester="ci")
    alter(spark, log.table.quoted)
    assert log.tampering()


@pytest.mark.parametrize("alter", [pytest.param(_delete_after_unlocking, marks=pytest.mark.deep), _restore])
def test_what_was_acknowledged_is_no_alteration_until_the_next_one(
    spark: SparkSession, alter: Callable[[SparkSession, str], None]
) -> None:
    log = a_log(spark)
    log.open(FIRST, run_id="1", requester="ci")
    alter(spark, log.table.quoted)
    record = log.tampering().acknowledge(actor="owner", reason="it was us")
    log.append_acknowledgement(record)
    assert not log.tampering()
    assert log.tampering().acknowledged == (record,)
    assert log.history().rows == ()
    log.open(SECOND, run_id="2", requester="ci")
    spark.sql(f"OPTIMIZE {log.table.quoted}")
    assert not log.tampering()
    spark.sql(f"ALTER TABLE {log.table.quoted} UNSET TBLPROPERTIES ('delta.appendOnly')")
    assert [commit.operation for commit in log.tampering()] == ["UNSET TBLPROPERTIES"]


@pytest.mark.deep
def test_a_restore_to_before_the_acknowledgement_takes_it_away(spark: SparkSession) -> None:
    log = a_log(spark)
    log.open(FIRST, run_id="1", requester="ci")
    _delete_after_unlocking(spark, log.table.quoted)
    altered = log.tampering()
    log.append_acknowledgement(altered.acknowledge(actor="owner", reason="it was us"))
    spark.sql(f"RESTORE TABLE {log.table.quoted} TO VERSION AS OF {altered.commits[0].version}")
    operations = [commit.operation for commit in log.tampering()]
    assert operations == ["RESTORE", *(commit.operation for commit in altered)]


def test_of_settings_only_those_that_a_log_needs_are_an_alteration(spark: SparkSession) -> None:
    log = a_log(spark)
    log.open(FIRST, run_id="1", requester="ci")

    def alterations_after(statement: str) -> int:
        spark.sql(f"ALTER TABLE {log.table.quoted} {statement}")
        return len(log.tampering().commits)

    assert alterations_after("SET TBLPROPERTIES ('delta.logRetentionDuration' = 'interval 500 days')") == 0
    assert alterations_after("SET TBLPROPERTIES ('comment' = 'keep delta.appendOnly')") == 0
    assert alterations_after("CLUSTER BY (kind)") == 0
    assert alterations_after("SET TBLPROPERTIES ('DELTA.APPENDONLY' = 'false')") == 1
    assert alterations_after("SET TBLPROPERTIES ('delta.logRetentionDuration' = 'interval 30 days')") == 2
    assert alterations_after("SET TBLPROPERTIES ('delta.enableRowTracking' = 'false')") == 3


def test_a_log_without_row_tracking_is_told_to_be_altered_and_can_be_read_once_it_is_on_again(
    spark: SparkSession,
) -> None:
    log = a_log(spark)
    release = log.open(FIRST, run_id="1", requester="ci")
    spark.sql(f"ALTER TABLE {log.table.quoted} SET TBLPROPERTIES ('delta.enableRowTracking' = 'false')")
    assert [commit.operation for commit in log.tampering()] == ["SET TBLPROPERTIES"]
    with pytest.raises(SqlFailed, match="row_commit_version"):
        log.read()
    spark.sql(f"ALTER TABLE {log.table.quoted} SET TBLPROPERTIES ('delta.enableRowTracking' = 'true')")
    log.append_acknowledgement(log.tampering().acknowledge(actor="owner", reason="turned on again"))
    assert not log.tampering()
    assert [r for r, _ in log.history()] == [release]


def test_the_history_is_a_table_newest_first(log: ReleaseLog) -> None:
    releases: list[Release] = [log.open(c * 40, run_id=c, requester="ci") for c in "abc"]
    history = log.history()
    assert [release.id for release, _ in history][:3] == [release.id for release in reversed(releases)]
    assert [row["release_id"] for row in history.to_df().collect()] == [release.id for release, _ in history]
    assert releases[0].id in history.to_html()
