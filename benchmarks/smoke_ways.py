"""The questions of the smoke benchmark, asked in the other ways: by hand, and with other libraries.

Each way asks of every table what `SUITE` and the contracts of `benchmarks.smoke` ask: is the key unique, are two
columns never null, is a status one of five, an amount within limits; the row count, sum and greatest amount; and the
row count and sum of the baseline. They ask one table after the other, as their users do; dbx_cd asks several at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import great_expectations as gx
import great_expectations.expectations as gxe
from pyspark.sql import DataFrame, Row, SparkSession, types as t

STATUSES = (0, 1, 2, 3, 4)


def by_hand(spark: SparkSession, names: Sequence[str]) -> None:
    """One query for each table and one for its baseline: the least that answers the same questions."""
    for name in names:
        now = spark.sql(f"""
            select count(*), sum(amount), max(amount), count_if(amount < 0 or amount > 100),
                   count(order_id) - count(distinct order_id), count_if(order_id is null), count_if(amount is null),
                   count_if(status not in (0, 1, 2, 3, 4))
            from stg.bench.{name}
        """).collect()[0]
        _within(now, _baseline(spark, name))
        assert 0 <= now[2] <= 100
        assert not any(now[3:])


def plain_great_expectations(spark: SparkSession, names: Sequence[str]) -> None:
    """The same expectations as Great Expectations runs them by itself."""
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = {"globally": False, "metric_calculations": False}
    source = context.data_sources.add_spark("spark", persist=False)
    for name in names:
        batch = source.add_dataframe_asset(name).add_batch_definition_whole_dataframe("all")
        then = _baseline(spark, name)
        suite = gx.ExpectationSuite(name=name)
        for expectation in (
            gxe.ExpectColumnSumToBeBetween(column="amount", min_value=0),
            gxe.ExpectColumnMaxToBeBetween(column="amount", max_value=100),
            gxe.ExpectColumnValuesToBeBetween(column="amount", min_value=0, max_value=100),
            gxe.ExpectTableRowCountToBeBetween(min_value=int(0.8 * then[0])),
            gxe.ExpectColumnSumToBeBetween(column="amount", min_value=0.8 * float(then[1])),
            gxe.ExpectColumnValuesToBeUnique(column="order_id"),
            gxe.ExpectColumnValuesToNotBeNull(column="order_id"),
            gxe.ExpectColumnValuesToNotBeNull(column="amount"),
            gxe.ExpectColumnValuesToBeInSet(column="status", value_set=list(STATUSES)),
        ):
            suite.add_expectation(expectation)
        frame = spark.table(f"stg.bench.{name}")
        assert batch.get_batch(batch_parameters={"dataframe": frame}).validate(suite).success


def pandera(spark: SparkSession, names: Sequence[str]) -> None:
    """pandera's PySpark checks (MIT); it has none for aggregates, so these are one query by hand."""
    import pandera.pyspark as pa

    schema = pa.DataFrameSchema(
        {
            "order_id": pa.Column(t.LongType(), nullable=False),
            "amount": pa.Column(t.DecimalType(12, 2), pa.Check.in_range(Decimal(0), Decimal(100)), nullable=False),
            "status": pa.Column(t.LongType(), pa.Check.isin(list(STATUSES)), nullable=True),
        },
        unique=["order_id"],
    )
    for name in names:
        frame = spark.table(f"stg.bench.{name}")
        assert not schema.validate(frame, lazy=True).pandera.errors
        _within(_aggregates(frame), _baseline(spark, name))


def cuallee(spark: SparkSession, names: Sequence[str]) -> None:
    """cuallee (Apache-2.0), which like us asks most of a table in one scan; sums it compares only for equality."""
    from cuallee import Check, CheckLevel

    for name in names:
        then = _baseline(spark, name)
        check = Check(CheckLevel.ERROR, name)
        check.is_unique("order_id").is_complete("order_id").is_complete("amount")
        check.is_contained_in("status", STATUSES).is_between("amount", (0, 100))
        check.has_sum("amount", then[1]).has_max("amount", min(Decimal(96), then[0] - 1))
        found = check.validate(spark.table(f"stg.bench.{name}")).collect()
        assert {row["status"] for row in found} == {"PASS"}, found
        assert found[0]["rows"] >= 0.8 * then[0]


def _aggregates(frame: DataFrame) -> Row:
    now: Row = frame.selectExpr("count(*)", "sum(amount)", "max(amount)").collect()[0]
    assert 0 <= now[2] <= 100
    return now


def _baseline(spark: SparkSession, name: str) -> Row:
    then: Row = spark.sql(f"select count(*), sum(amount) from prod.bench.{name}").collect()[0]
    return then


def _within(now: Row, then: Row) -> None:
    assert 0.8 * then[0] <= now[0] <= 1.2 * then[0]
    assert float(now[1]) >= 0.8 * float(then[1])
    assert now[1] >= 0
