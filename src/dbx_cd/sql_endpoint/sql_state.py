"""The SQLSTATE of an error: every failure has one, and its message ends with it, as on Databricks."""

from __future__ import annotations

import re
from typing import Any

GENERAL_ERROR = "HY000"

# Databricks' error classes that open-source Spark and Delta do not know (documentation, "Error classes in Databricks").
_DATABRICKS_ONLY = {
    "CATALOG_ALREADY_EXISTS": "42710",
    "CATALOG_NOT_EMPTY": "2BP01",
    "DELTA_CLONE_UNSUPPORTED_SOURCE": "0AKDC",
    "CONFIG_NOT_AVAILABLE": "42K0I",
    "FOREIGN_KEY_MISMATCH": "42830",
    "INSUFFICIENT_PERMISSIONS": "42501",
    "NO_SUCH_CATALOG_EXCEPTION": "42704",
    "PERMISSION_DENIED": "42501",
    "PRINCIPAL_DOES_NOT_EXIST": "42704",
    "TAG_ALREADY_EXISTS": "42710",
}

_STATED = re.compile(r"\bSQLSTATE: ([0-9A-Z]{5})\b")
_CLASS = re.compile(r"\[([A-Z][A-Z0-9_]+)(?:\.[A-Z0-9_]+)*\]")


def sql_state_of(message: str) -> str:
    """The SQLSTATE of an error that carries none.

    It is what the message says, or that of the error class in brackets at its beginning, by Spark's own list where
    Spark knows the class. Others are general errors.
    """
    if stated := _STATED.search(message):
        return stated[1]
    found = _CLASS.match(message)
    if found is None:
        return GENERAL_ERROR
    return _of_spark(found[1]) or _DATABRICKS_ONLY.get(found[1]) or GENERAL_ERROR


def with_sql_state(message: str, state: str) -> str:
    """The message of an error class, with the SQLSTATE after its first line where it does not say one."""
    if state == GENERAL_ERROR or not _CLASS.match(message) or _STATED.search(message):
        return message
    first, line_end, rest = message.partition("\n")
    stop = "" if first.endswith((".", "!", "?")) else "."
    return f"{first}{stop} SQLSTATE: {state}{line_end}{rest}"


def _of_spark(error_class: str) -> str | None:
    from pyspark import SparkContext

    context: Any = SparkContext._active_spark_context
    if context is None:
        return None  # Spark Connect, whose errors carry their state
    try:
        state = context._jvm.org.apache.spark.SparkThrowableHelper.getSqlState(error_class)
    except Exception:  # this Spark has no such method
        return None
    return str(state) if state else None
