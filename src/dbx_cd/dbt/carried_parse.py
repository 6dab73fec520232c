"""dbt's parse of a project, carried from one task of a release to the next on this machine's own disk.

dbt parses a project anew wherever its target folder holds no `partial_parse.msgpack`. What it leaves there is kept here
under a key of everything it was made from, and given to a later invocation with the same key; dbt then compares files,
profile, variables and environment once more by itself. The file holds plain values of environment variables that models
read: it stays in a folder that only this user can enter, and never goes to a Volume or into an archive.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbx_cd.config import dbt_metadata_variables
from dbx_cd.dbt.environment import DbtEnvironment
from dbx_cd.dbt.parse_time import depends_on_the_invocation
from dbx_cd.dbt.project import LocalProject
from dbx_cd.dbt.project_copy import leads_elsewhere
from dbx_cd.local_disk import private_folder

KEPT_PARSES = "DBX_CD_KEPT_PARSES"
"""The environment variable by which the embedded workspace tells its tasks the folder: each has a TMPDIR of its own."""
PARSE_FILE = "partial_parse.msgpack"
MAX_FILES = 16
MAX_BYTES = 512 * 1024 * 1024
MAX_AGE_SECONDS = 24 * 3600
_DISTRIBUTIONS = ("dbt-core", "dbt-common", "dbt-adapters", "dbt-spark", "dbt-databricks")
_NOT_PARSING = ("clean", "debug", "deps")
_HARMLESS = ("--static",)  # options that say nothing about the project
_FORMAT = b"dbx_cd parse 1\n"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CarriedParse:
    """The place of one parse."""

    folder: Path
    """Where parses are kept; see `cache_folder`."""
    key: str
    """A sha256 of all that the parse is made from."""
    project_dir: Path
    """The project that is parsed."""

    def bring(self, target_path: Path) -> bool:
        """Put the parse into dbt's target folder, unless one is there.

        Returns:
            Whether there was one. A damaged one is removed.
        """
        wanted = target_path / PARSE_FILE
        if wanted.exists():
            return False
        kept = self.folder / self.key
        try:
            content = kept.read_bytes()
        except OSError:
            return False
        head, payload = content[: len(_FORMAT) + 64], content[len(_FORMAT) + 64 :]
        if head != _head(self.key, payload):
            _log.info("the kept parse %s is damaged", kept)
            kept.unlink(missing_ok=True)
            return False
        target_path.mkdir(parents=True, exist_ok=True)
        _write(wanted, payload)
        with contextlib.suppress(OSError):
            os.utime(kept)
        return True

    def keep(self, target_path: Path) -> bool:
        """Keep what dbt left in its target folder, if it may serve another invocation.

        Returns:
            Whether it is kept now.
        """
        try:
            payload = (target_path / PARSE_FILE).read_bytes()
            content = _head(self.key, payload) + payload
            kept = self.folder / self.key
            if kept.is_file() and kept.read_bytes() == content:
                return True
            if depends_on_the_invocation(self.project_dir, manifest=target_path / "manifest.json"):
                return False
            _write(kept, content)
            _limit(self.folder)
        except OSError as exc:
            _log.info("the parse is not kept: %s", exc)
            return False
        return True


def carried_parse(
    project: LocalProject,
    *,
    target: str,
    vars: Mapping[str, Any] | None,
    words: Sequence[str],
    environment: DbtEnvironment | None = None,
) -> CarriedParse | None:
    """Where the parse of a project is kept.

    Args:
        project: the copy on local disk, with its packages installed.
        target: the target of the profile.
        vars: dbt variables.
        words: the command; what follows its name can be options.
        environment: the environment that dbt runs in; the interpreter's own when not given.

    Returns:
        None where nothing can be carried: a command that does not parse, profiles that dbt has to find, packages that
        are links to what is not in the copy, or no private folder.
    """
    folder = cache_folder()
    if folder is None or project.profiles_dir is None or words[0] in _NOT_PARSING or leads_elsewhere(project.dir):
        return None
    at_work = environment or DbtEnvironment.own()
    settings = {
        "target": target,
        "vars": dict(vars or {}),
        "options": list(words) if any(w.startswith("-") and w not in _HARMLESS for w in words) else [],
        "profile": _digest(project.profiles_dir / "profiles.yml"),
        "metadata": dbt_metadata_variables(),
        "project": _project_digest(project.dir),
        "python": sys.version,
        "packages": [f"{name} {at_work.version(name) or '-'}" for name in _DISTRIBUTIONS],
        "environment": at_work.record.digest,
    }
    text = json.dumps(settings, sort_keys=True, default=str)
    return CarriedParse(folder, hashlib.sha256(text.encode()).hexdigest(), project.dir)


def forget_untracked_parse(project: LocalProject) -> None:
    """Remove a parse that an earlier invocation left in this work folder, where this one could come out otherwise."""
    left = project.target_path / PARSE_FILE
    if left.exists() and depends_on_the_invocation(project.dir, manifest=project.target_path / "manifest.json"):
        left.unlink()


def cache_folder() -> Path | None:
    """This user's folder for parses: the one that was given, else below the system's temporary one, on local disk.

    Returns:
        None where such a folder cannot be had: another user made it, others may enter it, or it is a link.
    """
    return private_folder("parses", variable=KEPT_PARSES)


def _head(key: str, payload: bytes) -> bytes:
    """What stands before a parse: the key is in the digest, so a file under another's name is noticed too."""
    return _FORMAT + hashlib.sha256(key.encode() + payload).hexdigest().encode()


def _write(path: Path, content: bytes) -> None:
    """Write a whole file or none, readable by its owner only."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _limit(folder: Path) -> None:
    """Remove the parses that were used longest ago, until what is left is small and recent enough."""
    kept = []
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            found = path.stat()
            kept.append((found.st_mtime, found.st_size, path))
    size = 0
    for number, (used, bytes_, path) in enumerate(sorted(kept, reverse=True)):
        size += bytes_
        if number >= MAX_FILES or size > MAX_BYTES or used < time.time() - MAX_AGE_SECONDS:
            path.unlink(missing_ok=True)


def _project_digest(folder: Path) -> str:
    """Over the path and content of every file, but for what dbt itself writes."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        if path.is_file() and inside.parts[0] not in ("target", "logs"):
            digest.update(f"{inside.as_posix()}\0{_digest(path)}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
