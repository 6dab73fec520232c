"""Text files line by line: what cannot be read is told with its line, and so is a value that fits no type."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from dbx_cd.errors import ConfigError

_LONGEST_FIELD = 64 * 1024 * 1024


def check_text(path: Path, kind: str) -> None:
    """Read a whole text file, so that nothing of it is left out without a word.

    Raises:
        ConfigError: it is not UTF-8, not what its extension says, has no header, or a row of another length; with the
            line where that is known.
    """
    for _ in (_csv_rows if kind == "csv" else _json_rows)(path):
        pass


def line_of(path: Path, kind: str, column: str, values: Collection[str]) -> int | None:
    """The line of the first row that has one of these values in a column, where that is known."""
    for line, row in (_csv_rows if kind == "csv" else _json_rows)(path):
        found = next((value for name, value in row.items() if name.lower() == column.lower()), None)
        if found is not None and (found in values or _as_text(found) in values):
            return line or None
    return None


def is_json_array(path: Path) -> bool:
    """Whether a JSON file is one array (or one object over several lines), and not one object a line."""
    with _opened(path) as text:
        start = text.read(4096).lstrip()
    if start.startswith("["):
        return True
    first = start.partition("\n")[0]
    return start.startswith("{") and not _is_json(first)


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    csv.field_size_limit(_LONGEST_FIELD)
    with _opened(path) as text:
        reader = csv.reader(text, strict=True)
        rows = _told(path, lambda: reader.line_num, reader)
        header: list[str] = next(rows, [])
        lower = [name.lower() for name in header]
        for name in header:
            if not name.strip() or lower.count(name.lower()) > 1:
                what = f"the column {name!r} twice" if name.strip() else "a column without a name"
                raise ConfigError(f"the header has {what}", where=f"{path.name}:1", next_step="correct the header")
        if not header:
            raise ConfigError("the file has no header", where=path.name, next_step="write the names of its columns")
        before = reader.line_num
        for row in rows:
            if row and len(row) != len(header):
                raise ConfigError(
                    f"the row has {len(row)} values, and the header {len(header)}",
                    where=f"{path.name}:{before + 1}",
                    next_step="correct the row; a value that holds a comma stands in quotes",
                )
            if row:
                yield before + 1, dict(zip(header, row, strict=True))
            before = reader.line_num


def _json_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    lines = [_decoded(path, line, number) for number, line in enumerate(path.read_bytes().split(b"\n"), start=1)]
    if is_json_array(path):
        found = _loaded(path, "\n".join(lines), 0)
        for row in found if isinstance(found, list) else [found]:
            yield 0, _object(path, row, 1)  # the line of a row in an array is not known
        return
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, _object(path, _loaded(path, line, number - 1), number)


def _object(path: Path, row: Any, line: int) -> dict[str, Any]:
    if not isinstance(row, dict):
        raise ConfigError(
            f"a row is no JSON object but {str(row)[:40]!r}", where=f"{path.name}:{line}", next_step="correct it"
        )
    return row


def _loaded(path: Path, text: str, before: int) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        where = f"{path.name}:{before + exc.lineno}"
        raise ConfigError(f"not JSON: {exc.msg}", where=where, next_step="correct the file") from exc
    except RecursionError as exc:
        raise ConfigError("nested too deeply", where=path.name, next_step="correct the file") from exc


def _decoded(path: Path, line: bytes, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as exc:
        raise ConfigError("it is not UTF-8", where=f"{path.name}:{number}", next_step="correct the file") from exc


def _told(path: Path, line: Callable[[], int], rows: Iterator[Any]) -> Iterator[Any]:
    """The rows of a reader; what stops it is told with the line."""
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except (csv.Error, UnicodeDecodeError) as exc:
            what = "it is not UTF-8" if isinstance(exc, UnicodeDecodeError) else f"not CSV: {exc}"
            raise ConfigError(what, where=f"{path.name}:{line() + 1}", next_step="correct the file") from exc
        yield row


def _opened(path: Path) -> Any:
    return path.open(encoding="utf-8-sig", newline="")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
