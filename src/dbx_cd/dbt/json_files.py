"""Reading the JSON files that dbt leaves, with damage reported as such."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dbx_cd import volume
from dbx_cd.errors import ArtifactError


@contextlib.contextmanager
def reading(kind: str, path: str | Path) -> Iterator[None]:
    """Report a field that is missing or of another type as a malformed file."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError) as exc:
        raise ArtifactError(f"not {kind}: {exc!r}", where=path) from exc


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON object from a file.

    Raises:
        ArtifactError: the file is missing, is not JSON, or is not an object.
        Unreachable: it cannot be read now, so that nobody knows what is in it.
    """
    try:
        document = json.loads(volume.read(Path(path)))  # it may be on a Volume
    except FileNotFoundError as exc:
        raise ArtifactError("the file is missing", where=path, next_step="see what the dbt command left") from exc
    except (ValueError, RecursionError) as exc:
        raise ArtifactError(f"not readable as JSON: {exc}", where=path) from exc
    if not isinstance(document, dict):
        raise ArtifactError("not a JSON object", where=path)
    return document
