"""Which archive of classes a JVM is given: only one that was recorded from just what it will load."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dbx_cd.local.class_archive import archive_of, replaced_by, sharing_option
from dbx_cd.local.java_catalog import JavaCatalog


@pytest.fixture
def java(tmp_path: Path) -> JavaCatalog:
    catalog = tmp_path / "cache" / "catalog-1"
    catalog.mkdir(parents=True)
    files = [*(tmp_path / name for name in ("java", "delta.jar", "other-delta.jar")), catalog / "catalog.jar"]
    for file in files:
        file.write_bytes(file.name.encode())
    return JavaCatalog(java=files[0], delta_jars=(files[1],), catalog=files[3])


def test_what_is_as_it_was_has_its_archive(java: JavaCatalog) -> None:
    assert archive_of(java, jvm_options="-Xa") == archive_of(java, jvm_options="-Xa")


@pytest.mark.parametrize("changed", ["java", "delta.jar", "catalog.jar"])
def test_a_file_that_changed_has_another_archive(java: JavaCatalog, tmp_path: Path, changed: str) -> None:
    before = archive_of(java, jvm_options="-Xa")
    os.utime(next(tmp_path.rglob(changed)), ns=(1, 1))
    assert archive_of(java, jvm_options="-Xa") != before


def test_other_jars_or_options_have_another_archive(java: JavaCatalog, tmp_path: Path) -> None:
    more = replace(java, delta_jars=(*java.delta_jars, tmp_path / "other-delta.jar"))
    found = {
        archive_of(java, jvm_options="-Xa"),
        archive_of(java, jvm_options="-Xb"),
        archive_of(more, jvm_options="-Xa"),
    }
    assert len(found) == 3


def test_a_jvm_is_given_an_archive_that_is_there(java: JavaCatalog) -> None:
    archive = archive_of(java, jvm_options="-Xa")
    assert sharing_option(archive) == ""
    archive.touch()
    assert sharing_option(archive) == f'-XX:SharedArchiveFile="{archive}"'


def test_an_archive_replaces_those_of_the_same_installation_alone(java: JavaCatalog, tmp_path: Path) -> None:
    upgraded = tmp_path / "cache" / "catalog-2" / "catalog.jar"
    upgraded.parent.mkdir()
    upgraded.write_bytes(b"another version of the plugin")
    other_java = tmp_path / "java-21"
    other_java.write_bytes(b"")
    older = archive_of(java, jvm_options="-Xa")
    archive = archive_of(replace(java, catalog=upgraded), jvm_options="-Xa")
    another = archive_of(replace(java, java=other_java), jvm_options="-Xa")
    for file in (archive, older, another):
        file.touch()
    assert replaced_by(archive) == [older]
