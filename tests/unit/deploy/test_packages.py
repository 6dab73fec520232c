"""Production is built with what staging was built with: files and packages."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from git_repositories import commit, fill

from dbx_cd import ArtifactError, ConfigError, DbtFailed, DbtOutcome, DbxCdError, Release, build_release, publish_docs
from dbx_cd.artifacts.archive import ARCHIVE_NAME, archive_digest, pack, unpack
from dbx_cd.artifacts.version import RECORD_NAME
from dbx_cd.deploy.sources import freshness_for
from dbx_cd.release.events import Built
from memory.dbt import MemoryDbt
from memory.hub import MemoryHub
from memory.releases import Releases, relation

ORDERS = relation("prod", "orders")
UTILS = {"dbt_project.yml": "name: utils\n", "macros/m.sql": "{% macro m() %}of the hub{% endmacro %}"}
SHARED = {"dbt_project.yml": "name: shared\n", "macros/m.sql": "{% macro m() %}shared{% endmacro %}"}


class Watched(MemoryDbt):
    """Remembers the files of the project in every call that builds."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.seen: list[dict[str, str]] = []

    def __call__(self, args: list[str]) -> DbtOutcome:
        if args[0] in ("build", "docs"):
            self.seen.append(contents(Path(args[args.index("--project-dir") + 1])))
        return super().__call__(args)


def contents(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    releases = Releases(tmp_path / "repository")
    releases.root = tmp_path / "artifacts"
    releases.dbt = Watched(releases.tables)
    releases.dbt.hub = MemoryHub({"utils": UTILS})
    packages(releases, {"package": "dbt-labs/utils", "version": "1.0.0"})
    return releases


def packages(releases: Releases, *named: dict[str, str], **settings: str) -> None:
    fill(releases.project, {"packages.yml": yaml.safe_dump({"packages": list(named)})})
    if settings:
        project = yaml.safe_load((releases.project / "dbt_project.yml").read_text())
        fill(releases.project, {"dbt_project.yml": yaml.safe_dump(project | settings)})


def archived(releases: Releases, release: Release, folder: Path) -> dict[str, str]:
    return contents(unpack(releases.cd().store.find("stg", release.id), folder))


def commands(releases: Releases) -> list[str]:
    """What dbt was asked to do, but for questions."""
    return [call[0] for call in releases.dbt.calls if call[0] != "ls"]


def test_packages_are_installed_once_for_staging_and_never_for_production(releases: Releases) -> None:
    release = releases.deployed()
    with pytest.raises(DbxCdError, match="dbt left no"):  # dbt in memory writes no site
        publish_docs(releases.cd(), release, target="prod")
    assert commands(releases) == ["deps", "build", "build", "docs"]
    assert len(releases.dbt.hub.installs) == 1


def test_production_is_built_with_the_packages_of_staging_whatever_the_hub_has_now(releases: Releases) -> None:
    release = releases.approved()
    releases.dbt.hub.packages["utils"]["macros/m.sql"] = "{% macro m() %}another{% endmacro %}"
    build_release(releases.cd(), release, target="prod")
    staging, production = releases.dbt.seen
    assert production == staging
    assert production["dbt_packages/utils/macros/m.sql"] == UTILS["macros/m.sql"]


def test_production_is_built_without_a_network(releases: Releases) -> None:
    release = releases.approved()
    releases.dbt.hub.packages.clear()
    build_release(releases.cd(), release, target="prod")
    assert releases.tables.rows(ORDERS) == ["select 1 as id"]


def test_staging_is_built_with_what_the_archive_holds_and_nothing_else(releases: Releases, tmp_path: Path) -> None:
    fill(releases.project, {".gitignore": "*.csv\n", ".env": "TOKEN=x"})
    releases.cd()
    commit(releases.project)
    fill(releases.project, {"seeds/ignored.csv": "", "notes.txt": "", "target/manifest.json": "{}"})
    release = releases.staged()
    (seen,) = releases.dbt.seen
    assert seen == archived(releases, release, tmp_path / "unpacked")
    assert not {".env", "seeds/ignored.csv", "notes.txt", "target/manifest.json"} & set(seen)


def test_an_untracked_model_is_refused_before_anything_is_built_and_the_log_says_why(releases: Releases) -> None:
    releases.cd()
    commit(releases.project)
    releases.model("payments")
    release = releases.open()
    with pytest.raises(ConfigError, match=r"models/payments\.sql is not committed"):
        releases.build(release)
    assert releases.dbt.calls == []
    log = releases.cd().log
    assert [e.kind for e in log.events()] == ["opened", "built"]
    refused = log.last(release, Built)
    assert refused is not None
    assert not refused.ok
    assert "models/payments.sql is not committed" in refused.outcome
    assert (log.state(release).phase, refused.timestamp, releases.cd().store.list("stg")) == ("failed", "", [])


def test_a_clear_secret_in_the_profiles_keeps_the_project_from_being_archived(releases: Releases) -> None:
    fill(releases.project, {"profiles.yml": "tiny:\n  outputs:\n    stg: {token: dapi0123}\n"})
    with pytest.raises(ConfigError, match="`token` holds a secret in clear"):
        releases.build(releases.open())
    assert not list(releases.root.rglob("*"))


def test_packages_that_cannot_be_installed_fail_the_staging_build_by_name(releases: Releases) -> None:
    releases.dbt.hub.packages.clear()
    with pytest.raises(DbtFailed, match="dbt deps failed: Package dbt-labs/utils was not found"):
        releases.build(releases.open())


@pytest.mark.parametrize("in_git", [True, False])
@pytest.mark.parametrize("local", ["own/shared", "../shared", "../../shared"])
def test_a_local_package_is_archived_wherever_it_lies_in_the_repository(
    releases: Releases, tmp_path: Path, local: str, in_git: bool
) -> None:
    fill(releases.project / local, {**SHARED, ".env": "TOKEN=x", "run.sh": ""})
    (releases.project / local / "run.sh").chmod(0o755)
    packages(releases, {"local": local})
    releases.cd()
    if in_git:
        commit(tmp_path)
    release = releases.approved()
    shutil.rmtree(tmp_path / "repository")
    build_release(releases.cd(), release, target="prod")
    found = unpack(releases.cd().store.find("stg", release.id), tmp_path / "unpacked") / "dbt_packages" / "shared"
    assert contents(found) == {**SHARED, "run.sh": ""}
    assert not found.is_symlink()
    assert (found / "run.sh").stat().st_mode & 0o777 == 0o755
    assert releases.dbt.seen[0] == releases.dbt.seen[1]


def test_an_install_path_of_the_project_s_own_is_honoured(releases: Releases) -> None:
    packages(releases, {"package": "a/utils", "version": "1"}, **{"packages-install-path": "vendor/dbt"})
    releases.deployed()
    assert commands(releases) == ["deps", "build", "build"]
    assert "vendor/dbt/utils/macros/m.sql" in releases.dbt.seen[1]


@pytest.mark.parametrize("path", ["/tmp/dbt_packages", "../packages", "{{ env_var('WHERE') }}", "."])
def test_an_install_path_that_no_archive_can_hold_is_refused(releases: Releases, path: str) -> None:
    packages(releases, {"package": "a/utils", "version": "1"}, **{"packages-install-path": path})
    with pytest.raises(ConfigError, match="`packages-install-path` is "):
        releases.build(releases.open())
    assert releases.dbt.calls == []


def test_packages_that_a_team_commits_are_not_installed_anew(releases: Releases) -> None:
    fill(releases.project / "dbt_packages" / "utils", UTILS)
    releases.cd()
    commit(releases.project)
    releases.deployed()
    assert commands(releases) == ["build", "build"]
    assert "dbt_packages/utils/macros/m.sql" in releases.dbt.seen[1]


def test_a_file_that_keeps_the_folder_of_packages_in_git_is_no_package(releases: Releases) -> None:
    fill(releases.project, {"dbt_packages/.gitkeep": ""})
    releases.cd()
    commit(releases.project)
    releases.deployed()
    assert commands(releases) == ["deps", "build", "build"]


def test_a_package_that_dbt_links_to_what_is_outside_of_the_repository_is_refused(
    releases: Releases, tmp_path: Path
) -> None:
    class Rendering(MemoryHub):
        def install(self, project: Path) -> DbtOutcome:
            (project / "dbt_packages").mkdir()
            (project / "dbt_packages" / "shared").symlink_to(fill(tmp_path / "elsewhere", SHARED))
            return DbtOutcome(True)

    packages(releases, {"local": "{{ env_var('WHERE') }}"})
    releases.dbt.hub = Rendering()
    with pytest.raises(ConfigError, match=r"the package shared is .*elsewhere, outside of the repository"):
        releases.build(releases.open())


def test_where_dbt_installs_nothing_production_does_not_ask_again(releases: Releases) -> None:
    fill(releases.project, {"packages.yml": "packages: []\n{# #}projects: [{name: other}]\n"})

    class Nothing(MemoryHub):
        def install(self, project: Path) -> DbtOutcome:
            self.installs.append(project)
            return DbtOutcome(True)

    releases.dbt.hub = Nothing()
    releases.deployed()
    assert commands(releases) == ["deps", "build", "build"]


INSTALLED: dict[str, tuple[Callable[[Path], object], set[str]]] = {
    "a repository": (lambda p: fill(p, {".git/config": "url = https://token@example.org"}), set()),
    "secrets": (lambda p: fill(p, {"integration_tests/.env/x.env": "TOKEN=x", "a.pem": ""}), set()),
    "a broken link": (lambda p: (p / "macros" / "gone.sql").symlink_to("nowhere"), set()),
    "a link to this machine": (lambda p: (p / "macros" / "passwd.sql").symlink_to("/etc/passwd"), set()),
    "a link of its own": (lambda p: (p / "macros" / "n.sql").symlink_to("m.sql"), {"macros/n.sql"}),
    "folders that a project generates": (lambda p: fill(p, {"logs/visits.sql": ""}), {"logs/visits.sql"}),
}


@pytest.mark.parametrize("what", INSTALLED)
def test_of_an_installed_package_its_own_files_are_archived(releases: Releases, tmp_path: Path, what: str) -> None:
    add, more = INSTALLED[what]

    class Adding(MemoryHub):
        def install(self, project: Path) -> DbtOutcome:
            done = super().install(project)
            add(project / "dbt_packages" / "utils")
            return done

    releases.dbt.hub = Adding({"utils": UTILS})
    found = archived(releases, releases.staged(), tmp_path / "unpacked")
    inside = {name.removeprefix("dbt_packages/utils/") for name in found if name.startswith("dbt_packages/utils/")}
    assert inside == {*UTILS, *more}


def test_the_lock_file_that_dbt_deps_wrote_is_archived(releases: Releases, tmp_path: Path) -> None:
    fill(releases.project, {"package-lock.yml": "packages: []\nsha1_hash: old\n"})
    found = archived(releases, releases.staged(), tmp_path / "unpacked")
    assert yaml.safe_load(found["package-lock.yml"])["sha1_hash"] == "0" * 40


def test_the_same_commit_with_the_same_packages_gives_the_same_archive(releases: Releases) -> None:
    first, second = releases.staged("1"), releases.staged("2", commit="b" * 40)
    store = releases.cd().store
    assert store.find("stg", first.id).files[ARCHIVE_NAME] == store.find("stg", second.id).files[ARCHIVE_NAME]


def test_the_checkout_is_not_written_to(releases: Releases) -> None:
    releases.cd()
    before = contents(releases.project)
    releases.staged()
    assert contents(releases.project) == before


def without_packages(releases: Releases, folder: Path) -> Release:
    """A release whose archive has no packages, as those of 0.1.0."""
    cd, release = releases.cd(), releases.staged()
    built = cd.store.find("stg", release.id)
    files = Path(shutil.copytree(built.path, folder / "files", ignore=shutil.ignore_patterns(RECORD_NAME)))
    pack(releases.project, files / ARCHIVE_NAME)
    older = cd.store.publish("stg", files, commit=release.commit, release_id=release.id, latest=True)
    event = replace(cd.log.last(release, Built), timestamp=older.timestamp, project_digest=archive_digest(older))
    cd.log.append(release, event)
    releases.smoke(release)
    return release


NEVER = "the archive has not all packages that the project names, and `dbt deps` never runs for prod"


def test_production_is_neither_asked_for_nor_built_without_packages_and_nothing_is_installed(
    releases: Releases, tmp_path: Path
) -> None:
    release = without_packages(releases, tmp_path)
    before = list(releases.dbt.calls)
    with pytest.raises(ArtifactError, match=NEVER):
        releases.ask(release)
    assert releases.dbt.calls == before


def test_an_approved_release_that_has_lost_its_packages_is_not_built_and_nothing_is_installed(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = releases.approved()
    before = list(releases.dbt.calls)
    monkeypatch.setattr("dbx_cd.artifacts.installed.needs_deps", lambda project: True)
    for call in (
        lambda: build_release(releases.cd(), release, target="prod"),
        lambda: freshness_for(releases.cd(), release, "prod", project_dir=releases.project),
    ):
        with pytest.raises(ArtifactError, match=NEVER):
            call()
    assert releases.dbt.calls == before
    assert "prod" not in releases.cd().log.state(release).deployed_to


def test_docs_of_production_install_nothing(releases: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    release = releases.deployed()
    before = list(releases.dbt.calls)
    monkeypatch.setattr("dbx_cd.artifacts.installed.needs_deps", lambda project: True)
    with pytest.raises(ArtifactError, match=NEVER):
        publish_docs(releases.cd(), release, target="prod")
    assert releases.dbt.calls == before


def test_packages_of_which_a_team_commits_a_part_are_installed_anew_altogether(
    releases: Releases, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    releases.dbt.hub = MemoryHub({"utils": UTILS, "more": UTILS})
    packages(releases, {"package": "a/utils", "version": "1"}, {"package": "a/more", "version": "1"})
    fill(releases.project / "dbt_packages" / "utils", {**UTILS, "macros/old.sql": ""})
    releases.cd()
    commit(releases.project)
    with caplog.at_level(logging.WARNING):
        release = releases.deployed()
    assert "installed anew: 2 packages are named, and dbt_packages holds 1" in caplog.text
    assert commands(releases) == ["deps", "build", "build"]
    found = archived(releases, release, tmp_path / "unpacked")
    assert {"dbt_packages/utils/macros/m.sql", "dbt_packages/more/macros/m.sql"} <= set(found)
    assert "dbt_packages/utils/macros/old.sql" not in found


def test_a_project_in_the_package_that_it_names_is_archived_once_with_it(
    releases: Releases, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As dbt-utils keeps its tests."""
    fill(tmp_path / "repository", UTILS)
    packages(releases, {"local": os.path.relpath(tmp_path / "repository", releases.project)})
    releases.cd()
    commit(tmp_path)
    with caplog.at_level(logging.WARNING):
        release = releases.approved()
    assert caplog.text == ""
    shutil.rmtree(tmp_path / "repository")
    build_release(releases.cd(), release, target="prod")
    found = archived(releases, release, tmp_path / "unpacked")
    assert [name for name in found if name.endswith("macros/m.sql")] == ["dbt_packages/utils/macros/m.sql"]
    assert commands(releases).count("deps") == 1
