from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from artifact_folders import artifacts

from dbx_cd import ArtifactNotFound, ArtifactStore, ArtifactVersion, Release
from dbx_cd.approval.seal import changed_parts, digest, seal_of, sealed_parts

RELEASE = Release("20260101T000000Z-1a2b3c4", "1a2b3c4d", "17", "dev@example.org", datetime(2026, 1, 1, tzinfo=UTC))
DEPLOY = {"target": "prod", "select": "tag:deploy", "exclude": None, "full_refresh": False}


@pytest.fixture
def staged(tmp_path: Path) -> ArtifactVersion:
    return ArtifactStore(tmp_path / "root").publish("stg", artifacts(tmp_path / "dbt"), commit="1a2b3c4d")


def parts(staged: ArtifactVersion, *, release: Release = RELEASE, passed: int = 3, **deploy: Any) -> dict[str, str]:
    return sealed_parts(release, staged, smoke={"passed": passed}, deploy={**DEPLOY, **deploy})


def test_approval_covers_these_parts(staged: ArtifactVersion) -> None:
    assert list(parts(staged)) == [
        "release", "commit", "artifacts", "project archive", "smoke report", "selection and flags",
    ]  # fmt: skip


def test_same_facts_give_the_same_seal(staged: ArtifactVersion) -> None:
    assert seal_of(parts(staged)) == seal_of(parts(staged))


def test_order_of_parts_does_not_matter(staged: ArtifactVersion) -> None:
    sealed = parts(staged)
    assert seal_of(dict(reversed(sealed.items()))) == seal_of(sealed)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"release": replace(RELEASE, id="other")}, "release"),
        ({"release": replace(RELEASE, commit="ffff")}, "commit"),
        ({"passed": 2}, "smoke report"),
        ({"select": "tag:all"}, "selection and flags"),
        ({"full_refresh": True}, "selection and flags"),
        ({"defer": True}, "selection and flags"),
    ],
)
def test_change_is_named_by_its_part_and_breaks_the_seal(staged: ArtifactVersion, change: Any, part: str) -> None:
    before, after = parts(staged), parts(staged, **change)
    assert changed_parts(before, after) == (part,)
    assert seal_of(before) != seal_of(after)


def test_changed_artifacts_and_archive_are_named(staged: ArtifactVersion, tmp_path: Path) -> None:
    other = ArtifactStore(tmp_path / "root").publish("stg", artifacts(tmp_path / "new", content="b"), commit="1a2b3c4d")
    assert changed_parts(parts(staged), parts(other)) == ("artifacts", "project archive")


def test_missing_smoke_report_is_not_an_empty_one(staged: ArtifactVersion) -> None:
    without = sealed_parts(RELEASE, staged, smoke=None, deploy=DEPLOY)
    assert changed_parts(parts(staged, passed=0), without) == ("smoke report",)


def test_part_that_only_one_side_has_counts_as_changed() -> None:
    assert changed_parts({"a": "1"}, {"a": "1", "b": "2"}) == ("b",)
    assert changed_parts({"a": "1", "b": "2"}, {"a": "1"}) == ("b",)


def test_nothing_changed_means_no_names() -> None:
    assert changed_parts({"a": "1"}, {"a": "1"}) == ()


def test_artifacts_without_a_project_archive_cannot_be_sealed(tmp_path: Path) -> None:
    folder = artifacts(tmp_path / "dbt")
    (folder / "project.tar.gz").unlink()
    version = ArtifactStore(tmp_path / "root").publish("stg", folder, commit="1")
    with pytest.raises(ArtifactNotFound, match=r"project\.tar\.gz"):
        parts(version)


def test_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest([1, 2]) != digest([2, 1])
    assert digest({"a": 1}) != digest({"a": "1"})
