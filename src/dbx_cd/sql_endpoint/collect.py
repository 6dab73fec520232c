"""Collecting a query's rows from Spark, batch by batch, so that this process never holds a large result whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa

from dbx_cd.sql_endpoint.rows import ResultRows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def collect(frame: DataFrame, rows: ResultRows) -> pa.Schema:
    """Put the rows of `frame` into `rows`, and return their Arrow types.

    On a classic session the driver's JVM holds what a partition of the result is at a time. On Spark Connect the client
    library collects the whole result in memory; there is no public way to have it in parts.
    """
    if not hasattr(frame, "_jdf"):
        table = frame.toArrow()
        for batch in table.to_batches():
            rows.put(batch)
        return table.schema
    return _collect_classic(frame, rows)


def _collect_classic(frame: DataFrame, rows: ResultRows) -> pa.Schema:
    """What PySpark's own `DataFrame._collect_as_arrow` does, without its list of all batches."""
    try:
        from pyspark.util import _load_from_socket as load
    except ImportError:  # Spark 3.5
        from pyspark.rdd import _load_from_socket as load  # type: ignore[import-not-found, no-redef]
    java: Any = frame._jdf
    port, secret, server = java.collectAsArrowToPython()
    try:
        reader: Any = _Reader(rows)
        loaded: Any = load((port, secret), reader)
        if isinstance(loaded, pa.Schema):  # Spark 3.5
            return loaded
        with loaded as schema:
            return cast("pa.Schema", schema)
    finally:
        server.getResult()  # raises the driver's error, if there was one


class _Reader:
    """Reads Arrow batches from a socket, and then the order that they belong in."""

    def __init__(self, rows: ResultRows) -> None:
        self._rows = rows

    def load_stream(self, stream: Any) -> pa.Schema:
        """Put the batches where they belong, and return their types."""
        from pyspark.serializers import read_int

        read: Callable[[Any], int] = read_int
        reader = pa.ipc.open_stream(stream)
        for batch in reader:
            self._rows.put(batch)
        count = read(stream)  # -1 before an error message
        self._rows.reorder([read(stream) for _ in range(count)])
        return reader.schema
