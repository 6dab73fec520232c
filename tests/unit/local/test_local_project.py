"""What the embedded workspace takes for a project: its profiles, its catalogs and its job."""

from __future__ import annotations

from pathlib import Path

import pytest
from git_repositories import commit, fill

from dbx_cd import ConfigError
from dbx_cd.local.project import LocalProject
from dbx_cd.release.job import JobDefinition
from dbx_cd.setup.bundle import bundle_text, job_text
from dbx_cd.setup.bundle_options import BUNDLE_FILE, JOB_FILE, BundleOptions

PROFILES = """
shop:
  outputs:
    dev: {{type: postgres, host: "{{{{ env_var('PGHOST_OF_NOBODY') }}}}"}}
    qa: {{type: databricks, catalog: "{place}_qa", schema: shop}}
    uat: {{type: databricks, catalog: "{place}_uat", schema: shop}}
    production: {{type: databricks, catalog: "{place}", schema: shop}}
"""
SETTINGS = "targets:\n  qa: {}\n  production: {gate: approval, defer_to: qa}\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project in a folder of a repository; places with a `profiles.yml`, each with catalogs of the place's name."""
    for name in ("DBT_PROFILES_DIR", "DBT_ENGINE_PROFILES_DIR"):
        monkeypatch.delenv(name, raising=False)
    for place in ("given", "environment", "here", "home/.dbt"):
        fill(tmp_path / place, {"profiles.yml": PROFILES.format(place=place.split("/")[0])})
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    files = {
        "dbt_project.yml": "name: shop\nprofile: \"{{ env_var('PROFILE_OF_NOBODY', 'shop') }}\"\n",
        "dbx_cd.yml": SETTINGS,
        "profiles.yml": PROFILES.format(place="own"),
    }
    project = fill(tmp_path / "repository" / "dbt", files)
    commit(tmp_path / "repository")
    return project


def production(project: Path, **given: Path) -> str:
    """The catalog of production."""
    qa, catalog, *_ = LocalProject.find(project, **given).catalogs
    assert qa == f"{catalog}_qa"
    return catalog


def test_profiles_are_looked_for_as_dbt_looks_for_them(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path / "environment"))
    assert production(project, profiles_dir=tmp_path / "given") == "given"
    assert production(project) == "environment"
    monkeypatch.delenv("DBT_PROFILES_DIR")
    assert production(project) == "own"
    (project / "profiles.yml").unlink()
    assert production(project) == "here"
    monkeypatch.chdir(tmp_path)
    assert production(project) == "home"


def test_without_any_profiles_the_last_place_is_named(project: Path, tmp_path: Path) -> None:
    (project / "profiles.yml").unlink()
    (tmp_path / "home" / ".dbt" / "profiles.yml").unlink()
    with pytest.raises(ConfigError, match=r"no profiles\.yml \(.*home/\.dbt/profiles\.yml"):
        production(project)


@pytest.mark.parametrize(
    "text",
    ["a: 2024-13-45", "a: \0", "a: " + "[" * 3000, "- a list", "a: ["],
    ids=["a date", "a NUL", "a nesting", "a list", "no end"],
)
def test_a_project_file_that_is_no_mapping_is_named(project: Path, text: str) -> None:
    fill(project, {"dbt_project.yml": text})
    with pytest.raises(
        ConfigError, match=rf"(?s)dbt_project\.yml (cannot be read as YAML|must be a mapping).*{project}"
    ):
        LocalProject.find(project)


def gates(project: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    definition = JobDefinition.of(LocalProject.find(project).jobs()[0].settings)
    return definition.open_targets, definition.gates


def test_the_packaged_job_builds_the_targets_that_the_settings_name(project: Path) -> None:
    assert gates(project) == (("qa",), ("production",))


def test_the_packaged_job_has_a_gate_for_each_gated_target(project: Path) -> None:
    text = SETTINGS.replace("  production", "  uat: {gate: approval, defer_to: qa}\n  production")
    fill(project, {"dbx_cd.yml": text})
    assert gates(project) == (("qa",), ("uat", "production"))


def test_a_job_of_the_repository_s_own_for_other_targets_is_named_with_both(project: Path, tmp_path: Path) -> None:
    (project / "dbx_cd.yml").unlink()
    fill(tmp_path / "repository", {JOB_FILE: job_text(BundleOptions()), BUNDLE_FILE: bundle_text(BundleOptions())})
    fill(project, {"dbx_cd.yml": SETTINGS})
    with pytest.raises(ConfigError, match=r"the job builds stg, prod, and the project's targets are qa, production"):
        LocalProject.find(project).jobs()


def test_targets_that_the_profile_has_not_are_named_beside_its_outputs(project: Path) -> None:
    (project / "dbx_cd.yml").unlink()
    message = r"profile 'shop' has no output 'stg', but dev, qa, uat, production.*targets: {STAGING"
    with pytest.raises(ConfigError, match=message):
        production(project)


def test_places_are_those_of_the_settings(project: Path) -> None:
    (project / "dbx_cd.yml").write_text(
        SETTINGS + "artifacts_root: /Volumes/Meta/files/artifacts/shop\nrelease_log: meta.log.releases\n"
    )
    places = LocalProject.find(project).places
    assert (places.log_schema, places.artifacts) == (("meta", "log"), ("Meta", "files", "artifacts"))
    assert (len(places.targets), places.gated) == (2, places.targets[1:])
