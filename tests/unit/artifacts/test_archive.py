from __future__ import annotations

import gzip
import io
import os
import tarfile
from pathlib import Path

import pytest
from artifact_folders import artifacts

from dbx_cd import ArtifactError, ArtifactNotFound, ArtifactStore, ArtifactVersion, ChecksumMismatch, ConfigError
from dbx_cd.artifacts.archive import ARCHIVE_NAME, archive_digest, pack, unpack


def fill(folder: Path) -> Path:
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: shop\n")
    (folder / "models" / "größe.sql").write_text("select 'ü' as größe", encoding="utf-8")
    (folder / "models" / "orders.sql").write_text("select 1")
    return folder


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return fill(tmp_path / "project")


@pytest.fixture
def publish(tmp_path: Path):
    """Publishes an archive among artifacts."""

    def publish(archive: bytes | None) -> ArtifactVersion:
        folder = artifacts(tmp_path / "dbt")
        (folder / ARCHIVE_NAME).unlink()
        if archive is not None:
            (folder / ARCHIVE_NAME).write_bytes(archive)
        return ArtifactStore(tmp_path / "root").publish("stg", folder, commit="1")

    return publish


def test_same_files_give_the_same_bytes(project: Path, tmp_path: Path) -> None:
    first = pack(project, tmp_path / "a.tar.gz").read_bytes()
    other = fill(tmp_path / "elsewhere" / "other")
    for path in other.rglob("*"):
        os.utime(path, (1, 1))
    assert pack(other, tmp_path / "b.tar.gz").read_bytes() == first


@pytest.mark.parametrize("change", ["content", "name", "new file", "execute bit"])
def test_any_change_gives_other_bytes(project: Path, tmp_path: Path, change: str) -> None:
    before = pack(project, tmp_path / "a.tar.gz").read_bytes()
    orders = project / "models" / "orders.sql"
    if change == "content":
        orders.write_text("select 2")
    elif change == "name":
        orders.rename(orders.with_name("order.sql"))
    elif change == "new file":
        (project / "README.md").write_text("")
    else:
        orders.chmod(0o755)
    assert pack(project, tmp_path / "b.tar.gz").read_bytes() != before


def test_unpacked_project_is_the_packed_one(project: Path, tmp_path: Path, publish) -> None:
    version = publish(pack(project, tmp_path / "a.tar.gz").read_bytes())
    there = unpack(version, tmp_path / "there")
    assert there == tmp_path / "there"
    assert {p.relative_to(there).as_posix(): p.read_bytes() for p in there.rglob("*") if p.is_file()} == {
        p.relative_to(project).as_posix(): p.read_bytes() for p in project.rglob("*") if p.is_file()
    }


def test_unpacked_project_packs_to_the_same_bytes(project: Path, tmp_path: Path, publish) -> None:
    archive = pack(project, tmp_path / "a.tar.gz").read_bytes()
    there = unpack(publish(archive), tmp_path / "there")
    assert pack(there, tmp_path / "b.tar.gz").read_bytes() == archive


def test_link_is_packed_as_the_file_it_points_at(project: Path, tmp_path: Path, publish) -> None:
    (project / "models" / "link.sql").symlink_to("orders.sql")
    there = unpack(publish(pack(project, tmp_path / "a.tar.gz").read_bytes()), tmp_path / "there")
    assert not (there / "models" / "link.sql").is_symlink()
    assert (there / "models" / "link.sql").read_text() == "select 1"


def test_execute_bit_is_kept_and_other_modes_are_evened_out(project: Path, tmp_path: Path, publish) -> None:
    (project / "run.sh").write_text("#!/bin/sh\n")
    (project / "run.sh").chmod(0o700)
    (project / "models" / "orders.sql").chmod(0o400)
    there = unpack(publish(pack(project, tmp_path / "a.tar.gz").read_bytes()), tmp_path / "there")
    assert (there / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (there / "models" / "orders.sql").stat().st_mode & 0o777 == 0o644


def test_folder_without_a_project_is_not_packed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no dbt_project\.yml"):
        pack(tmp_path, tmp_path / "a.tar.gz")


def test_changed_archive_is_not_unpacked(project: Path, tmp_path: Path, publish) -> None:
    version = publish(pack(project, tmp_path / "a.tar.gz").read_bytes())
    (project / "models" / "orders.sql").write_text("select 2")
    pack(project, version.path / ARCHIVE_NAME)
    with pytest.raises(ChecksumMismatch, match="project"):
        unpack(version, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_artifacts_without_an_archive_are_named(tmp_path: Path, publish) -> None:
    version = publish(None)
    with pytest.raises(ArtifactNotFound, match=ARCHIVE_NAME):
        unpack(version, tmp_path / "there")
    with pytest.raises(ArtifactNotFound, match=ARCHIVE_NAME):
        archive_digest(version)


def test_digest_is_that_of_the_archive(project: Path, tmp_path: Path, publish) -> None:
    import hashlib

    archive = pack(project, tmp_path / "a.tar.gz").read_bytes()
    assert archive_digest(publish(archive)) == hashlib.sha256(archive).hexdigest()


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> bytes:
    """An archive of one entry."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        info.size = 4 if kind == tarfile.REGTYPE else 0
        tar.addfile(info, io.BytesIO(b"evil"))
    return gzip.compress(buffer.getvalue())


HOSTILE = {
    "parent folder": entry("../evil"),
    "parent folder further down": entry("models/../../evil"),
    "absolute": entry("/evil"),
    "symbolic link": entry("models", tarfile.SYMTYPE, "/etc"),
    "hard link": entry("passwd", tarfile.LNKTYPE, "/etc/passwd"),
    "device": entry("null", tarfile.CHRTYPE),
    "pipe": entry("pipe", tarfile.FIFOTYPE),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_entry_is_refused(tmp_path: Path, publish, case: str) -> None:
    with pytest.raises(ArtifactError, match="unexpected entry"):
        unpack(publish(HOSTILE[case]), tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []
    assert not (tmp_path / "evil").exists()
