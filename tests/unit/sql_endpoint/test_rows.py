"""Where the rows of a result are, between Spark and the client."""

from __future__ import annotations

import io
from typing import Any

import pyarrow as pa
import pytest

from dbx_cd.sql_endpoint import rows as rows_module
from dbx_cd.sql_endpoint.rows import MEMORY_BYTES, Result, ResultRows

SCHEMA = pa.schema([("n", pa.int64())])


def batch(start: int, count: int = 1000) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({"n": range(start, start + count)}, schema=SCHEMA)


@pytest.fixture
def files(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The temporary files that were opened."""
    opened: list[Any] = []
    original = rows_module.tempfile.TemporaryFile

    def remembered(*args: Any, **options: Any) -> Any:
        opened.append(original(*args, **options))
        return opened[-1]

    monkeypatch.setattr(rows_module.tempfile, "TemporaryFile", remembered)
    return opened


def test_a_small_result_touches_no_file(files: list[Any]) -> None:
    rows = ResultRows()
    for start in range(0, 5000, 1000):
        rows.put(batch(start))
    assert Result(SCHEMA, rows).table()["n"].to_pylist() == list(range(5000))
    assert files == []


def test_of_a_large_result_only_a_part_is_in_memory(files: list[Any]) -> None:
    rows, before = ResultRows(), pa.total_allocated_bytes()
    count, size = 60, 1 << 20
    for number in range(count):
        rows.put(pa.RecordBatch.from_arrays([pa.nulls(size // 8, pa.int64()).fill_null(number)], schema=SCHEMA))
    assert pa.total_allocated_bytes() - before <= MEMORY_BYTES
    assert [rows.take(SCHEMA)[0].column(0)[0].as_py() for _ in range(count)] == list(range(count))
    rows.free()
    assert [file.closed for file in files] == [True]


def test_batches_come_in_their_order_whatever_the_order_of_their_coming(
    files: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module, "MEMORY_BYTES", 8000)
    rows = ResultRows()
    for start in (2000, 0, 1000):
        rows.put(batch(start))
    rows.reorder([1, 2, 0])
    assert len(files) == 1
    assert Result(SCHEMA, rows).table()["n"].to_pylist() == list(range(3000))


def test_batches_in_a_file_are_read_from_there_and_it_is_closed_in_the_end() -> None:
    serialized = [batch(start).serialize().to_pybytes() for start in (0, 1000)]
    file, rows = io.BytesIO(b"".join(serialized)), ResultRows()
    rows.put_file(file, [len(data) for data in serialized])
    first, data = rows.take(SCHEMA)
    assert first.column(0)[0].as_py() == 0
    assert data == serialized[0], "it is sent as it lies there"
    rows.free()
    assert file.closed
    assert not rows
