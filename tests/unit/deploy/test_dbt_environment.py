"""The environment that dbt ran in is recorded, sealed, shown, and the same in production; or the build is refused."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from dbx_cd import ArtifactVersion, DbtFailed, Release, SetupError, build_release
from dbx_cd.approval.request import ApprovalRequest
from dbx_cd.artifacts.version import RECORD_NAME, Contents, read_version, write_json
from dbx_cd.dbt.environment import EnvironmentRecord
from dbx_cd.dbt.json_files import read_json
from dbx_cd.deploy.dbt_versions import refuse_other_dbt
from memory.releases import Releases, relation

LOCK = f"dbt-core==1.11.16 --hash=sha256:{'0a' * 32}\n"
ORDERS = relation("prod", "orders")


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


@pytest.fixture
def locked(releases: Releases) -> Releases:
    (releases.project / "requirements-dbt.txt").write_text(LOCK)
    return releases


def request_of(releases: Releases) -> ApprovalRequest:
    release = releases.approved()
    return releases.cd().log.read(release).all(ApprovalRequest)[-1]


def on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dbx_cd.dbt.environment.platform.machine", lambda: "riscv64")


def test_published_artifacts_name_the_environment(locked: Releases) -> None:
    built = locked.cd().store.find("stg", locked.staged().id)
    assert built.environment is not None
    assert len(built.environment.digest) == 64
    recorded = json.loads((built.path / RECORD_NAME).read_text())["environment"]
    assert recorded["digest"] == built.environment.digest
    assert str(built.environment).startswith(f"{built.environment.digest[:12]} of requirements-dbt.txt, Python 3.")


def test_it_is_a_part_of_the_seal_and_of_what_the_approver_reads(locked: Releases) -> None:
    request = request_of(locked)
    built = locked.cd().store.get("stg", request.state_timestamp)
    assert built.environment is not None
    assert request.sealed["dbt environment"] == built.environment.digest
    assert str(built.environment) in request.to_html()


def test_without_a_lock_nothing_is_sealed_and_that_is_shown(releases: Releases) -> None:
    request = request_of(releases)
    assert "dbt environment" not in request.sealed
    assert "own, without requirements-dbt.txt, Python" in request.to_html()


def test_a_build_result_shows_it(locked: Releases) -> None:
    release = locked.approved()
    assert "of requirements-dbt.txt, Python" in build_release(locked.cd(), release, target="prod").to_html()


@pytest.mark.parametrize("lock", [LOCK, ""])
def test_production_in_another_environment_is_refused_before_the_claim(
    lock: str, releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lock:
        (releases.project / "requirements-dbt.txt").write_text(lock)
    release = releases.approved()
    with monkeypatch.context() as patch:
        on_another_machine(patch)
        with pytest.raises(SetupError, match=r"another environment .*riscv64 here, .*linux-\w+ there"):
            build_release(releases.cd(), release, target="prod")
    assert releases.cd().log.state(release).phase == "approved"
    assert ORDERS.key not in releases.tables.relations
    assert build_release(releases.cd(), release, target="prod").ok


def test_a_repair_in_another_environment_is_refused(locked: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    release = locked.approved()
    locked.dbt.killed_after = ORDERS
    with pytest.raises(DbtFailed):
        build_release(locked.cd(), release, target="prod")
    locked.dbt.killed_after = None
    with monkeypatch.context() as patch:
        on_another_machine(patch)
        with pytest.raises(SetupError, match="another environment"):
            build_release(locked.cd(), release, target="prod")
    assert build_release(locked.cd(), release, target="prod").ok


def test_an_approval_is_lent_in_the_same_environment_alone(locked: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    locked.deployed("1")
    assert locked.cd().log.state(asked_anew(locked, "2")).phase == "approved"
    on_another_machine(monkeypatch)
    assert locked.cd().log.state(asked_anew(locked, "3")).phase == "waiting"


def asked_anew(releases: Releases, run_id: str) -> Release:
    """A release of the very same project."""
    release = releases.staged(run_id)
    releases.ask(release)
    return release


def staged_in(version: ArtifactVersion, environment: EnvironmentRecord | None) -> ArtifactVersion:
    """As it would have been published after a build in another environment."""
    contents = Contents.read(read_json(version.path / RECORD_NAME))
    write_json(version.path / RECORD_NAME, replace(contents, environment=environment).to_dict())
    return read_version(version.path, serving=None)


def test_every_difference_is_refused_naming_both(locked: Releases) -> None:
    built = locked.cd().store.find("stg", locked.staged().id)
    there = built.environment
    assert there is not None
    refuse_other_dbt(built, built.manifest(), at_work=there)
    for here in (
        replace(there, digest="f" * 64),
        replace(there, digest=""),
        replace(there, python="3.99"),
        replace(there, platform="linux-riscv64"),
    ):
        with pytest.raises(SetupError) as raised:
            refuse_other_dbt(built, built.manifest(), at_work=here)
        assert f"{here} here, {there} there" in str(raised.value)
    with pytest.raises(SetupError, match=r"without requirements-dbt\.txt.* there"):
        refuse_other_dbt(staged_in(built, replace(there, digest="")), built.manifest(), at_work=there)


def test_artifacts_that_do_not_say_it_stay_valid_and_that_is_reported(
    locked: Releases, caplog: pytest.LogCaptureFixture
) -> None:
    built = locked.cd().store.find("stg", locked.staged().id)
    record = read_json(built.path / RECORD_NAME)
    del record["environment"]
    write_json(built.path / RECORD_NAME, record)
    older = read_version(built.path, serving=None)
    assert older.environment is None
    assert built.environment is not None
    with caplog.at_level(logging.WARNING):
        refuse_other_dbt(older, older.manifest(), at_work=built.environment)
    assert "nothing tells in which environment its dbt ran" in caplog.text
