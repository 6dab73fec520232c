"""The rows of a finished statement, handed out page by page."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dbx_cd.sql_endpoint.arrow_types import distinct, table_schema
from dbx_cd.sql_endpoint.thrift_api import T, success

PAGE_ROWS = 100_000
PAGE_BYTES = 16 << 20


@dataclass(frozen=True)
class Page:
    """Some consecutive rows of a result."""

    start: int
    """How many rows came before it."""
    batches: tuple[tuple[bytes, int], ...]
    """Serialized Arrow batches, each with its number of rows."""
    has_more: bool
    """Whether rows are left after it."""

    def row_set(self) -> Any:
        """The page as a Thrift row set."""
        batches = [T.TSparkArrowBatch(data, rows) for data, rows in self.batches]
        return T.TRowSet(startRowOffset=self.start, rows=[], arrowBatches=batches)


class ResultPages:
    """A result that is read once, forwards.

    Spark has delivered the whole result by now, so it is in memory, as Arrow, about as large as its data. What has been
    handed out is let go batch by batch, and a page is serialized only when it is asked for.
    """

    def __init__(self, table: pa.Table) -> None:
        self._names: list[str] = table.column_names
        # The connector joins pages by column name and fails on a name that is there twice.
        table = table.rename_columns(distinct(self._names))
        self._schema: pa.Schema = table.schema
        self._batches = deque(batch for batch in table.to_batches() if batch.num_rows)
        self._next_row = 0

    def next_page(self, *, max_rows: int | None = None, max_bytes: int | None = None) -> Page:
        """The next rows: at most `max_rows` of them, in about `max_bytes` bytes, but at least one row if any is left.

        The endpoint's own `PAGE_ROWS` and `PAGE_BYTES` are upper limits.
        """
        rows_left = min(max_rows or PAGE_ROWS, PAGE_ROWS)
        bytes_left = min(max_bytes or PAGE_BYTES, PAGE_BYTES)
        start = self._next_row
        taken: list[tuple[bytes, int]] = []
        while self._batches and rows_left > 0 and (bytes_left > 0 or not taken):
            batch = self._take(rows_left, max(bytes_left, 1))
            data = batch.serialize().to_pybytes()
            taken.append((data, batch.num_rows))
            rows_left -= batch.num_rows
            bytes_left -= len(data)
            self._next_row += batch.num_rows
        return Page(start, tuple(taken), bool(self._batches))

    def _take(self, rows: int, size: int) -> pa.RecordBatch:
        batch = self._batches.popleft()
        # What fits by the batch's average row; at least one row, or the client would never get on.
        fitting = min(rows, max(1, batch.num_rows * size // max(batch.nbytes, 1)))
        if fitting >= batch.num_rows:
            return batch
        self._batches.appendleft(batch.slice(fitting))
        return batch.slice(0, fitting)

    def metadata(self) -> Any:
        """The Thrift answer that describes the columns and how the rows are sent."""
        return T.TGetResultSetMetadataResp(
            status=success(),
            schema=table_schema(self._schema, self._names),
            resultFormat=T.TSparkRowSetType.ARROW_BASED_SET,
            lz4Compressed=False,
            arrowSchema=self._schema.serialize().to_pybytes(),
            isStagingOperation=False,
        )
