"""What is done with a source's file before Spark reads it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dbx_cd import ConfigError
from dbx_cd.local.sources.reading import in_microseconds


def written(path: Path, unit: str) -> Path:
    at = pa.array([datetime(2026, 1, 2, tzinfo=UTC)]).cast(pa.timestamp(unit))
    pq.write_table(pa.table({"at": at}), path)
    return path


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


def test_nanoseconds_are_copied_in_microseconds_to_the_folder_that_is_given(tmp_path: Path, temporary: Path) -> None:
    file = written(tmp_path / "s.t.parquet", "ns")
    copy = in_microseconds(file, temporary)
    assert copy.parent == temporary
    assert pq.read_schema(copy).field("at").type == pa.timestamp("us")
    assert pq.read_schema(file).field("at").type == pa.timestamp("ns")


def test_what_spark_can_read_is_not_copied(tmp_path: Path, temporary: Path) -> None:
    file = written(tmp_path / "s.t.parquet", "us")
    assert in_microseconds(file, temporary) == file
    assert list(temporary.iterdir()) == []


def test_a_file_that_is_no_parquet_is_refused(tmp_path: Path, temporary: Path) -> None:
    file = tmp_path / "s.t.parquet"
    file.write_text("id,name")
    with pytest.raises(ConfigError, match=r"not Parquet: .*s\.t\.parquet"):
        in_microseconds(file, temporary)
