"""The release log on real Delta."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from pyspark.sql import SparkSession

from dbx_cd import Release, ReleaseLog
from dbx_cd.release.events import Deployed, Deploying, Failed

FIRST, SECOND = "a" * 40, "b" * 40


def a_log(spark: SparkSession) -> ReleaseLog:
    return ReleaseLog(spark, f"ops.log_{uuid.uuid4().hex[:8]}.releases", actor="bot")


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


def test_order_is_commit_order_also_after_optimize(spark: SparkSession, log: ReleaseLog) -> None:
    release = log.open(FIRST, run_id="in order", requester="ci")
    for record in (Deploying("prod"), Failed("prod", "no"), Deploying("prod"), Deployed("prod", "d")):
        log.append(release, record)
    spark.sql(f"OPTIMIZE {log.table.quoted}")
    assert [e.kind for e in log.events(release.id)] == ["opened", "deploying", "failed", "deploying", "deployed"]
    assert log.tampering() == ()


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


@pytest.mark.parametrize("alter", [_delete_after_unlocking, _restore])
def test_an_altered_log_is_noticed(spark: SparkSession, alter: Callable[[SparkSession, str], None]) -> None:
    log = a_log(spark)
    log.open(FIRST, run_id="1", requester="ci")
    alter(spark, log.table.quoted)
    assert log.tampering() != ()


def test_the_history_is_a_table_newest_first(log: ReleaseLog) -> None:
    releases: list[Release] = [log.open(c * 40, run_id=c, requester="ci") for c in "abc"]
    history = log.history()
    assert [release.id for release, _ in history][:3] == [release.id for release in reversed(releases)]
    assert [row["release_id"] for row in history.to_df().collect()] == [release.id for release, _ in history]
    assert releases[0].id in history.to_html()
