"""Files that a repository is to have, beside what it has: what is new, what is as it should be, and what differs."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dbx_cd.errors import ConfigError


@dataclass(frozen=True)
class PlannedFile:
    """One file."""

    name: str
    """Where it is, seen from the root of the repository."""
    text: str
    """What it is to hold."""
    present: str | None = None
    """What it holds; None where it is not there."""
    is_addition: bool = False
    """Whether the text is what is there with something added, so that it may take its place."""

    @classmethod
    def in_repository(cls, repository: Path, name: str, text: str, *, is_addition: bool = False) -> PlannedFile:
        """Compare with what is there.

        Raises:
            ConfigError: it cannot be read.
        """
        path = repository / name
        try:
            present = path.read_text(encoding="utf-8") if path.exists() else None
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"cannot be read: {exc}", where=path, next_step="move it away, or fix it") from exc
        return cls(name, text, present, is_addition)

    @property
    def is_written(self) -> bool:
        """Whether it is written: what is there stays, but for something that is added to it."""
        return self.present is None or (self.is_addition and self.present != self.text)

    @property
    def differs(self) -> bool:
        """Whether what is there stays, and is something else."""
        return not self.is_written and self.present != self.text

    @property
    def diff(self) -> str:
        """From what is there to what is to be, as `git apply` takes it; "" for no difference."""
        lines = difflib.unified_diff(
            (self.present or "").splitlines(keepends=True),
            self.text.splitlines(keepends=True),
            "/dev/null" if self.present is None else f"a/{self.name}",
            f"b/{self.name}",
        )
        ended = "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
        new = "new file mode 100644\n" if self.present is None and ended else ""
        return f"diff --git a/{self.name} b/{self.name}\n{new}{ended}" if ended else ""


def write_files(repository: Path, files: Sequence[PlannedFile]) -> list[Path]:
    """Write what is to be written; one that cannot be leaves none of those that were new.

    Returns:
        What was written.

    Raises:
        ConfigError: a file cannot be written.
    """
    written: list[tuple[Path, str | None]] = []
    try:
        for file in files:
            if file.is_written:
                path = repository / file.name
                path.parent.mkdir(parents=True, exist_ok=True)
                written.append((path, file.present))
                path.write_text(file.text, encoding="utf-8")
    except OSError as exc:
        for path, before in written:
            _put_back(path, before)
        raise ConfigError(
            f"cannot be written: {exc}; nothing was", where=repository, next_step="look at the folder's rights"
        ) from exc
    return [path for path, _ in written]


def _put_back(path: Path, before: str | None) -> None:
    try:
        if before is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(before, encoding="utf-8")
    except OSError:
        return
