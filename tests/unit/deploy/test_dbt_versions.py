"""Production is built by the dbt that staging was built by, or the build is refused."""

from __future__ import annotations

import logging
from dataclasses import replace
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from dbx_cd import DbxCdError, build_release
from dbx_cd.artifacts import version
from dbx_cd.artifacts.version import RECORD_NAME, Contents, write_json
from dbx_cd.dbt.environment import installed_version
from dbx_cd.dbt.json_files import read_json
from memory.releases import Releases, relation

ORDERS = relation("prod", "orders")


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def installed(monkeypatch: pytest.MonkeyPatch, adapter: str) -> None:
    """Let Python name another version of dbt-databricks; "" for none."""

    def named(distribution: str) -> str:
        if not adapter:
            raise PackageNotFoundError(distribution)
        return adapter

    monkeypatch.setattr("dbx_cd.dbt.environment.version", named)


def test_another_version_of_dbt_core_is_refused_before_the_claim(releases: Releases) -> None:
    release = releases.approved()
    releases.dbt.dbt_version = "1.12.1"
    why = "dbt-core 1.12.1 here, 1.11.0 there.*Next: install dbt-core==1.11.0, or run the Workflow again from stg_build"
    with pytest.raises(DbxCdError, match=why):
        build_release(releases.cd(), release, target="prod")
    assert releases.cd().log.state(release).phase == "approved"
    assert ORDERS.key not in releases.tables.relations
    releases.dbt.dbt_version = "1.11.0"
    assert build_release(releases.cd(), release, target="prod").ok


def test_another_version_of_the_adapter_is_refused_before_the_claim(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(monkeypatch, "1.11.0")
    release = releases.approved()
    installed(monkeypatch, "1.12.7")
    with pytest.raises(DbxCdError, match=r"dbt-databricks 1\.12\.7 here, 1\.11\.0 there"):
        build_release(releases.cd(), release, target="prod")
    assert releases.cd().log.state(release).phase == "approved"


def test_a_version_that_nobody_recorded_is_reported_and_the_deploy_goes_on(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    installed(monkeypatch, "")
    release = releases.approved()
    with caplog.at_level(logging.WARNING):
        build_release(releases.cd(), release, target="prod")
    assert "nothing tells whether its dbt-databricks was of today's version" in caplog.text
    assert "dbt-core" not in caplog.text.split("nothing tells")[1].splitlines()[0]


def test_published_artifacts_name_the_dbt_that_made_them(releases: Releases) -> None:
    release = releases.staged()
    built = releases.cd().store.find("stg", release.id)
    assert built.adapter_version == installed_version("dbt-databricks") != ""
    contents = Contents.read(read_json(built.path / RECORD_NAME))
    write_json(built.path / RECORD_NAME, replace(contents, dbt_version="1.10.0").to_dict())
    assert version.read_version(built.path, serving=None).dbt_version == "1.10.0"
