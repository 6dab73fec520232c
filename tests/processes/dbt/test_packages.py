"""Packages that dbt itself installs: staging's are production's, and nobody asks for them again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from dbt_projects import manifest

from dbx_cd import DbtOutcome, build_release, run_dbt
from dbx_cd.artifacts.archive import unpack
from dbx_cd.dbt.lock_hash import lock_hashes
from dbx_cd.dbt.runner import dbt_process
from memory.dbt import PROJECT, MemoryDbt
from memory.releases import Releases

MACROS = {
    "shared": "{% macro shared_answer() %}41{% endmacro %}",
    "fetched": "{% macro fetched_answer() %}42{% endmacro %}",
}
PROFILE = {
    "target": "stg",
    "outputs": {
        target: {
            "type": "databricks", "catalog": target, "schema": "shop", "host": "127.0.0.1", "http_path": "/",
            "token": "{{ env_var('NO_TOKEN', 'none') }}",
        }
        for target in ("stg", "prod")
    },
}  # fmt: skip


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True)


def package(folder: Path, name: str) -> Path:
    (folder / "macros").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(f"name: {name}\nversion: '1.0'\nconfig-version: 2\n")
    (folder / "macros" / "answer.sql").write_text(MACROS[name])
    return folder


def commit(folder: Path) -> None:
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")


HASHES = """
import json, sys
from dbt.config.project import package_config_from_data
from dbt.config.renderer import PackageRenderer
from dbt.task.deps import _create_sha1_hash

for packages in json.load(sys.stdin):
    written = {"packages": packages}
    config = package_config_from_data(PackageRenderer({}).render_data(written), written)
    print(_create_sha1_hash(config.packages))
"""
NAMED: list[list[dict[str, Any]]] = [
    [{"package": "dbt-labs/dbt_utils", "version": [">=1.1.0", "<1.2.0"]}, {"local": "../shared"}],
    [{"package": "dbt-labs/dbt_utils", "version": 1.1, "install_prerelease": True}],
    [{"git": "https://git.example.org/a.git"}, {"git": "https://git.example.org/b.git", "revision": "main"}],
    [{"git": "https://git.example.org/a.git", "warn-unpinned": False, "subdirectory": "dbt"}],
    [{"private": "team/macros", "provider": "github"}, {"tarball": "https://example.org/a.tgz", "name": "a"}],
]


@pytest.mark.deep
def test_the_hash_of_named_packages_is_dbt_s_own() -> None:
    command = [sys.executable, "-P", "-c", HASHES]
    done = subprocess.run(command, input=json.dumps(NAMED), check=True, capture_output=True, text=True)
    for packages, own in zip(NAMED, done.stdout.split(), strict=True):
        assert own in lock_hashes(packages)


class RealDeps(MemoryDbt):
    """Installs packages and parses as dbt does; builds in memory."""

    def __call__(self, args: list[str]) -> DbtOutcome:
        project = Path(args[args.index("--project-dir") + 1])
        real = dbt_process(cwd=project, title="dbt")
        if args[0] == "deps":
            self.calls.append(args)
            return real(args)
        self.parsed = project.parent / "parsed"
        given = [
            "--project-dir",
            str(project),
            "--profiles-dir",
            str(project),
            "--target",
            args[args.index("--target") + 1],
        ]
        done = real(
            ["parse", *given, "--target-path", str(self.parsed), "--log-path", str(self.parsed), "--log-format", "json"]
        )
        if not done.success:
            return done
        self.macros = answers(self.parsed / "manifest.json")
        return super().__call__(args)


def answers(manifest: Path) -> dict[str, str]:
    macros = json.loads(manifest.read_bytes())["macros"].values()
    return {m["name"]: m["macro_sql"] for m in macros if m["name"].endswith("_answer")}


@pytest.fixture
def releases(tmp_path: Path, warm_dbt: None) -> Releases:
    """A project in a folder of a repository, with a package beside it and one from another repository."""
    releases = Releases(tmp_path / "shop" / "dbt")
    releases.root = tmp_path / "artifacts"
    releases.dbt = RealDeps(releases.tables)
    package(tmp_path / "shop" / "shared_macros", "shared")
    commit(package(tmp_path / "fetched", "fetched"))
    named = [{"local": "../../shared_macros"}, {"git": (tmp_path / "fetched").as_uri(), "warn-unpinned": False}]
    (releases.project / "packages.yml").write_text(yaml.safe_dump({"packages": named}))
    (releases.project / "profiles.yml").write_text(yaml.safe_dump({PROJECT: PROFILE}))
    releases.model("orders", "select {{ shared.shared_answer() }} + {{ fetched.fetched_answer() }} as id")
    releases.cd()
    (tmp_path / "shop" / ".gitignore").write_text("dbt_packages/\n")
    commit(tmp_path / "shop")
    return releases


def test_production_is_built_with_the_packages_of_staging_after_their_repositories_are_gone(
    releases: Releases, tmp_path: Path
) -> None:
    release = releases.approved()
    staged = releases.dbt.macros
    assert staged == {"shared_answer": MACROS["shared"], "fetched_answer": MACROS["fetched"]}
    shutil.rmtree(tmp_path / "fetched")
    shutil.rmtree(tmp_path / "shop")
    releases.dbt.macros = {}
    build_release(releases.cd(), release, target="prod")
    assert releases.dbt.macros == staged
    assert [call[0] for call in releases.dbt.calls] == ["deps", "ls", "ls", "build", "ls", "ls", "build"]


def test_an_archive_with_packages_is_parsed_by_dbt_as_it_is_and_holds_no_repository(
    releases: Releases, tmp_path: Path
) -> None:
    release = releases.staged()
    project = unpack(releases.cd().store.find("stg", release.id), tmp_path / "later")
    shutil.rmtree(tmp_path / "fetched")
    done = run_dbt("parse", target="prod", project_dir=project, work_dir=tmp_path / "work")
    assert answers(done.files_dir / "manifest.json") == releases.dbt.macros
    assert not list(project.rglob(".git"))
    assert (project / "package-lock.yml").is_file()


@pytest.mark.deep
def test_later_tasks_share_one_parse_of_an_archive_with_packages(releases: Releases, tmp_path: Path) -> None:
    release, manifests = releases.staged(), []
    for name in ("a", "b"):
        project = unpack(releases.cd().store.find("stg", release.id), tmp_path / name)
        done = run_dbt("parse", target="stg", project_dir=project, work_dir=tmp_path / f"work_{name}")
        manifests.append(manifest(done.files_dir / "manifest.json", project=tmp_path / f"work_{name}" / "project"))
    log = (tmp_path / "work_b" / "logs" / "dbt.log").read_text()
    assert "Partial parsing enabled" in log
    assert "saved manifest not found" not in log
    assert manifests[0] == manifests[1]
