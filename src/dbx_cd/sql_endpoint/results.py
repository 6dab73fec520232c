"""The rows of a finished statement, handed out page by page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from dbx_cd.sql_endpoint.arrow_types import distinct, table_schema
from dbx_cd.sql_endpoint.result_files import FILE_BYTES, FILES_OF_A_PAGE, LINKED_BYTES, ResultFile, ResultFiles
from dbx_cd.sql_endpoint.rows import Part, Result
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


@dataclass(frozen=True)
class LinkedPage:
    """Some consecutive rows of a result, to be downloaded."""

    start: int
    """How many rows came before it."""
    links: tuple[Any, ...]
    """The links, in the order of their rows."""
    has_more: bool
    """Whether rows are left after it."""

    def row_set(self) -> Any:
        """The page as a Thrift row set."""
        return T.TRowSet(startRowOffset=self.start, rows=[], resultLinks=list(self.links))


class ResultPages:
    """A result that is read once, forwards; what has been handed out is let go batch by batch, and files at the end.

    Args:
        result: the rows.
        files: where a large result is offered as files; None for a client that downloads nothing.
    """

    def __init__(self, result: Result, files: ResultFiles | None = None) -> None:
        self._names: list[str] = result.schema.names
        # The connector joins pages by column name and fails on a name that is there twice.
        unique = zip(distinct(self._names), result.schema, strict=True)
        self._schema = pa.schema([field.with_name(name) for name, field in unique])
        self._rows = result.rows
        self._rest: pa.RecordBatch | None = None
        self._next_row = 0
        self._files = files if files is not None and result.rows.size >= LINKED_BYTES else None
        self._keys: list[str] = []

    @property
    def are_linked(self) -> bool:
        """Whether the rows are downloaded: they have to be there still when all pages are handed out."""
        return self._files is not None

    @property
    def has_more(self) -> bool:
        """Whether rows are left."""
        return self._rest is not None or bool(self._rows)

    def next_page(self, *, max_rows: int | None = None, max_bytes: int | None = None) -> Page | LinkedPage:
        """The next rows: at most `max_rows` of them, in about `max_bytes` bytes, but at least one row if any is left.

        The endpoint's own `PAGE_ROWS` and `PAGE_BYTES` are upper limits; links have none but `FILES_OF_A_PAGE`.
        """
        if self._files is not None:
            return self._linked_page(self._files)
        rows_left = min(max_rows or PAGE_ROWS, PAGE_ROWS)
        bytes_left = min(max_bytes or PAGE_BYTES, PAGE_BYTES)
        start = self._next_row
        taken: list[tuple[bytes, int]] = []
        while self.has_more and rows_left > 0 and (bytes_left > 0 or not taken):
            batch, data = self._take(rows_left, max(bytes_left, 1))
            if batch.num_rows == 0:
                continue
            if data is None:
                data = batch.serialize().to_pybytes()
            taken.append((data, batch.num_rows))
            rows_left -= batch.num_rows
            bytes_left -= len(data)
            self._next_row += batch.num_rows
        return Page(start, tuple(taken), self.has_more)

    def _linked_page(self, files: ResultFiles) -> LinkedPage:
        start = self._next_row
        links: list[Any] = []
        while self._rows and len(links) < FILES_OF_A_PAGE:
            key, link = files.offer(self._next_file())
            self._keys.append(key)
            links.append(link)
            self._next_row += link.rowCount
        return LinkedPage(start, tuple(links), bool(self._rows))

    def _next_file(self) -> ResultFile:
        parts: list[Part] = []
        while self._rows and sum(part.size for part in parts) < FILE_BYTES:
            parts.append(self._rows.take_part(self._schema))
        return ResultFile(self._next_row, self._schema.serialize().to_pybytes(), tuple(parts))

    def _take(self, rows: int, size: int) -> tuple[pa.RecordBatch, bytes | None]:
        batch, data = (self._rest, None) if self._rest is not None else self._rows.take(self._schema)
        # What fits by the batch's average row; at least one row, or the client would never get on.
        fitting = min(rows, max(1, batch.num_rows * size // max(batch.nbytes, 1)))
        if fitting >= batch.num_rows:
            self._rest = None
            return batch, data
        self._rest = batch.slice(fitting)
        return batch.slice(0, fitting), None

    def free(self) -> None:
        """Let go of the rows that are left, and of files."""
        self._rest = None
        if self._files is not None:
            self._files.withdraw(self._keys)
        self._rows.free()

    def metadata(self) -> Any:
        """The Thrift answer that describes the columns and how the rows are sent."""
        return T.TGetResultSetMetadataResp(
            status=success(),
            schema=table_schema(self._schema, self._names),
            resultFormat=T.TSparkRowSetType.URL_BASED_SET if self.are_linked else T.TSparkRowSetType.ARROW_BASED_SET,
            lz4Compressed=False,  # on the loopback address it would cost more than it saves
            arrowSchema=self._schema.serialize().to_pybytes(),
            isStagingOperation=False,
        )
