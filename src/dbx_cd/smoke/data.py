"""How smoke reads data: every statement and table of its own goes through here, and so into the log.

Great Expectations queries the frames that it is given itself.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dbx_cd.relations import RelationName

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_log = logging.getLogger(__name__)

LOGGED_CHARACTERS = 300


def query(spark: SparkSession, statement: str) -> DataFrame:
    """The rows of a query; Spark analyses it at once and runs it when they are asked for."""
    _log.debug("%s", statement[:LOGGED_CHARACTERS])
    return spark.sql(statement)


def table(spark: SparkSession, relation: RelationName) -> DataFrame:
    """The rows of a table or view."""
    _log.debug("table %s", relation)
    return spark.table(relation.quoted)


def exists(spark: SparkSession, relation: RelationName) -> bool:
    """Whether there is a table or view of that name."""
    _log.debug("exists %s", relation)
    return bool(spark.catalog.tableExists(relation.quoted))
