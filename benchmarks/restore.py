"""A data rollback against the bare RESTORE statements; how many metadata queries and how much memory a plan takes.

Run alone with `make bench PART=restore`, or with other sizes by `python -m benchmarks.restore --tables N`.

To end in time: plans are made of 200 tables and of 20, not of 500 and 50, and these tables are empty. Queries of a plan
are counted by table, and memory is compared over ten times as many tables, so both say what they said before.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from pyspark.sql import DataFrame, SparkSession

from benchmarks.measure import Ratio, say, side_by_side
from dbx_cd.artifacts.store import ArtifactStore
from dbx_cd.config import CdConfig
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.sql import THREADS
from dbx_cd.local.session_user import act_as
from dbx_cd.local.spark_session import start_spark
from dbx_cd.local.standard_grants import grant_everything
from dbx_cd.relations import RelationName
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Release
from dbx_cd.release.log import ReleaseLog
from dbx_cd.rollback.capture import capture_restore_point, observe, record_versions_after
from dbx_cd.rollback.plan import plan_restore
from dbx_cd.rollback.point import RestorePoint
from dbx_cd.rollback.restore import restore

TABLES, PLAN_TABLES, ROUNDS = 50, 200, 2
ROWS = 1_000_000
WHO = "bench@example.org"
WITH_ROWS = "CREATE TABLE {} AS SELECT id, id * 2 AS twice FROM range(100)"
EMPTY = "CREATE TABLE {} (id BIGINT, twice BIGINT)"


@dataclass(frozen=True)
class Took:
    """Seconds by the clock, and of processors in this process and the JVM."""

    wall: float
    processor: float


class Clock:
    """Measures from now on."""

    def __init__(self, spark: SparkSession) -> None:
        self._jvm = spark.sparkContext._gateway.proc.pid  # type: ignore[union-attr]
        self._began = self._now()

    def _now(self) -> Took:
        # utime and stime, behind the name in parentheses (Linux, proc(5)).
        ticks = Path(f"/proc/{self._jvm}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[11:13]
        return Took(time.perf_counter(), time.process_time() + sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"))

    def took(self) -> Took:
        """The time since it was made."""
        now = self._now()
        return Took(now.wall - self._began.wall, now.processor - self._began.processor)


class CountingSession:
    """A session that counts the statements it is given, by their first two words."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark
        self.counts: Counter[str] = Counter()

    def sql(self, text: str, *args: Any, **options: Any) -> DataFrame:
        self.counts[" ".join(text.split()[:2]).upper()] += 1
        return self._spark.sql(text, *args, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spark, name)


class Bench:
    """Stands for the client of whoever measures."""

    current_user = SimpleNamespace(me=lambda: SimpleNamespace(user_name=WHO))


class Production:
    """Tables of one schema, and a release log."""

    def __init__(self, spark: SparkSession, schema: str, *, tables: int, create: str = WITH_ROWS) -> None:
        say(f"creating {tables} tables")
        spark.sql(f"CREATE SCHEMA prod.{schema}")
        # The embedded workspace names whoever writes, as Databricks does: else the release's own commits are in doubt.
        self.spark = act_as(spark, WHO)
        self.tables = [RelationName("prod", schema, f"t{n:03}") for n in range(tables)]
        self.log = ReleaseLog(self.spark, f"ops.{schema}.release_log", actor=WHO)
        self.each(create)

    def cd(self, spark: Any = None) -> Cd:
        return Cd(spark or self.spark, CdConfig(), ArtifactStore("unused"), self.log, Bench())  # type: ignore[arg-type]

    def each(self, statement: str) -> None:
        """Run a statement for every table, as many at a time as a restore does."""
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda table: self.spark.sql(statement.format(table.quoted)).collect(), self.tables))

    def open(self, label: str) -> Release:
        commit = hashlib.sha1(label.encode()).hexdigest()
        return self.log.open(commit, run_id=label, requester=WHO)


def measure(
    *, tables: int = TABLES, plan_tables: int = PLAN_TABLES, rounds: int = ROUNDS, rows: int = ROWS
) -> Iterator[Ratio | str]:
    """The ratio of times, the queries of a plan, and what memory it takes."""
    folder = Path(tempfile.mkdtemp(prefix="dbx_cd_bench_"))
    spark = start_spark(folder / "state", catalogs=("prod",))
    grant_everything(spark, WHO, catalogs=("prod", "ops"))
    _restored(Production(spark, "warm", tables=4), "warm")
    yield from _against_bare(Production(spark, "restored", tables=tables), rounds)
    yield _proof_of_rows(spark, rows)
    few = Production(spark, "few", tables=max(plan_tables // 10, 1), create=EMPTY)
    many = Production(spark, "many", tables=plan_tables, create=EMPTY)
    small = _planned(few)
    yield small[0]
    large = _planned(many)
    yield large[0]
    grown = large[1] / small[1]
    yield (
        f"peak memory of the process, plan of {plan_tables} tables against {plan_tables // 10}: {grown:.2f} "
        f"(aim <= 1.1: {'met' if grown <= 1.1 else 'MISSED'}); {large[1]:.0f} MiB and {small[1]:.0f} MiB"
    )
    spark.stop()


def _proof_of_rows(spark: SparkSession, rows: int) -> Ratio:
    """A fingerprint with the positions of rows, against one that only counts those of each file."""
    say(f"creating a table of {rows:,} rows with deletion vectors")
    spark.sql("CREATE SCHEMA prod.vectors")
    table = RelationName("prod", "vectors", "t")
    spark.sql(
        f"CREATE TABLE {table.quoted} TBLPROPERTIES ('delta.enableDeletionVectors' = 'true') "
        f"AS SELECT id FROM range(0, {rows}, 1, 4)"
    )
    spark.sql(f"DELETE FROM {table.quoted} WHERE id % 1000003 = 5")
    tables = SparkTables.of(spark)
    return side_by_side(
        f"proof of {rows:,} rows with deletion vectors against count",
        lambda: tables.fingerprint(table, positions=True),
        lambda: tables.fingerprint(table, positions=False),
        rounds=3,
    )


def _against_bare(production: Production, rounds: int) -> Iterator[Ratio]:
    ours: list[Took] = []
    other: list[Took] = []
    for n in range(rounds):
        ours.append(_restored(production, f"round {n}"))
        versions = [s.version for s in observe(production.cd().tables, production.tables)]
        production.each("INSERT INTO {} VALUES (-1, -1)")
        other.append(_bare(production, versions))
        say(f"round {n + 1} of {rounds}: {ours[-1].wall:.1f}, {other[-1].wall:.1f} s")
    name = f"restore of {len(production.tables)} tables against bare RESTORE statements, {THREADS} at a time"
    yield Ratio(name, tuple(t.wall for t in ours), tuple(t.wall for t in other), aim=1.2)
    # What else runs on the machine makes this one longer only a little.
    yield Ratio(f"{name}, processor time", tuple(t.processor for t in ours), tuple(t.processor for t in other), aim=1.2)


def _restored(production: Production, label: str) -> Took:
    """A release that writes to every table, and the time that `restore` takes to undo it."""
    release, cd = production.open(label), production.cd()
    point = capture_restore_point(cd, release, production.tables)
    production.each("INSERT INTO {} VALUES (-1, -1)")
    record_versions_after(cd, release, point)
    plan = plan_restore(cd, release)
    clock = Clock(production.spark)
    result = restore(cd, plan, seal=plan.seal)
    took = clock.took()
    assert all(r.ok and r.action == "restore" for r in result.relations)
    return took


def _bare(production: Production, versions: Sequence[int | None]) -> Took:
    def one(n: int) -> None:
        table = production.tables[n].quoted
        production.spark.sql(f"RESTORE TABLE {table} TO VERSION AS OF {versions[n]}").collect()

    clock = Clock(production.spark)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(one, range(len(production.tables))))
    return clock.took()


def _planned(production: Production) -> tuple[str, float]:
    """The statements of a plan, and the process' peak memory in MiB after it."""
    say(f"planning a restore of {len(production.tables)} tables")
    release, count = production.open("plan"), len(production.tables)
    # Without the proof of files, which is not what is counted here.
    states = observe(production.cd().tables, production.tables)
    production.log.append(release, RestorePoint(release.id, datetime.now(UTC), states))
    spark = CountingSession(production.spark)
    started = time.perf_counter()
    plan_restore(production.cd(spark), release)
    seconds = time.perf_counter() - started
    per_table = sum(n for kind, n in spark.counts.items() if kind in ("DESCRIBE DETAIL", "DESCRIBE HISTORY")) / count
    of_catalog = sum(spark.counts.values()) - round(per_table * count)
    judged = "met" if per_table <= 2 else "MISSED"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"plan of {count} tables: {per_table:.2f} metadata queries a table (aim <= 2: {judged}), {of_catalog} of the "
        f"catalog, {seconds:.1f} s"
    ), peak


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=int, default=TABLES)
    parser.add_argument("--plan-tables", type=int, default=PLAN_TABLES)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--rows", type=int, default=ROWS)
    given = vars(parser.parse_args())
    for found in measure(**given):
        print(found, flush=True)
