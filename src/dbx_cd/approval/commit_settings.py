"""What a commit changes in `dbx_cd.yml`: who reads a request should not have to compare files for that."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dbx_cd.artifacts import archive
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.config import FILE_NAME, read_settings
from dbx_cd.errors import DbxCdError
from dbx_cd.release.context import Cd


def changed_settings(cd: Cd, target: str, staged: ArtifactVersion) -> tuple[str, ...]:
    """The settings of the project's file that are not those of the build in place, a line each.

    Args:
        cd: the context.
        target: the gated target.
        staged: the release's staging artifacts, with their project archive.
    """
    try:
        before = cd.store.latest(target)
        then = dict(_flat(_settings(before)))
    except DbxCdError:
        return ()  # the first release, or one whose artifacts cannot be read: there is nothing to compare with
    now = dict(_flat(_settings(staged)))
    return tuple(
        f"{FILE_NAME}: {name} was {then.get(name, 'not set')}, and is {now.get(name, 'not set')}"
        for name in sorted({**then, **now})
        if then.get(name) != now.get(name)
    )


def _settings(artifacts: ArtifactVersion) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory(prefix="dbx_cd-") as folder:
        return read_settings(archive.unpack(artifacts, Path(folder) / "project") / FILE_NAME)


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting with its whole name, such as `keep.days`."""
    for key, value in settings.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping) and value:
            yield from _flat(value, name)
        else:
            yield name, value
