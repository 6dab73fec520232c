"""The Volume remembers which table is the log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from dbx_cd import ApprovalRequired, ConfigError, Release, ReleaseLog, acknowledge_alteration, require_approval
from dbx_cd.delta.log_table import LogRow
from dbx_cd.release.anchor import ANCHOR_NAME, LogAnchor, read_anchor, write_anchor
from memory.releases import OWNER, Releases


def test_what_was_written_is_read(tmp_path: Path) -> None:
    anchor = LogAnchor("ops.dbt_meta.release_log", "id-1")
    write_anchor(tmp_path / "artifacts", anchor)
    assert read_anchor(tmp_path / "artifacts") == anchor


def test_a_new_root_remembers_nothing(tmp_path: Path) -> None:
    assert read_anchor(tmp_path) is None


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / ANCHOR_NAME).write_text("{")
    with pytest.raises(ConfigError, match=r"release_log\.json is damaged"):
        read_anchor(tmp_path)


def test_another_log_than_the_one_of_these_artifacts_is_refused(tmp_path: Path) -> None:
    anchor = LogAnchor("ops.dbt_meta.release_log", "id-1")
    anchor.require_log("OPS.dbt_meta.Release_Log", root=tmp_path)
    with pytest.raises(ConfigError, match=r"belong to the release log ops\.dbt_meta\.release_log, not to"):
        anchor.require_log("ops.mine.log", root=tmp_path)


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path / "releases")


def forged(releases: Releases) -> Release:
    """A log that was dropped and made anew with the same rows, and an approval among them."""
    release = releases.approved()
    known = releases.log_table.id
    rows: Sequence[LogRow] = [row for _, row in releases.log_table.rows()]
    releases.log_table.made_anew(rows)
    releases.remember_log(known)
    return release


def test_a_log_that_was_dropped_and_made_anew_approves_nothing(releases: Releases) -> None:
    release = forged(releases)
    with pytest.raises(ApprovalRequired, match=r"was altered.*in place of the log that the Volume remembers"):
        require_approval(releases.cd(), release, target="prod")


def test_an_approver_may_go_on_with_it_knowingly(releases: Releases) -> None:
    release = forged(releases)
    seal = releases.cd().log.tampering().seal
    acknowledge_alteration(releases.cd(OWNER), seal=seal, reason="an administrator moved it")
    require_approval(releases.cd(), release, target="prod")


def test_what_was_acknowledged_of_one_log_is_not_of_the_next(releases: Releases) -> None:
    release = forged(releases)
    acknowledge_alteration(releases.cd(OWNER), seal=releases.cd().log.tampering().seal, reason="moved")
    releases.log_table.made_anew([row for _, row in releases.log_table.rows()])
    with pytest.raises(ApprovalRequired, match="in place of the log"):
        require_approval(releases.cd(), release, target="prod")


def test_the_log_that_the_volume_remembers_is_not_altered(releases: Releases) -> None:
    release = releases.approved()
    releases.remember_log(releases.log_table.id)
    require_approval(releases.cd(), release, target="prod")


def test_a_log_without_a_table_has_no_id() -> None:
    from memory.log_table import MemoryLogTable

    assert ReleaseLog.on(MemoryLogTable()).table_id is None
