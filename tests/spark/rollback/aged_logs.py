"""Tables that were written long ago: the files of a Delta table made older, as if the clock had moved on.

What Delta goes by is moved, and nothing else (found on Delta 4.4 by looking): the file times of log entries, which are
the commit times; `inCommitTimestamp`, where a table has it; the deletion times of removed files, by which VACUUM goes
while an entry or a checkpoint holds them; and the file times of data, by which VACUUM judges files that no entry it
still reads has.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from dbx_cd.relations import RelationName
from spark_kind import forget_logs

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOVED = ("timestamp", "inCommitTimestamp", "deletionTimestamp", "modificationTime")


def folder_of(spark: SparkSession, table: RelationName) -> Path:
    """Where a table's files are; only tests may know."""
    location = spark.sql(f"DESCRIBE DETAIL {table.quoted}").first()["location"]  # type: ignore[index]
    return Path(unquote(urlparse(location).path))


def age(
    spark: SparkSession,
    table: RelationName,
    by: timedelta,
    *,
    earlier: timedelta | None = None,
    shared: datetime | None = None,
    whole_seconds: bool = True,
) -> None:
    """Make everything of a table so much older.

    Args:
        spark: any session; all of them forget what they knew of the log.
        table: a Delta table.
        by: how much older its newest version becomes.
        earlier: how much older all before the newest become; by default as much.
        shared: one time for all log files instead.
        whole_seconds: cut file times to whole seconds, as some stores keep them.
    """
    folder = folder_of(spark, table)
    log = folder / "_delta_log"
    newest = max(int(path.stem) for path in _entries(log))
    for path in _entries(log):
        shift = by if earlier is None or int(path.stem) == newest else earlier
        then = _time_of(path) - shift
        _rewrite_entry(path, shift, shared=shared)
        _touch(path, shared or then, whole_seconds=whole_seconds)
    for path in log.glob("*.parquet"):
        then = _time_of(path) - by
        _rewrite_checkpoint(path, by)
        _touch(path, shared or then, whole_seconds=whole_seconds)
    # Each is a sum of its version, with its in-commit timestamp, and Delta does without. The hidden ones are Hadoop's.
    for path in [*log.glob("*.crc"), *log.glob(".*.crc")]:
        path.unlink(missing_ok=True)
    for path in folder.rglob("*"):
        if path.is_file() and log not in path.parents:
            _touch(path, _time_of(path) - by, whole_seconds=whole_seconds)
    forget_logs(spark)


def in_whole_seconds(spark: SparkSession, table: RelationName) -> None:
    """What a store that keeps no more makes of a table's newest log entries."""
    for path in _entries(folder_of(spark, table) / "_delta_log"):
        _touch(path, _time_of(path), whole_seconds=True)
    forget_logs(spark)


def _entries(log: Path) -> Iterator[Path]:
    return (path for path in sorted(log.glob("*.json")) if path.stem.isdigit())


def _time_of(path: Path) -> datetime:
    return _EPOCH + timedelta(microseconds=path.stat().st_mtime_ns // 1000)


def _touch(path: Path, then: datetime, *, whole_seconds: bool) -> None:
    unit = timedelta(seconds=1) if whole_seconds else timedelta(microseconds=1)
    time = (then - _EPOCH) // unit * (unit // timedelta(microseconds=1)) * 1000
    os.utime(path, ns=(time, time))


def _rewrite_entry(path: Path, by: timedelta, *, shared: datetime | None) -> None:
    """The times in one log entry; in-commit timestamps must increase (Delta's protocol), so a shared one is counted."""
    version, lines = int(path.stem), []
    for line in path.read_text(encoding="utf-8").splitlines():
        ((name, action),) = json.loads(line).items()
        if isinstance(action, dict):
            action |= {key: action[key] - _milliseconds(by) for key in _MOVED if isinstance(action.get(key), int)}
            if shared is not None and "inCommitTimestamp" in action:
                action["inCommitTimestamp"] = int(shared.timestamp()) * 1000 + version
        lines.append(json.dumps({name: action}))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _rewrite_checkpoint(path: Path, by: timedelta) -> None:
    """The deletion times of removed files, by which VACUUM goes."""
    table = pq.read_table(path)
    for column, moved in (("remove", "deletionTimestamp"), ("add", "modificationTime")):
        if column not in table.schema.names:
            continue
        actions = table[column].combine_chunks()
        fields = list(actions.type)
        arrays = [
            pc.subtract(actions.field(n), pa.scalar(_milliseconds(by), pa.int64()))
            if f.name == moved
            else actions.field(n)
            for n, f in enumerate(fields)
        ]
        changed = pa.StructArray.from_arrays(arrays, fields=fields, mask=actions.is_null())
        index = table.schema.names.index(column)
        table = table.set_column(index, pa.field(column, changed.type), changed)
    pq.write_table(table, path)


def _milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)
