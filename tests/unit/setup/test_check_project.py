"""The project's own files: each thing right, doubtful and wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from check_projects import PROFILE, only, project, said, scene, statuses
from git_repositories import commit, fill

from dbx_cd.errors import ConfigError
from dbx_cd.setup.check import of_project
from dbx_cd.setup.check.of_login import login

UNSET = "\"{{ env_var('NEVER_SET_HERE') }}\""


def test_settings_are_told_and_a_wrong_key_is_an_error(tmp_path: Path) -> None:
    line = only(of_project.settings(scene(project(tmp_path / "a"))))
    assert (line.status, line.message) == (
        "ok",
        "no dbx_cd.yml, so the defaults count: targets stg, prod; gated prod after stg",
    )
    with pytest.raises(ConfigError, match="unknown key `targetz`"):
        list(of_project.settings(scene(project(tmp_path / "b", dbx_cd_yml="targetz: {}\n"))))


def test_settings_that_the_job_overrules_are_told(tmp_path: Path) -> None:
    found = scene(project(tmp_path, dbx_cd_yml="approvers: everybody\n"))
    assert any(
        line.status == "warn" and "dbx_cd_approvers counts" in line.message for line in of_project.settings(found)
    )


def test_a_project_without_a_gate_fails(tmp_path: Path) -> None:
    assert statuses(of_project.gate(scene(project(tmp_path / "a")))) == ["ok"]
    open_ones = scene(project(tmp_path / "b", dbx_cd_yml="targets: {stg: {}, prod: {}}\n", databricks_yml=None))
    assert statuses(of_project.gate(open_ones)) == ["fail"]
    silent = scene(
        project(tmp_path / "c", dbx_cd_yml="targets: {stg: {}, prod: {gate: approval}}\n", databricks_yml=None)
    )
    assert said(of_project.gate, silent)[0].startswith("fail prod: it defers to nothing")


@pytest.mark.parametrize(
    ("text", "target", "expected"),
    [
        (PROFILE, "stg", "ok stg: builds into stg.shop"),
        (PROFILE.replace("type: databricks", "type: postgres"), "stg", "fail stg: the output's type is 'postgres'"),
        (PROFILE.replace("catalog: stg", "x: y"), "stg", "fail stg: the output has no catalog"),
        (PROFILE.replace("schema: shop", f"schema: {UNSET}"), "stg", "fail stg: `schema` cannot be rendered"),
        (PROFILE.replace("threads: 4", "threads: 1"), "stg", "warn stg: threads is 1"),
        (PROFILE.replace("threads: 4", "threads: many"), "stg", "fail stg: threads is 'many'"),
    ],
)
def test_each_target_has_an_output_with_a_place_of_its_own(
    tmp_path: Path, text: str, target: str, expected: str
) -> None:
    assert expected in "\n".join(said(of_project.target, scene(project(tmp_path, profiles_yml=text)), target))


def test_a_target_without_an_output_is_named(tmp_path: Path) -> None:
    found = scene(project(tmp_path, profiles_yml=PROFILE.replace("    prod:", "    production:")))
    assert statuses(of_project.target(found, "stg")) == ["ok"]
    with pytest.raises(ConfigError, match=r"has no output of this name \(prod\)"):
        list(of_project.target(found, "prod"))


def test_a_project_without_profiles_fails_whatever_is_in_a_home_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no profiles.yml.*commit one"):
        list(of_project.target(scene(project(tmp_path, profiles_yml=None)), "stg"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PROFILE, ["ok"]),
        (PROFILE.replace("catalog: prod", "catalog: stg, schema: live"), ["warn"]),
        (PROFILE.replace("catalog: prod", "catalog: STG"), ["fail"]),
    ],
)
def test_two_targets_in_one_schema_are_a_disaster(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert statuses(of_project.apart(scene(project(tmp_path, profiles_yml=text)))) == expected


SECRET = "      client_secret: \"{{ env_var('SHOP_SECRET', 'not-set') }}\"\n"


@pytest.mark.parametrize(
    ("instead", "expected"),
    [
        (SECRET, "ok stg: logs in as a service principal"),
        ("", "fail stg: `auth_type: oauth` without a secret opens a browser"),
        ("      token: \"{{ env_var('SHOP_TOKEN', 'not-set') }}\"\n", "warn stg: logs in by a token"),
        ("      token: \"{{ env_var('NEVER_SET_HERE') }}\"\n", "skipped stg: whether it gets in is not known here"),
    ],
)
def test_a_job_logs_in_without_a_person(tmp_path: Path, instead: str, expected: str) -> None:
    found = scene(project(tmp_path, profiles_yml=PROFILE.replace(SECRET, instead)))
    assert expected in "\n".join(said(login, found, "stg"))


@pytest.mark.parametrize(
    ("way", "expected"),
    [
        ("env-oidc", "ok stg: logs in by workload identity"),
        ("somehow", "fail stg: `auth_type: somehow` is none"),
    ],
)
def test_other_ways_to_log_in(tmp_path: Path, way: str, expected: str) -> None:
    text = PROFILE.replace("auth_type: oauth", f"auth_type: {way}").replace(SECRET, "")
    assert expected in "\n".join(said(login, scene(project(tmp_path, profiles_yml=text)), "stg"))


def test_an_output_that_says_half_of_how_to_log_in_fails(tmp_path: Path) -> None:
    texts = {
        "no http_path": PROFILE.replace("      http_path: /sql/1.0/warehouses/abc\n", ""),
        "needs a `client_id`": PROFILE.replace("auth_type: oauth", "auth_type: env-oidc").replace(
            "client_id:", "x_id:"
        ),
        "without `client_id`": PROFILE.replace("client_id:", "x_id:"),
        "neither a token nor an `auth_type`": PROFILE.replace("      auth_type: oauth\n", ""),
    }
    for number, (expected, text) in enumerate(texts.items()):
        found = scene(project(tmp_path / str(number), profiles_yml=text))
        assert expected in only(login(found, "stg")).message
        assert only(login(found, "stg")).status == "fail"


def test_an_output_without_a_connection_needs_a_warehouse_of_the_job(tmp_path: Path) -> None:
    bare = PROFILE.replace("      host: acme.cloud.databricks.com\n      http_path: /sql/1.0/warehouses/abc\n", "")
    found = scene(project(tmp_path / "a", profiles_yml=bare))
    assert only(login(found, "stg")).status == "fail"
    job = (found.project / "resources/dbx_cd.job.yml").read_text()
    named = job.replace("parameters:\n", "parameters:\n        - {name: warehouse_id, default: abc123}\n", 1)
    found = scene(project(tmp_path / "b", profiles_yml=bare, resources__dbx_cd_job_yml=named))
    assert "the job's warehouse abc123" in only(login(found, "stg")).message


def test_a_secret_in_clear_is_named_with_its_line(tmp_path: Path) -> None:
    assert statuses(of_project.secrets(scene(project(tmp_path / "a")))) == ["ok"]
    clear = PROFILE.replace("{{ env_var('SHOP_SECRET', 'not-set') }}", "dapi0123456789")
    line = only(of_project.secrets(scene(project(tmp_path / "b", profiles_yml=clear))))
    assert (line.status, line.subject) == ("fail", "profiles.yml:11")
    found = scene(project(tmp_path / "c"))
    commit(fill(found.project, {"conf/.env": "TOKEN=x"}))
    assert said(of_project.secrets, found)[0].startswith("fail conf/.env: is in git")


def test_what_is_not_committed_is_told_and_what_is_ignored_fails(tmp_path: Path) -> None:
    found = scene(project(tmp_path))
    assert statuses(of_project.committed(found)) == ["ok"]
    fill(found.project, {"notes.txt": "x"})
    assert statuses(of_project.committed(scene(found.project))) == ["warn"]
    fill(found.project, {".gitignore": "models/big*\nnotes.txt\n", "models/big.sql": "select 1"})
    commit(found.project)
    line = only(of_project.committed(scene(found.project)))
    assert (line.status, line.subject) == ("fail", "models/big.sql")
    fill(found.project, {"models/new.sql": "select 1"})
    with pytest.raises(ConfigError, match=r"models/new.sql is not committed"):
        list(of_project.committed(scene(found.project)))


def test_without_git_nothing_is_known_of_what_is_committed(tmp_path: Path) -> None:
    folder = fill(tmp_path, {"dbt_project.yml": "name: shop\n"}).resolve()
    assert statuses(of_project.committed(scene(folder))) == ["skipped"]


def test_packages_are_locked(tmp_path: Path) -> None:
    named = "packages: [{package: a/utils, version: 1.0.0}]\n"
    assert statuses(of_project.packages(scene(project(tmp_path / "a")))) == ["ok"]
    assert statuses(of_project.packages(scene(project(tmp_path / "b", packages_yml=named)))) == ["warn"]
    locks = {
        "ok": "packages: [{package: a/utils, name: utils, version: 1.0.0}]\n",
        "fail": "packages: [{package: a/utils, name: utils, version: 0.9.0}]\n",
    }
    for expected, lock in locks.items():
        found = scene(project(tmp_path / expected, packages_yml=named, package_lock_yml=lock))
        assert statuses(of_project.packages(found)) == [expected]
