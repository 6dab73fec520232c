"""What Spark 3.5 and Delta 3.3 say otherwise; the messages are theirs (`make test-spark35` has them themselves)."""

from __future__ import annotations

from typing import Any, Never

import pytest
from pyspark.errors import AnalysisException

from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.sql import Sql
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName

MISSING_FILE = (
    "Job aborted due to stage failure: Task 0 in stage 604.0 failed 1 times, most recent failure: Lost task 0.0 in"
    " stage 604.0 (TID 483) (192.0.2.2 executor driver): org.apache.spark.SparkFileNotFoundException: File"
    " file:/t/a.parquet does not exist\nIt is possible the underlying files have been updated."
)


CONFLICT = "[DELTA_CONCURRENT_APPEND] ConcurrentAppendException: Files were added to the root of the table by another."


class Refusing:
    """A session that refuses every statement."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def sql(self, _statement: str, args: object = None) -> Never:
        raise self._error


@pytest.mark.parametrize(
    ("message", "what", "condition"),
    [
        (MISSING_FILE, "File file:/t/a.parquet does not exist", ""),
        (
            "Cannot time travel Delta table to version 1. Available versions: [0, 0].",
            "Cannot time travel Delta table to version 1. Available versions: [0, 0].",
            "DELTA_VERSION_NOT_FOUND",
        ),
        (CONFLICT, CONFLICT, "DELTA_CONCURRENT_APPEND"),
        ("Job aborted.\nby somebody", "Job aborted.", ""),
    ],
)
def test_a_failure_says_what_failed_and_has_its_condition(message: str, what: str, condition: str) -> None:
    with pytest.raises(SqlFailed) as failure:
        Sql(Refusing(AnalysisException(message))).query("SELECT 1")  # type: ignore[arg-type]
    assert (failure.value.what, failure.value.condition) == (what, condition)


class Renaming(Sql):
    """Keeps the statements, and refuses the first under a condition."""

    def __init__(self, condition: str) -> None:
        self.ran: list[str] = []
        self._condition = condition

    def query(self, statement: str, **_parameters: str) -> list[Any]:
        self.ran.append(statement)
        if len(self.ran) == 1:
            raise SqlFailed("refused", condition=self._condition)
        return []


OLD, NEW = RelationName("spark_catalog", "shop", "a"), RelationName("spark_catalog", "shop", "b c")


@pytest.mark.parametrize("condition", ["REQUIRES_SINGLE_PART_NAMESPACE", "IDENTIFIER_TOO_MANY_NAME_PARTS"])
def test_where_a_new_name_may_have_no_catalog_it_has_none(condition: str) -> None:
    sql = Renaming(condition)
    SparkTables(sql).rename(OLD, NEW, kind="table")
    assert [statement.partition("RENAME TO ")[2] for statement in sql.ran] == [
        "`spark_catalog`.`shop`.`b c`",
        "`shop`.`b c`",
    ]


def test_a_new_name_that_is_refused_for_another_reason_is_not_tried_again() -> None:
    sql = Renaming("TABLE_OR_VIEW_ALREADY_EXISTS")
    with pytest.raises(SqlFailed, match="refused"):
        SparkTables(sql).rename(OLD, NEW, kind="view")
    assert len(sql.ran) == 1
