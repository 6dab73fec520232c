"""The dbt project as one checksummed archive, so that production is built from what was approved.

A repaired run uses the job's current settings (Databricks Jobs API documentation), so it could check out another
commit, and a hub may serve other packages tomorrow. What staging built is therefore packed beside its artifacts, and
every later task works on that archive.
"""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from dbx_cd import volume
from dbx_cd.artifacts.project_files import project_files
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.errors import ArtifactError

ARCHIVE_NAME = "project.tar.gz"


def pack(project_dir: str | Path, archive: Path) -> Path:
    """Pack a project's own files, as `project_files` decides them; packages are not installed.

    Args:
        project_dir: the folder with `dbt_project.yml`.
        archive: the file to write.

    Returns:
        `archive`.

    Raises:
        ConfigError: see `project_files`.
    """
    return pack_files(project_files(project_dir).files, archive)


def pack_files(files: Mapping[str, Path], archive: Path) -> Path:
    """Pack files by their names. The same files give the same bytes: names sorted, no times, no owners, two modes.

    Args:
        files: what to pack, by the name in the archive.
        archive: the file to write.

    Returns:
        `archive`.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    with (
        archive.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(files):
            content = files[name].read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755 if os.access(files[name], os.X_OK) else 0o644
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
    return unpack_files(archive, destination)


def unpack_files(archive: Path, destination: Path) -> Path:
    """Unpack an archive that was just made, or whose checksum was compared.

    Args:
        archive: the file.
        destination: a folder on local disk that does not exist yet.

    Returns:
        `destination`.

    Raises:
        ArtifactError: the archive holds something else than plain files below one folder.
    """
    destination.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(volume.read(archive)), mode="r:gz") as tar:
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
