"""`requirements-dbt.txt`: every package of dbt's own environment, by version and hashes.

It is a requirements file of pip's, and read here only to refuse what would make it no lock: uv installs from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dbx_cd.errors import ConfigError

FILE_NAME = "requirements-dbt.txt"
"""The file, beside `dbt_project.yml` and thus in the project archive."""

_PIN = re.compile(
    r"(?P<name>[A-Za-z0-9][\w.-]*)(?:\[[\w.,\s-]*\])?\s*==\s*(?P<version>[\w.!+-]+)\s*(?:;(?P<marker>.*?))?"
    r"(?P<hashes>(?:\s+--hash=sha(?:256|384|512):[0-9a-f]{64,128})+)"
)
_LOCK_AGAIN = "write it by `python -m dbx_cd lock-dbt`"


@dataclass(frozen=True)
class Pin:
    """One locked package."""

    name: str
    """Its name, normalized as package indexes do (PEP 503)."""
    version: str
    """Its only version."""
    marker: str
    """For which Pythons and platforms; "" for all."""
    hashes: tuple[str, ...]
    """The files that may be installed, as `sha256:...`."""


@dataclass(frozen=True)
class RequirementsLock:
    """A lock that was read."""

    path: Path
    """The file."""
    text: str
    """What is in it, with plain line ends."""
    pins: tuple[Pin, ...]
    """Its packages."""

    @classmethod
    def find(cls, project_dir: Path) -> Self | None:
        """That of a project; None where it has none.

        Raises:
            ConfigError: it cannot be read, or anything in it is not locked.
        """
        path = project_dir / FILE_NAME
        try:
            return cls.parse(path.read_text(encoding="utf-8"), path=path)
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"cannot be read: {exc}", where=path, next_step=_LOCK_AGAIN) from exc

    @classmethod
    def parse(cls, text: str, *, path: Path) -> Self:
        """Read one.

        Args:
            text: what is in it.
            path: the file, which errors name.

        Raises:
            ConfigError: a line is something else than a package with one version and hashes; or dbt is not in it.
        """
        plain = text.replace("\r\n", "\n")
        pins = tuple(_pin(line, number, path) for number, line in _lines(plain))
        if not any(pin.name == "dbt-core" for pin in pins):
            raise ConfigError("dbt-core is not locked, so no dbt would run", where=path, next_step=_LOCK_AGAIN)
        return cls(path, plain, pins)


def normalized(name: str) -> str:
    """A package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """The logical lines without comments, each with the number of its first one."""
    first, joined = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        content = re.sub(r"(^|\s)#.*$", "", line).rstrip()
        first = first or number
        joined += content.removesuffix("\\")
        if content.endswith("\\"):
            continue
        if joined.strip():
            yield first, joined.strip()
        first, joined = 0, ""
    if joined.strip():
        yield first, joined.strip()


def _pin(line: str, number: int, path: Path) -> Pin:
    found = _PIN.fullmatch(line)
    if found is None:
        raise ConfigError(
            f"line {number} is no package with one version (==) and hashes (--hash=sha256:...): {line[:80]!r}",
            where=path,
            next_step=f"leave out options, addresses and ranges, and {_LOCK_AGAIN}",
        )
    marker = (found["marker"] or "").strip()
    return Pin(normalized(found["name"]), found["version"], marker, tuple(re.findall(r"--hash=(\S+)", found["hashes"])))
