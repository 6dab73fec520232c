"""Collecting a query's rows through files, so that neither the JVM nor this process ever holds a large result whole."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dbx_cd.sql_endpoint import ResultRows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

INLINE_BYTES = 1 << 16
"""What a partition hands over without a file, and with it most statements."""


def spooled_collect(frame: DataFrame, rows: ResultRows) -> pa.Schema:
    """Put the rows of `frame` into `rows`, and return their Arrow types.

    The embedded workspace works on small data with one partition, which is the whole result: PySpark's own way has the
    JVM hold it all. The files are nobody's any more as soon as they are open here, so that none stays.

    Args:
        frame: a query of the embedded workspace's Spark, which runs on this machine.
        rows: what takes the rows; the files are made in its folder, of which the workspace's next start removes what a
            kill has left.
    """
    java: Any = frame._jdf
    jvm: Any = frame.sparkSession._jvm
    with tempfile.TemporaryDirectory(prefix="dbx-cd-result-", dir=rows.folder) as folder:
        schema, *parts = jvm.dbxcd.local.ResultSpool.collect(java, folder, INLINE_BYTES)
        arrow = pa.ipc.read_schema(pa.py_buffer(schema))
        for start in range(0, len(parts), 3):
            data, sizes, file = parts[start : start + 3]
            lengths = [int(size) for size in sizes.split(",") if size]
            if file is not None:
                rows.put_file(Path(file).open("rb"), lengths)  # noqa: SIM115  (closed with the result)
                continue
            offset = 0
            for length in lengths:
                rows.put(pa.ipc.read_record_batch(pa.py_buffer(data[offset : offset + length]), arrow))
                offset += length
    return arrow
