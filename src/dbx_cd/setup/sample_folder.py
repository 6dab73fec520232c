"""A folder that is whole or not there: filled beside its place, then moved."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dbx_cd.errors import ConfigError

RECORD = "_sample.json"
"""What a sample holds, beside its files; the loader passes over names that begin with `_`."""


def require_place(folder: Path) -> None:
    """Make sure that a sample may be written to a folder: there is none, or nothing in it, or an earlier sample.

    Raises:
        ConfigError: something else is there.
    """
    if folder.is_dir() and not (folder / RECORD).is_file() and any(folder.iterdir()):
        raise ConfigError(
            "the folder holds other files than a sample", where=folder, next_step="give a new or an empty folder"
        )
    if folder.exists() and not folder.is_dir():
        raise ConfigError("this is a file", where=folder, next_step="give a new or an empty folder")
    if not folder.parent.is_dir():
        raise ConfigError("no such folder", where=folder.parent, next_step="make it, or give another one")


@contextmanager
def replacing(folder: Path, record: Mapping[str, Any]) -> Iterator[Path]:
    """Fill a sample's folder.

    Only its owner can read it, and git does not see it: rows of production are in it.

    Args:
        folder: its place, which `require_place` has looked at.
        record: what `RECORD` will hold, once the block has filled it.

    Yields:
        The folder to fill. It is moved to its place when the block ends, and removed where the block fails.

    Raises:
        ConfigError: the place cannot be written.
    """
    token = secrets.token_hex(4)
    aside, before = (folder.with_name(f".{folder.name}.{token}.{kind}") for kind in ("new", "old"))
    try:
        aside.mkdir(mode=0o700)
        (aside / ".gitignore").write_text("*\n", encoding="utf-8")
        yield aside
        (aside / RECORD).write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rename(before)
        aside.rename(folder)
    except OSError as exc:
        raise ConfigError(
            f"the sample cannot be written: {exc.strerror or exc}", where=folder, next_step="free the disk, or give "
            "another folder",
        ) from exc  # fmt: skip
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        if before.exists() and not folder.exists():
            before.rename(folder)
        shutil.rmtree(before, ignore_errors=True)
