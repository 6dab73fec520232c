"""Which files a bundle includes, also such as are not there yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def included_files(repository: Path, bundle: Mapping[str, Any]) -> tuple[str, ...]:
    """The files of a repository that its bundle includes, by their names in it.

    Args:
        repository: the root of the bundle.
        bundle: what its `databricks.yml` says.
    """
    patterns = bundle.get("include")
    found = {
        path.relative_to(repository).as_posix()
        for pattern in (patterns if isinstance(patterns, list) else ())
        for path in _matching(repository, str(pattern))
    }
    return tuple(sorted(found))


def covers(bundle: Mapping[str, Any], name: str) -> bool:
    """Whether a bundle includes a file of this name, also one that is not there yet.

    Args:
        bundle: what its `databricks.yml` says.
        name: the file, seen from the bundle's root.
    """
    patterns = bundle.get("include")
    return any(_as_glob(str(pattern)).fullmatch(name) for pattern in (patterns if isinstance(patterns, list) else ()))


def _matching(repository: Path, pattern: str) -> list[Path]:
    try:
        found = repository.glob(pattern.removeprefix("./"))
        return [path for path in found if path.suffix in (".yml", ".yaml", ".json") and path.is_file()]
    except (ValueError, NotImplementedError, OSError):  # an absolute one, or none at all
        return []


def _as_glob(pattern: str) -> re.Pattern[str]:
    """`*` and `?` are within a folder; `**` is any number of folders (asset bundle reference, `include`)."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern.removeprefix("./"))
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(known.get(part, re.escape(part)) for part in parts))
