"""The dbt project as one checksummed archive, so that production is built from what was approved.

A repaired run uses the job's current settings (Databricks Jobs API documentation), so it could check out another
commit. What staging built is therefore packed beside its artifacts, and every later task works on that archive.
"""

from __future__ import annotations

import gzip
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.errors import ArtifactError, ConfigError

ARCHIVE_NAME = "project.tar.gz"
# Only at the top: further down, `logs` may well be a folder of models.
_GENERATED = frozenset({".git", "target", "logs", "dbt_packages", ".venv", "__pycache__"})


def pack(project_dir: str | Path, archive: Path, *, extra: Mapping[str, Path] | None = None) -> Path:
    """Pack a project. The same files give the same bytes: names sorted, no times, no owners.

    In a git work tree the tracked files are packed; elsewhere (a Databricks git checkout shows no `.git`) every file
    but those that dbt generates. Links are packed as the files they point at.

    Args:
        project_dir: the folder with `dbt_project.yml`.
        archive: the file to write.
        extra: further files by their name in the archive, such as a `package-lock.yml` that dbt has just written.

    Returns:
        `archive`.
    """
    source = Path(project_dir).resolve()
    if not (source / "dbt_project.yml").is_file():
        raise ConfigError("no dbt_project.yml", where=source, next_step="give the folder of the dbt project")
    files = {name: source / name for name in _tracked(source) or _all_files(source)}
    files.update(extra or {})
    archive.parent.mkdir(parents=True, exist_ok=True)
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(files):
            path = files[name]
            if path.is_file():
                content = path.read_bytes()
                entry = tarfile.TarInfo(name)
                entry.size = len(content)
                entry.mode = 0o755 if os.access(path, os.X_OK) else 0o644
                tar.addfile(entry, io.BytesIO(content))
    return archive


def unpack(artifacts: ArtifactVersion, destination: Path) -> Path:
    """Unpack the project that published artifacts were built from, after comparing the archive with its checksum.

    Args:
        artifacts: a version that has a project archive.
        destination: a folder on local disk that does not exist yet.

    Returns:
        `destination`, which holds `dbt_project.yml`.

    Raises:
        ArtifactNotFound: these artifacts have no project archive.
        ChecksumMismatch: the archive is not what was published.
        ArtifactError: the archive holds something else than plain files below one folder.
    """
    archive = artifacts.file(ARCHIVE_NAME)
    artifacts.verify()
    destination.mkdir(parents=True)
    with tarfile.open(archive, mode="r:gz") as tar:
        for entry in tar:
            name = PurePosixPath(entry.name)
            reader = tar.extractfile(entry) if entry.isfile() else None
            if reader is None or name.is_absolute() or ".." in name.parts:
                raise ArtifactError(f"unexpected entry {entry.name!r} in the project archive", where=archive)
            path = destination / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(reader.read())
            path.chmod(entry.mode)
    return destination


def archive_digest(artifacts: ArtifactVersion) -> str:
    """The sha256 of the project archive among published artifacts.

    Raises:
        ArtifactNotFound: there is none.
    """
    artifacts.file(ARCHIVE_NAME)
    return artifacts.files[ARCHIVE_NAME].sha256


def _tracked(source: Path) -> list[str]:
    """The files git tracks in a folder; none where git is not installed or the folder is not in a work tree."""
    try:
        done = subprocess.run(["git", "ls-files", "-z"], cwd=source, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return [name for name in done.stdout.decode().split("\0") if name]


def _all_files(source: Path) -> Iterator[str]:
    for folder, subfolders, names in os.walk(source):
        generated = _GENERATED if Path(folder) == source else {"__pycache__"}
        subfolders[:] = [s for s in subfolders if s not in generated]
        yield from ((Path(folder) / name).relative_to(source).as_posix() for name in names)
