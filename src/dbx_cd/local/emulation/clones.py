"""CREATE TABLE ... SHALLOW CLONE: a table of its own type, which another clone can replace."""

from __future__ import annotations

import re

import pyarrow as pa
from pyspark.sql import DataFrame

from dbx_cd.local.emulation.sql_text import STRING
from dbx_cd.local.emulation.statement import Answer, Statement

_LOCATION = re.compile(rf"\blocation\s+({STRING})\s*\Z", re.IGNORECASE)


def shallow_clone(statement: Statement) -> Answer:
    """Clone a table; the answer is what Delta reports about it."""
    name = statement.parts("name")
    if statement["exists"] and statement.bridge.call("isTable", name):
        return pa.table({})
    rest = statement["rest"]
    location = _LOCATION.search(rest)
    report = statement.bridge.call(
        "shallowClone",
        " ".join(statement["verb"].lower().split()),
        name,
        statement.parts("source"),
        rest[: location.start()] if location else rest,
        statement.bridge.unquote(location[1]) if location else None,
    )
    return DataFrame(report, statement.spark).toArrow()
