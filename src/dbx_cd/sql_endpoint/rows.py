"""The rows of one result: Arrow batches in memory up to a limit, and beyond it in a file that nobody else can see."""

from __future__ import annotations

import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MEMORY_BYTES = 16 << 20
"""What one result may hold in this process's memory; the rest lies in the folder for temporary files."""


@dataclass(frozen=True)
class _Stored:
    """A serialized batch in a file."""

    file: IO[bytes]
    offset: int
    size: int


@dataclass(frozen=True)
class Part:
    """One batch that is not read yet."""

    rows: int
    """How many rows it has."""
    size: int
    """How many bytes `read` gives."""
    read: Callable[[], bytes]
    """Gives its serialized form, as often as asked for, while the result is there."""


class ResultRows:
    """Batches that are put in one after the other, and then taken out in the same order, each once.

    Args:
        folder: where a file of them is made; None makes it where the system has temporary files.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        """Where files of them are made."""
        self._batches: deque[pa.RecordBatch | _Stored] = deque()
        self._in_memory = 0
        self._file: IO[bytes] | None = None
        self._files: list[IO[bytes]] = []
        self._lock = threading.Lock()

    @classmethod
    def of(cls, table: pa.Table) -> ResultRows:
        """The rows of a table that is in memory anyway."""
        rows = cls()
        rows._batches.extend(batch for batch in table.to_batches() if batch.num_rows)
        return rows

    def put(self, batch: pa.RecordBatch) -> None:
        """Keep a batch."""
        if self._in_memory + batch.nbytes <= MEMORY_BYTES:
            self._in_memory += batch.nbytes
            self._batches.append(batch)
            return
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="dbx-cd-result-", dir=self.folder)  # noqa: SIM115  (closed by `free`)
            self._files.append(self._file)
        data = batch.serialize()
        self._batches.append(_Stored(self._file, self._file.tell(), data.size))
        self._file.write(data)

    def put_file(self, file: IO[bytes], sizes: Iterable[int]) -> None:
        """Keep the serialized batches in a file, which lie there one after the other; the file is closed in the end."""
        self._files.append(file)
        offset = 0
        for size in sizes:
            self._batches.append(_Stored(file, offset, size))
            offset += size

    def reorder(self, order: Sequence[int]) -> None:
        """Put the batches into the order of their numbers in which they were put in."""
        batches = list(self._batches)
        self._batches = deque(batches[number] for number in order)

    def __len__(self) -> int:
        """How many batches are left."""
        return len(self._batches)

    @property
    def size(self) -> int:
        """About how many bytes are left."""
        return sum(batch.size if isinstance(batch, _Stored) else batch.nbytes for batch in self._batches)

    def take(self, schema: pa.Schema) -> tuple[pa.RecordBatch, bytes | None]:
        """The next batch, which is then gone from here; with its serialized form, where it has one already.

        Args:
            schema: the types that the batches have.
        """
        batch = self._batches.popleft()
        if not isinstance(batch, _Stored):
            return batch, None
        data = self._read(batch)
        return pa.ipc.read_record_batch(pa.py_buffer(data), schema), data

    def take_part(self, schema: pa.Schema) -> Part:
        """The next batch, which is then gone from here, to be read when it is needed.

        Args:
            schema: the types that the batches have.
        """
        batch = self._batches.popleft()
        if isinstance(batch, _Stored):
            rows = pa.ipc.read_record_batch(pa.py_buffer(self._read(batch)), schema).num_rows
            return Part(rows, batch.size, lambda: self._read(batch))
        data = batch.serialize()
        return Part(batch.num_rows, data.size, data.to_pybytes)

    def _read(self, batch: _Stored) -> bytes:
        with self._lock:
            batch.file.seek(batch.offset)
            return batch.file.read(batch.size)

    def free(self) -> None:
        """Let go of memory and files."""
        with self._lock:
            self._batches.clear()
            for file in self._files:
                file.close()


@dataclass(frozen=True)
class Result:
    """What a statement gave."""

    schema: pa.Schema
    """The columns, under their own names, with the types that the rows have."""
    rows: ResultRows
    """The rows."""

    @classmethod
    def of(cls, table: pa.Table) -> Result:
        """A result that is in memory anyway."""
        return cls(table.schema, ResultRows.of(table))

    def table(self) -> pa.Table:
        """All rows, in memory; they are gone from the result afterwards."""
        batches = []
        while self.rows:
            batches.append(self.rows.take(self.schema)[0])
        plain = pa.schema(
            [pa.field(f"c{at}", field.type, metadata=field.metadata) for at, field in enumerate(self.schema)]
        )
        unlabelled = [pa.RecordBatch.from_arrays(batch.columns, names=plain.names) for batch in batches]
        table = pa.Table.from_batches(unlabelled).cast(plain) if unlabelled else plain.empty_table()
        return table.rename_columns(self.schema.names)


Collect = Callable[["DataFrame", ResultRows], pa.Schema]
"""Puts the rows of a query into a result, in their order, and returns the types that they have in Arrow."""
