"""A few rows of each of a project's sources, from a real workspace, for the embedded one: masked, and by queries alone.

The rows are those that `SELECT ... LIMIT n` gives: which ones is the warehouse's choice, so that no table is read as a
whole, and another sample may have others. Rows of two tables need not belong together.

A sensitive column never leaves the warehouse as it is. Text becomes a digest, with a salt that is made for this sample
and written nowhere: the same text is the same digest in all of its tables, so that what joined by it still joins.
Everything else of a sensitive column becomes null.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dbx_cd.dbt.artifacts import Node
from dbx_cd.errors import ConfigError, SqlFailed
from dbx_cd.relations import RelationName, quote
from dbx_cd.setup.sample_folder import replacing, require_place
from dbx_cd.setup.sensitive import MASK_TAGS, WHOLE_TABLE, declared_columns, tagged_columns
from dbx_cd.setup.warehouse import Warehouse

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1
_TEXT = ("string", "varchar", "char")
_DIGEST_LENGTH = 32


@dataclass(frozen=True)
class SampledTable:
    """What became of one source."""

    relation: RelationName
    """The table."""
    file: str
    """The file's name."""
    rows: int = 0
    """How many rows it has."""
    masked: tuple[str, ...] = ()
    """The columns that are masked."""
    skipped: str | None = None
    """Why there is no file of it."""

    def __str__(self) -> str:
        if self.skipped is not None:
            return f"{self.relation} is not in the sample: {self.skipped}"
        masked = f", masked: {', '.join(self.masked)}" if self.masked else ""
        return f"{self.file}: {self.rows} rows of {self.relation}{masked}"


def take_sample(
    warehouse: Warehouse,
    sources: Sequence[Node],
    *,
    folder: Path,
    rows: int,
    mask_tags: Collection[str] | None = MASK_TAGS,
    say: Callable[[str], None],
) -> list[SampledTable]:
    """Write a folder that `python -m dbx_cd.local run --sources` takes.

    Args:
        warehouse: the connection.
        sources: the sources, of a manifest.
        folder: where to; an earlier sample there is replaced when the new one is whole.
        rows: how many of each source at most.
        mask_tags: patterns of tags that make a column sensitive; None masks nothing.
        say: takes a line for each source.

    Returns:
        What became of each. One that cannot be read is skipped, with the reason.

    Raises:
        ConfigError: the folder holds something else, nothing is selected, two sources would have one file, or it
            cannot be read which columns are sensitive; then nothing is written.
    """
    if not sources:
        raise ConfigError("no source is selected", next_step="see `dbt ls --resource-type source`")
    require_place(folder)
    files = _files(sources)
    sensitive = _sensitive(warehouse, sources, mask_tags)
    salt = secrets.token_hex(16)
    done: list[SampledTable] = []
    record: dict[str, Any] = {
        "format": FORMAT,
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "workspace": warehouse.host,
        "rows_at_most": rows,
        "masked_by": None if mask_tags is None else sorted(mask_tags),
        "tables": {},
    }
    with replacing(folder, record) as aside:
        for source in sources:
            table = _sampled(
                warehouse, source, aside / files[source.unique_id], rows=rows, salt=salt,
                sensitive=sensitive.get(source.unique_id, set()),
            )  # fmt: skip
            done.append(table)
            say(str(table))
            if table.skipped is None:
                record["tables"][table.file] = {
                    "relation": str(table.relation), "rows": table.rows, "masked": list(table.masked),
                }  # fmt: skip
        if not record["tables"]:
            raise ConfigError("no source can be read", where=warehouse.host, next_step="get SELECT on them")
    return done


def _sensitive(warehouse: Warehouse, sources: Sequence[Node], mask_tags: Collection[str] | None) -> dict[str, set[str]]:
    if mask_tags is None:
        return {}
    tagged = tagged_columns(warehouse, [_relation(source) for source in sources], mask_tags)
    return {
        source.unique_id: tagged.get(_relation(source).key, set()) | declared_columns(source, mask_tags)
        for source in sources
    }


def _sampled(
    warehouse: Warehouse, source: Node, path: Path, *, rows: int, salt: str, sensitive: set[str]
) -> SampledTable:
    import pyarrow.parquet as pq

    relation = _relation(source)
    try:
        columns = warehouse.columns(f"SELECT * FROM {relation.quoted} LIMIT 0")
        masked = [name for name, _ in columns if WHOLE_TABLE in sensitive or name.lower() in sensitive]
        parts = ", ".join(_masked(name, kind) if name in masked else quote(name) for name, kind in columns)
        statement = f"SELECT {parts} FROM {relation.quoted} LIMIT {rows}"
        text = any(name in masked and kind in _TEXT for name, kind in columns)
        table: pa.Table = warehouse.arrow(statement, **({"salt": salt} if text else {}))
    except SqlFailed as exc:
        return SampledTable(relation, path.name, skipped=exc.what)
    pq.write_table(table, path)
    return SampledTable(relation, path.name, table.num_rows, tuple(masked))


def _masked(name: str, kind: str) -> str:
    """A column's mask, in SQL: nothing of it leaves the warehouse. Null stays null, and every type stays what it is."""
    column = quote(name)
    if kind in _TEXT:
        return f"left(sha2(concat(:salt, {column}), 256), {_DIGEST_LENGTH}) AS {column}"
    return f"if(false, {column}, NULL) AS {column}"


def _files(sources: Sequence[Node]) -> dict[str, str]:
    """The file of each source by its unique id: `SOURCE.TABLE`, or the table's whole name where several have that."""
    short = [f"{source.raw.get('source_name')}.{source.name}".lower() for source in sources]
    files = {}
    for source in sources:
        name = f"{source.raw.get('source_name')}.{source.name}"
        stem = name if short.count(name.lower()) == 1 else str(_relation(source))
        if "/" in stem or "\0" in stem or stem.startswith((".", "_")):
            raise ConfigError(
                f"the source {stem} can have no file of its name",
                where=source.path,
                next_step="leave it out by --select",
            )
        files[source.unique_id] = f"{stem}.parquet"
    if len({file.lower() for file in files.values()}) < len(files):
        raise ConfigError("two sources are the same table", next_step="leave one of them out by --select")
    return files


def _relation(source: Node) -> RelationName:
    assert source.relation is not None, source.unique_id
    return source.relation
