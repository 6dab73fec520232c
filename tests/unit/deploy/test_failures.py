"""A build that fails says so, says where its log is, and is never taken for a good one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from git_repositories import fill

from dbx_cd import (
    ArtifactError,
    ArtifactNotFound,
    ArtifactStore,
    ArtifactVersion,
    ConfigError,
    DbtFailed,
    DbtOutcome,
    DbtRun,
    DbxCdError,
    RelationName,
    Release,
    ReleaseLog,
    ReleaseSuperseded,
    build_release,
)
from dbx_cd.dbt.outcome import OUTCOME_NAME, InvocationOutcome
from dbx_cd.deploy.docs import publish_docs
from dbx_cd.records import Record
from dbx_cd.release.events import Built, Failed
from memory.releases import Releases

HOOK = "Compilation Error in operation tiny-on-run-end-0 (./dbt_project.yml)\n  no grants for anybody"


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    releases = Releases(tmp_path / "repository")
    releases.root = tmp_path / "artifacts"
    return releases


def built(releases: Releases, release: Release) -> Built:
    found = releases.cd().log.last(release, Built)
    assert found is not None
    return found


def run_of(error: DbtFailed) -> DbtRun:
    assert isinstance(error.result, DbtRun)
    return error.result


# A hook


def test_a_staging_build_whose_hook_fails_is_failed_everywhere(releases: Releases) -> None:
    releases.dbt.hook_error = HOOK
    release = releases.open()
    with pytest.raises(DbtFailed, match=r"tiny-on-run-end-0.*\n.*no grants for anybody"):
        releases.build(release)
    cd = releases.cd()
    (version,) = cd.store.list("stg")
    assert (version.ok, cd.log.state(release).phase) == (False, "failed")
    assert "tiny-on-run-end-0" in built(releases, release).outcome
    with pytest.raises(ArtifactNotFound):
        cd.store.find("stg", release.id)
    outcome = InvocationOutcome.find(version.path)
    assert outcome is not None
    assert [(hook.name, hook.message) for hook in outcome.hooks] == [("tiny-on-run-end-0", HOOK)]


def test_a_production_build_whose_hook_fails_is_named_in_the_log_and_is_not_served(releases: Releases) -> None:
    first = releases.deployed()
    served = releases.cd().store.latest("prod")
    release = releases.approved(run_id="2", commit="b" * 40)
    releases.dbt.hook_error = HOOK
    with pytest.raises(DbtFailed, match="tiny-on-run-end-0"):
        build_release(releases.cd(), release, target="prod")
    cd = releases.cd()
    failed = cd.log.last(release, Failed)
    assert failed is not None
    assert "tiny-on-run-end-0" in failed.reason
    (cd.store.root / "prod" / "latest.json").unlink()
    assert (served.release_id, cd.store.latest("prod").timestamp) == (first.id, served.timestamp)
    with pytest.raises(ArtifactNotFound):
        cd.store.find("prod", release.id)  # nothing that `prod_smoke` could test by itself


# Half a file


@pytest.mark.parametrize("name", ["run_results.json", "manifest.json"])
@pytest.mark.parametrize("target", ["stg", "prod"])
def test_what_a_dbt_left_that_was_killed_while_it_wrote_is_published_with_its_end(
    releases: Releases, target: str, name: str
) -> None:
    release = releases.approved() if target == "prod" else releases.open()
    releases.model("orders", text="select 1 -- fails in stg")

    def killed(args: list[str]) -> DbtOutcome:
        outcome = releases.dbt(args)
        if args[0] != "build":
            return outcome
        file = Path(args[args.index("--target-path") + 1]) / name
        file.write_text(file.read_text()[:-20])
        return DbtOutcome(False, ("dbt was ended by the signal SIGKILL",), exit_code=-9)

    cd = replace(releases.cd(), dbt=killed)
    with pytest.raises(DbtFailed, match=r"SIGKILL|orders fails in stg") as raised:
        build_release(cd, release, target=target, select="tag:deploy", project_dir=releases.project)
    version = cd.store.list(target)[-1]
    assert (version.ok, version.release_id) == (False, release.id)
    assert f"the log is in {version.path}" in str(raised.value)
    assert cd.log.state(release).of(target).phase == "failed"


# Packages


def test_packages_that_cannot_be_installed_fail_the_build_with_their_log_published(releases: Releases) -> None:
    fill(releases.project, {"packages.yml": yaml.safe_dump({"packages": [{"package": "a/b", "version": "1.0.0"}]})})
    release = releases.open()
    with pytest.raises(DbtFailed, match=r"dbt deps failed: Package a/b was not found") as raised:
        releases.build(release)
    cd = releases.cd()
    (version,) = cd.store.list("stg")
    assert (version.command, version.ok, sorted(version.files)) == ("deps", False, [OUTCOME_NAME])
    assert str(version.path) in str(raised.value)
    assert built(releases, release).timestamp == version.timestamp
    assert "Package a/b was not found" in built(releases, release).outcome
    assert cd.log.state(release).phase == "failed"


# Where the log is


def test_the_message_names_where_the_artifacts_are_published(releases: Releases) -> None:
    releases.model("orders", text="select 1 -- fails in stg")
    with pytest.raises(DbtFailed, match="orders fails in stg") as raised:
        releases.build(releases.open())
    (version,) = releases.cd().store.list("stg")
    assert run_of(raised.value).files_dir == version.path
    assert f"the log is in {version.path}" in str(raised.value)


def leave_log(args: list[str]) -> None:
    """What dbt writes into the folder of its `--log-path`."""
    folder = Path(args[args.index("--log-path") + 1])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dbt.log").write_text(f"the log of {args[0]}")


@pytest.mark.parametrize("command", ["ls", "docs"])
def test_the_log_of_a_dbt_that_has_no_artifacts_to_publish_is_attached_to_the_release(
    releases: Releases, command: str
) -> None:
    release = releases.deployed() if command == "docs" else releases.approved()

    def failing(args: list[str]):
        outcome = type(releases.dbt).__call__(releases.dbt, args)
        leave_log(args)
        if args[0] != command:
            return outcome
        return type(outcome)(False, ("no such variable",), exit_code=2)

    cd = replace(releases.cd(), dbt=failing)
    step = publish_docs if command == "docs" else build_release
    with pytest.raises(DbtFailed, match="no such variable") as raised:
        step(cd, release, target="prod")
    page = cd.store.root / "releases" / release.id / f"{command}-prod-dbt.log"
    assert page.read_text() == f"the log of {command}"
    assert str(page) in str(raised.value)
    assert not run_of(raised.value).files_dir.exists(), "which is why the message must not name it"


# Where nothing can be written any more


class FullStore(ArtifactStore):
    """The Volume takes no more."""

    def publish(self, *_given: object, **_more: object) -> ArtifactVersion:
        raise ArtifactError("dbt.log cannot be copied: No space left on device", where=self.root)

    def attach(self, *_given: object) -> Path:
        raise NotADirectoryError(20, "Not a directory")


@pytest.mark.parametrize("target", ["stg", "prod"])
def test_a_full_volume_does_not_hide_why_dbt_failed(releases: Releases, target: str) -> None:
    release = releases.approved() if target == "prod" else releases.open()
    releases.model("orders", text="select 1 -- fails in stg")
    before = releases.dbt.before_statement

    def failing(where: str, relation: RelationName) -> None:
        releases.dbt.hook_error = HOOK
        before(where, relation)

    releases.dbt.before_statement = failing
    cd = releases.cd()
    cd = replace(cd, store=FullStore(cd.store.root))
    with pytest.raises(DbtFailed, match=r"(?s)(orders fails in stg|tiny-on-run-end-0).*cannot be published: dbt.log"):
        build_release(cd, release, target=target, select="tag:deploy", project_dir=releases.project)
    state = releases.cd().log.state(release).of(target)
    assert state.phase == "failed"
    assert "cannot be published" in str(state.reason)


def test_a_log_that_cannot_be_kept_does_not_hide_why_dbt_failed(releases: Releases) -> None:
    release = releases.approved()

    def failing(args: list[str]) -> DbtOutcome:
        leave_log(args)
        return DbtOutcome(False, ("no such variable",), exit_code=2)

    cd = releases.cd()
    cd = replace(cd, dbt=failing, store=FullStore(cd.store.root))
    with pytest.raises(DbtFailed, match=r"no such variable.*; and its log cannot be kept: .*Not a directory"):
        build_release(cd, release, target="prod", select="tag:deploy")


def log_is_down_for(kind: type[Record], monkeypatch: pytest.MonkeyPatch) -> None:
    """The log takes no record of this kind any more."""
    append = ReleaseLog.append

    def down(log: ReleaseLog, of: Release, record: Record) -> None:
        if isinstance(record, kind):
            raise DbxCdError("the log is down")
        append(log, of, record)

    monkeypatch.setattr(ReleaseLog, "append", down)


def test_a_log_that_cannot_be_written_does_not_hide_what_failed(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = releases.approved()
    log_is_down_for(Failed, monkeypatch)
    cd = releases.cd()
    with pytest.raises(ArtifactError, match="No space left on device"):
        build_release(replace(cd, store=FullStore(cd.store.root)), release, target="prod", select="tag:deploy")


@pytest.mark.parametrize("target", ["stg", "prod"])
@pytest.mark.parametrize("kind", [Built, Failed])
def test_a_log_that_is_down_does_not_hide_why_dbt_failed(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, target: str, kind: type[Record]
) -> None:
    release = releases.approved() if target == "prod" else releases.open()
    releases.dbt.hook_error = HOOK
    log_is_down_for(kind, monkeypatch)
    with pytest.raises(DbtFailed, match=r"(?s)no grants for anybody") as caught:
        build_release(releases.cd(), release, target=target, select="tag:deploy", project_dir=releases.project)
    assert ("the log cannot have it: the log is down" in str(caught.value)) == (kind is Built)
    assert releases.cd().store.list(target)[-1].ok is False, "its artifacts are kept all the same"


@pytest.mark.parametrize("target", ["stg", "prod"])
def test_the_log_of_a_dbt_that_was_cancelled_is_kept(releases: Releases, target: str) -> None:
    release = releases.approved() if target == "prod" else releases.open()

    def cancelled(args: list[str]) -> DbtOutcome:
        if args[0] != "build":
            return releases.dbt(args)
        leave_log(args)
        raise KeyboardInterrupt

    cd = replace(releases.cd(), dbt=cancelled)
    with pytest.raises(KeyboardInterrupt) as caught:
        build_release(cd, release, target=target, select="tag:deploy", project_dir=releases.project)
    (kept,) = (releases.root / "releases" / release.id).iterdir()
    assert kept.read_bytes()
    assert caught.value.__notes__ == [f"dbt's log is {kept}"]
    assert releases.cd().log.state(release).of(target).phase == "failed"


# A list of nothing


@pytest.mark.parametrize("target", ["stg", "prod"])
def test_where_dbt_lists_nothing_nothing_is_built(releases: Releases, target: str) -> None:
    """The wall between staging and production, and the restore point, are made of what is listed."""
    release = releases.approved() if target == "prod" else releases.open()
    calls = len(releases.dbt.calls)

    def silent(args: list[str]) -> DbtOutcome:
        outcome = releases.dbt(args)
        return DbtOutcome(True) if args[0] == "ls" else outcome

    with pytest.raises(DbtFailed, match="the selection matched no node"):
        build_release(
            replace(releases.cd(), dbt=silent),
            release,
            target=target,
            select="tag:deploy",
            project_dir=releases.project,
        )
    assert [call[0] for call in releases.dbt.calls[calls:]] == ["ls"]


# Refused before dbt


def test_a_refused_first_build_does_not_leave_the_release_opened(releases: Releases) -> None:
    release = releases.open()
    with pytest.raises(ConfigError):
        releases.build(release, cmd="test")
    assert releases.cd().log.state(release).phase == "failed"
    assert "test" in built(releases, release).outcome


def test_a_build_that_is_refused_later_takes_nothing_from_the_one_that_was_good(releases: Releases) -> None:
    release = releases.staged()
    before = releases.cd().log.state(release)
    with pytest.raises(ConfigError):
        releases.build(release, cmd="test")
    assert releases.cd().log.state(release) == before


@pytest.mark.parametrize("target", ["prod", "nowhere"])
def test_a_refusal_says_nothing_of_a_gated_or_an_unknown_target(releases: Releases, target: str) -> None:
    release = releases.open()
    with pytest.raises(DbxCdError):
        build_release(releases.cd(), release, target=target)
    assert [event.kind for event in releases.cd().log.events()] == ["opened"]


def test_a_build_of_a_release_that_is_over_writes_nothing(releases: Releases) -> None:
    old = releases.open()
    releases.staged(run_id="2", commit="b" * 40)
    events = len(releases.cd().log.events())
    with pytest.raises(ReleaseSuperseded):
        releases.build(old)
    assert len(releases.cd().log.events()) == events
