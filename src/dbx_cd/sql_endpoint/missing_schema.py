"""A session that starts in a schema which does not exist yet, as dbt opens one before it creates its schemas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from dbx_cd.sql_endpoint.operation import Failure
from dbx_cd.sql_endpoint.statement import failure_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_NAME_ALONE = re.compile(r"\[TABLE_OR_VIEW_NOT_FOUND\] The table or view `(?:[^`]|``)+` cannot be found")


def start_in_missing_schema(spark: SparkSession, schema: str) -> None:
    """Make a schema that does not exist the current one of a classic session, so that nothing falls to another.

    A name without a schema is then looked for there: not found until it is created, and found from then on. Spark's own
    USE refuses it, so its current schema is put where USE would put it (`DefaultCatalogManager`, before 4.2
    `CatalogManager`, and `SessionCatalog` for Spark's own catalog).

    Args:
        spark: a session that only one client uses, its current catalog already chosen.
        schema: the name, without quotes.
    """
    java: Any = spark
    state, jvm = java._jsparkSession.sessionState(), java._jvm
    manager = state.catalogManager()
    array = java._sc._gateway.new_array(jvm.java.lang.String, 1)
    array[0] = schema
    field = _field(manager.getClass(), "_currentNamespace")
    field.setAccessible(True)
    field.set(manager, jvm.scala.Option.apply(array))
    if manager.currentCatalog().name() == "spark_catalog":
        getattr(state.catalog(), "currentDb_$eq")(schema)


def schema_is_missing(spark: SparkSession, failure: Failure) -> Failure:
    """The failure of a statement, told by its reason where a name without a schema was looked for in a missing one.

    Args:
        spark: the session of the statement, opened on a schema that did not exist.
        failure: what Spark said; it says only that there is no such table.
    """
    if not _NAME_ALONE.match(failure.message):
        return failure
    try:
        schema = spark.sql("SELECT current_schema()").collect()[0][0]
        spark.sql("USE SCHEMA `" + schema.replace("`", "``") + "`")
    except Exception as exc:
        return failure_of(exc)
    return failure


def _field(java_class: Any, name: str) -> Any:
    while java_class is not None:
        for field in java_class.getDeclaredFields():
            if field.getName() == name:
                return field
        java_class = java_class.getSuperclass()
    raise AttributeError(name)
