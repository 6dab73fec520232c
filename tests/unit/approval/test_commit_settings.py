"""What a request tells of the settings that a commit changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from artifact_folders import artifacts

from dbx_cd import ArtifactVersion, ConfigError
from dbx_cd.approval.commit_settings import changed_settings
from dbx_cd.artifacts import archive
from dbx_cd.config import FILE_NAME
from memory.releases import Releases

UNKNOWN = "dbx_cd.yml: which settings were otherwise in the build in place is not known: "


def published(releases: Releases, settings: str, target: str = "prod") -> ArtifactVersion:
    """A build whose archive has these settings; "" is a build without an archive."""
    folder = artifacts(releases.root.parent / target)
    (folder / archive.ARCHIVE_NAME).unlink()
    if settings:
        (releases.project / FILE_NAME).write_text(settings)
        files = {name: releases.project / name for name in ("dbt_project.yml", FILE_NAME)}
        archive.pack_files(files, folder / archive.ARCHIVE_NAME)
    return releases.cd().store.publish(target, folder, commit="a" * 40, latest=True)


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    found = Releases(tmp_path)
    found.cd()
    return found


def test_the_first_release_changes_no_settings(releases: Releases) -> None:
    staged = published(releases, "approvers: us\n", "stg")
    assert changed_settings(releases.cd(), "prod", staged) == ()


def test_settings_of_a_build_in_place_that_has_a_key_twice_are_compared_by_the_last(releases: Releases) -> None:
    published(releases, "approvers: others\napprovers: them\n")
    staged = published(releases, "approvers: us\n", "stg")
    assert changed_settings(releases.cd(), "prod", staged) == ("dbx_cd.yml: approvers was them, and is us",)


@pytest.mark.parametrize(("settings", "why"), [("[1", "not valid YAML"), ("", "no 'project.tar.gz' among")])
def test_where_the_settings_of_the_build_in_place_cannot_be_read_the_request_says_so(
    releases: Releases, settings: str, why: str
) -> None:
    published(releases, settings)
    staged = published(releases, "approvers: us\n", "stg")
    (line,) = changed_settings(releases.cd(), "prod", staged)
    assert line.startswith(f"{UNKNOWN}{why}")
    assert "\n" not in line


def test_artifacts_in_place_that_are_not_what_was_published_are_told(releases: Releases) -> None:
    before = published(releases, "approvers: them\n")
    before.file("manifest.json").write_text("{ }")
    staged = published(releases, "approvers: us\n", "stg")
    assert changed_settings(releases.cd(), "prod", staged)[0].startswith(UNKNOWN)


def test_a_key_twice_in_the_release_at_hand_is_refused(releases: Releases) -> None:
    published(releases, "approvers: them\n")
    staged = published(releases, "approvers: others\napprovers: us\n", "stg")
    with pytest.raises(ConfigError, match="there twice"):
        changed_settings(releases.cd(), "prod", staged)


def test_to_write_a_default_down_changes_nothing(releases: Releases) -> None:
    releases.deployed("1")
    releases.settings = (
        "targets: {stg: {}, prod: {gate: approval, defer_to: stg}}\napproval_expires: 72h\n"
        "policies: {auto_rollback: never}\nsmoke_dir: smoke\ncompute: warehouse\n"
    )
    assert releases.ask(releases.staged("2", commit="b" * 40)).mind == ()


def test_a_setting_that_a_commit_changes_is_shown_as_it_was_and_is(releases: Releases) -> None:
    releases.deployed("1")
    releases.settings = "policies: {auto_rollback: any}\nkeep: {versions: 1}\ncompute: cluster\n"
    assert releases.ask(releases.staged("2", commit="b" * 40)).mind == (
        "dbx_cd.yml: compute was warehouse, and is cluster",
        "dbx_cd.yml: keep.versions was 30, and is 1",
        "dbx_cd.yml: policies.auto_rollback was never, and is any",
    )
