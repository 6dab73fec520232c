"""How smoke reads data: every statement and table of its own goes through here, and so into the log.

Great Expectations queries the frames that it is given itself, and has a session that takes queries alone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from dbx_cd.errors import SuiteError
from dbx_cd.relations import RelationName
from dbx_cd.smoke.query import ONLY_QUERIES, as_query

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_log = logging.getLogger(__name__)

LOGGED_CHARACTERS = 300


def query(spark: SparkSession, statement: str) -> DataFrame:
    """The rows of a query; Spark analyses it at once and runs it when they are asked for.

    Raises:
        SuiteError: it is no query; then nothing of it has run.
    """
    from pyspark.errors import ParseException

    _log.debug("%s", statement[:LOGGED_CHARACTERS])
    try:
        return spark.sql(as_query(statement))
    except ParseException as exc:
        first = str(exc).strip().splitlines()[0]
        raise SuiteError(f"{ONLY_QUERIES}, and Spark takes this for none: {first}") from exc


class QueriesOnly:
    """A session whose `sql` runs queries alone; everything else is the session's own."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    def sql(self, statement: str) -> DataFrame:
        """The rows of a query, as `query` has them."""
        return query(self._spark, statement)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._spark, name)


def table(spark: SparkSession, relation: RelationName) -> DataFrame:
    """The rows of a table or view."""
    _log.debug("table %s", relation)
    return spark.table(relation.quoted)


def exists(spark: SparkSession, relation: RelationName) -> bool:
    """Whether there is a table or view of that name."""
    _log.debug("exists %s", relation)
    return bool(spark.catalog.tableExists(relation.quoted))


def rows_of(source: str, condition: str | None, *, end: str = "\n") -> str:
    """What follows `from`: all rows of a source, or those that meet a condition.

    In parentheses, as dbt has it: a condition may go on with `limit`, and end with a comment.

    Args:
        source: a quoted relation, at a version where that matters.
        condition: in SQL; None for all rows.
        end: what follows the condition.
    """
    return f"(select * from {source} where {condition}{end}) dbt_subquery" if condition else source
