"""Parts of large results as files that a client downloads by links, as Databricks' Cloud Fetch has it.

Rows inside of a Thrift answer are slow, and it is the client that is: databricks-sql-connector 4.4 writes every answer
out as text for a logger that is off (`ThriftDatabricksClient.make_request`), a second for 46 MB. What it downloads it
takes as it is. Nobody but the client that was given a link knows it, and it ends with the statement's result.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dbx_cd.sql_endpoint.rows import Part
from dbx_cd.sql_endpoint.thrift_api import T

RESULTS_PATH = "/sql/results/"
LINKED_BYTES = 1 << 20
"""Smaller results are part of the answer: a download costs a request of its own."""
FILE_BYTES = 4 << 20
"""About so large is a file; the connector holds ten of them at a time."""
FILES_OF_A_PAGE = 16
_EXPIRY_SECONDS = 24 * 3600  # for the client, which asks for no other link then; here it ends with the result


@dataclass(frozen=True)
class ResultFile:
    """Consecutive rows of a result, as a stream of Arrow's."""

    start: int
    """How many rows of the result come before."""
    schema: bytes
    """What the stream begins with."""
    parts: tuple[Part, ...]
    """The batches."""

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(part.rows for part in self.parts)

    @property
    def size(self) -> int:
        """How many bytes."""
        return len(self.schema) + sum(part.size for part in self.parts)

    def content(self) -> Iterator[bytes]:
        """The bytes, batch by batch.

        Raises:
            ValueError: the result is gone.
        """
        yield self.schema
        for part in self.parts:
            yield part.read()


class ResultFiles:
    """The files that can be downloaded now, by the last part of their links.

    Args:
        address: of the server that hands them out, such as `http://127.0.0.1:8000`.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._files: dict[str, ResultFile] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._files)

    def offer(self, file: ResultFile) -> tuple[str, Any]:
        """Let a file be downloaded; its key, by which to withdraw it, and its link for the client."""
        key = secrets.token_urlsafe(32)
        with self._lock:
            self._files[key] = file
        link = T.TSparkArrowResultLink(
            fileLink=f"{self._address}{RESULTS_PATH}{key}",
            expiryTime=int(time.time()) + _EXPIRY_SECONDS,
            startRowOffset=file.start,
            rowCount=file.rows,
            bytesNum=file.size,
            httpHeaders={},
        )
        return key, link

    def file(self, path: str) -> ResultFile | None:
        """The file of a link's path; None where there is none, or none any more."""
        with self._lock:
            return self._files.get(path.removeprefix(RESULTS_PATH))

    def withdraw(self, keys: Iterable[str]) -> None:
        """Let files not be downloaded any more."""
        with self._lock:
            for key in keys:
                self._files.pop(key, None)
