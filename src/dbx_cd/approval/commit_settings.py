"""What a commit changes in `dbx_cd.yml`: who reads a request should not have to compare files for that."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

from dbx_cd.artifacts import archive
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.config import FILE_NAME, CdConfig, read_settings
from dbx_cd.errors import ArtifactNotFound, DbxCdError
from dbx_cd.release.context import Cd


def changed_settings(cd: Cd, target: str, staged: ArtifactVersion) -> tuple[str, ...]:
    """The settings of the project's file that are not those of the build in place, a line each.

    Args:
        cd: the context.
        target: the gated target.
        staged: the release's staging artifacts, with their project archive.

    Returns:
        Nothing for the first release; where the file of the build in place cannot be read, a line that says so.

    Raises:
        ConfigError: the release's own file cannot be read.
    """
    try:
        before = cd.store.latest(target)
    except ArtifactNotFound:
        return ()  # the first release: there is nothing to compare with
    except DbxCdError as exc:
        return (_unknown(exc),)
    try:
        then = dict(_flat(_settings(before, last_counts=True)))
    except DbxCdError as exc:
        return (_unknown(exc),)
    now = dict(_flat(_settings(staged)))
    return tuple(
        f"{FILE_NAME}: {name} was {then.get(name, 'not set')}, and is {now.get(name, 'not set')}"
        for name in sorted({**then, **now})
        if then.get(name) != now.get(name)
    )


def _unknown(why: DbxCdError) -> str:
    return (
        f"{FILE_NAME}: which settings were otherwise in the build in place is not known: {' '.join(why.what.split())}"
    )


def _settings(artifacts: ArtifactVersion, *, last_counts: bool = False) -> Mapping[str, Any]:
    with tempfile.TemporaryDirectory(prefix="dbx_cd-") as folder:
        project = archive.unpack(artifacts, Path(folder) / "project")
        return _with_defaults(read_settings(project / FILE_NAME, last_counts=last_counts))


def _with_defaults(written: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says, and the defaults where it says nothing: to write a default down changes nothing."""
    default = CdConfig()
    targets = {name: {k: v for k, v in asdict(target).items() if v} for name, target in default.targets.items()}
    known = {
        "artifacts_root": default.artifacts_root,
        "release_log": default.release_log,
        "targets": targets,
        "smoke_dir": str(default.smoke_dir),
        "approvers": default.approvers,
        "compute": default.compute,
        "approval_expires": f"{default.approval_expires // timedelta(hours=1)}h",
    }
    parts = {name: {**asdict(getattr(default, name)), **(written.get(name) or {})} for name in ("policies", "keep")}
    return {**known, **written, **parts}


def _flat(settings: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Every setting with its whole name, such as `keep.days`."""
    for key, value in settings.items():
        name = f"{above}.{key}" if above else str(key)
        if isinstance(value, Mapping) and value:
            yield from _flat(value, name)
        else:
            yield name, value
