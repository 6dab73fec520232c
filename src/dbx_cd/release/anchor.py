"""Which table is the release log of an artifacts root: a small file on the Volume that remembers it.

A log that was dropped and made anew, with rows of somebody's choice, has a history that begins like any other's. Its id
is another one: Delta gives each table an id when it is created, which no rename changes and nobody chooses (measured on
Delta 4.4, DESCRIBE DETAIL). So whoever may write where the log lives, and not on the Volume, cannot put another log in
its place unseen.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dbx_cd import volume
from dbx_cd.dbt.json_files import read_json
from dbx_cd.errors import ArtifactError, ConfigError, DbxCdError
from dbx_cd.records import Record
from dbx_cd.relations import RelationName
from dbx_cd.release.standing import Standing

ANCHOR_NAME = "release_log.json"


@dataclass(frozen=True)
class LogAnchor(Record):
    """The log that belongs to the artifacts beside which this is kept."""

    KIND: ClassVar[str] = "log_anchor"

    table: str
    """The table's name."""
    table_id: str | None
    """Delta's id of it."""
    production: str | None = None
    """Who builds what has a gate, where that is not who opens releases."""

    @property
    def standing(self) -> Standing:
        """The log's table, as the Volume knows it."""
        return Standing(source=f"{ANCHOR_NAME} on the Volume", release_log=self.table)

    def require_log(self, table: str, *, root: str | Path) -> None:
        """Refuse another log than the one that these artifacts belong to.

        Raises:
            ConfigError: it is another one.
        """
        if RelationName.parse(table).key != RelationName.parse(self.table).key:
            raise ConfigError(
                f"the artifacts below {root} belong to the release log {self.table}, not to {table}",
                where=Path(root) / ANCHOR_NAME,
                next_step="put release_log right; where the log was moved on purpose, remove the file",
            )


def read_anchor(root: str | Path) -> LogAnchor | None:
    """What the artifacts root remembers; None where nothing was written yet.

    Raises:
        ConfigError: the file is damaged, or a newer dbx_cd wrote it.
        ArtifactError: it cannot be read now; nobody knows then what is in it.
    """
    path = Path(root) / ANCHOR_NAME
    if not volume.is_file(path):
        return None
    try:
        return LogAnchor.read(read_json(path))
    except volume.Unreachable:
        raise
    except DbxCdError as exc:
        # Only a record of a newer format has something to be done about it that is said by the record itself.
        newer = None if isinstance(exc, ArtifactError) else exc.next_step
        raise ConfigError(
            f"{ANCHOR_NAME} {'was written by a newer dbx_cd' if newer else 'is damaged'}: {exc.what}",
            where=path,
            next_step=newer
            or "find out who changed it; remove it where the log is the right one: the next release writes it",
        ) from exc


def write_anchor(root: str | Path, anchor: LogAnchor) -> None:
    """Remember a log, whole and in one call; the root is made where there is none."""
    path = Path(root) / ANCHOR_NAME
    volume.make_folder(path.parent)
    volume.write(path, json.dumps(anchor.to_dict(), indent=1, sort_keys=True).encode())
