"""Which archive of classes a JVM is given: only one that was recorded from just what it will load."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from dbx_cd.local.class_archive import archive_of, older_archives, sharing_option
from dbx_cd.local.java_catalog import JavaCatalog


@pytest.fixture
def java(tmp_path: Path) -> JavaCatalog:
    files = [tmp_path / name for name in ("java", "delta.jar", "catalog.jar", "other-delta.jar")]
    for file in files:
        file.write_bytes(file.name.encode())
    return JavaCatalog(java=files[0], delta_jars=(files[1],), catalog=files[2])


def test_what_is_as_it_was_has_its_archive(java: JavaCatalog) -> None:
    assert archive_of(java, jvm_options="-Xa") == archive_of(java, jvm_options="-Xa")


@pytest.mark.parametrize("changed", ["java", "delta.jar", "catalog.jar"])
def test_a_file_that_changed_has_another_archive(java: JavaCatalog, tmp_path: Path, changed: str) -> None:
    before = archive_of(java, jvm_options="-Xa")
    os.utime(tmp_path / changed, ns=(1, 1))
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


def test_an_archive_replaces_those_of_the_same_installation_alone(java: JavaCatalog) -> None:
    archive, older = archive_of(java, jvm_options="-Xa"), archive_of(java, jvm_options="-Xb")
    another = archive.with_name("00000000-0.jsa")
    for file in (archive, older, another):
        file.touch()
    assert older_archives(archive) == [older]
