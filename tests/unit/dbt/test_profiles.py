"""Which `profiles.yml` dbt is told to read."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_dbt import FakeDbt
from git_repositories import fill

from dbx_cd import ConfigError, run_dbt
from dbx_cd.dbt.process import refuse_flags_of_environment
from dbx_cd.dbt.project import LocalProject

PLACES = ("given", "engine", "environment")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("DBT_PROFILES_DIR", "DBT_ENGINE_PROFILES_DIR"):
        monkeypatch.delenv(name, raising=False)
    for place in PLACES:
        fill(tmp_path / place, {"profiles.yml": "shop: {}\n"})
    return fill(tmp_path / "shop", {"dbt_project.yml": "name: shop\n", "profiles.yml": "shop: {}\n"})


def told(project: Path, work: Path, profiles_dir: Path | str | None = None) -> Path | None:
    """The folder that dbt is told, of the copy for the project's own."""
    dbt = FakeDbt(orders="success")
    run_dbt("build", target="stg", project_dir=project, work_dir=work, profiles_dir=profiles_dir, runner=dbt)
    (call,) = dbt.calls
    return Path(call[call.index("--profiles-dir") + 1]) if "--profiles-dir" in call else None


def test_the_order_is_dbt_s_own(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same project without one, with its own, and with more and more that comes before that."""
    own = project / "profiles.yml"
    own.rename(tmp_path / "kept")
    assert told(project, tmp_path / "0") is None
    (tmp_path / "kept").rename(own)
    assert told(project, tmp_path / "1") == tmp_path / "1" / "project"
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path / "environment"))
    assert told(project, tmp_path / "2") == tmp_path / "environment"
    monkeypatch.setenv("DBT_ENGINE_PROFILES_DIR", str(tmp_path / "engine"))
    assert told(project, tmp_path / "3") == tmp_path / "engine"
    assert told(project, tmp_path / "4", tmp_path / "given") == tmp_path / "given"


def test_a_relative_folder_of_the_environment_counts_from_where_one_is(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DBT_PROFILES_DIR", "environment")
    assert told(project, tmp_path / "work") == tmp_path / "environment"


def test_a_folder_of_the_environment_without_profiles_is_named_with_its_variable(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path))
    with pytest.raises(ConfigError, match=r"no profiles\.yml.*unset DBT_PROFILES_DIR"):
        told(project, tmp_path / "work")


def test_a_release_takes_no_profiles_out_of_the_checkout_by_a_variable(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_PROFILES_DIR", str(tmp_path / "environment"))
    refuse_flags_of_environment()
    monkeypatch.setenv("DBT_PROFILES_DIR", "environment")
    refuse_flags_of_environment(profiles_dir=tmp_path / "given")
    with pytest.raises(ConfigError, match="DBT_PROFILES_DIR is 'environment', in the checkout"):
        refuse_flags_of_environment()


def test_only_the_artifacts_are_left_of_a_work_folder_files_go_too(tmp_path: Path) -> None:
    fill(tmp_path / "shop", {"dbt_project.yml": "name: shop\n"})
    local = LocalProject.prepare(tmp_path / "shop", work=tmp_path / "work", profiles_dir=None)
    local.clear_artifacts()
    (local.work / "warnings-shown").write_text("seen\n")
    local.leave_only_artifacts()
    assert [path.name for path in local.work.iterdir()] == ["artifacts"]
