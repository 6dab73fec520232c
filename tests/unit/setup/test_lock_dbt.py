"""`lock-dbt` by real uv on wheels made here, and the lock that the wheel brings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement

from dbx_cd import ConfigError, SetupError
from dbx_cd.cli.main import main
from dbx_cd.dbt.requirements_lock import FILE_NAME, Pin, RequirementsLock, normalized
from dbx_cd.setup.lock_dbt import IN_NAME, PYTHONS, lock_dbt, packaged_lock, packaged_ranges, unmet
from tiny_wheels import make_dbt, make_wheel

REPOSITORY = Path(__file__).parents[3]
SHIPPED = RequirementsLock.parse(packaged_lock(), path=Path(FILE_NAME))
DEV = {
    normalized(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (REPOSITORY / "requirements" / "dev.lock").read_text(), re.M)
}


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is all there is."""
    folder = tmp_path / "index"
    for name, value in {"UV_NO_INDEX": "1", "UV_OFFLINE": "1", "UV_FIND_LINKS": str(folder)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://user:secret@index.example.org/simple")
    make_wheel(folder, "colour", "1.0", {"colour.py": ""})
    for version in ("1.11.0", "1.11.5", "1.12.0"):
        make_wheel(folder, "dbt-core", version, {"dbt/cli/main.py": ""}, requires=["colour"])
    make_wheel(folder, "dbt-databricks", "1.11.1", {}, requires=["dbt-core"])
    return folder


@pytest.fixture
def project(index: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dbt_project.yml").write_text("name: tiny\n")
    return folder


def versions(project: Path) -> dict[str, str]:
    found = RequirementsLock.find(project)
    assert found is not None
    return {pin.name: pin.version for pin in found.pins}


def test_a_lock_has_every_package_with_hashes_and_says_how_to_make_it_again(project: Path) -> None:
    assert lock_dbt(project).written
    assert versions(project) == {"colour": "1.0", "dbt-core": "1.11.5", "dbt-databricks": "1.11.1"}
    text = (project / FILE_NAME).read_text()
    assert "#     python -m dbx_cd lock-dbt\n" in text
    assert "index" not in text.replace("indexes", "")
    assert str(project.parent) not in text
    assert sorted(path.name for path in project.iterdir()) == ["dbt_project.yml", FILE_NAME]


def test_what_is_locked_stays_until_an_upgrade(project: Path) -> None:
    lock_dbt(project, requirements=["dbt-core==1.11.0"])
    assert "--requirement 'dbt-core==1.11.0'" in (project / FILE_NAME).read_text()
    lock_dbt(project)
    assert versions(project)["dbt-core"] == "1.11.0"
    assert not lock_dbt(project).written
    result = lock_dbt(project, upgrade=True)
    assert result.written
    assert versions(project)["dbt-core"] == "1.11.5"


def test_what_changes_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock_dbt(project)
    assert main(["lock-dbt", "--project", str(project), "--requirement", "dbt-core<1.11.5"]) == 0
    assert "dbt-core 1.11.5 -> 1.11.0" in capsys.readouterr().out


def test_a_team_s_own_file_counts_in_place_of_the_tested_versions(project: Path) -> None:
    (project / IN_NAME).write_text("dbt-core>=1.12  # newer\ndbt-databricks\n")
    lock_dbt(project)
    assert versions(project)["dbt-core"] == "1.12.0"
    assert f"# from {IN_NAME}." in (project / FILE_NAME).read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--index-url https://example.org\n", "line 1 is no requirement"),
        ("dbt-core\n-r other.txt\n", "line 2 is no requirement"),
        ("dbt-core @ https://example.org/dbt_core-1-py3-none-any.whl\n", "line 1 is an address"),
        ("colour\n", "neither dbt-core nor dbt-databricks is asked for"),
    ],
)
def test_a_team_s_own_file_is_of_packages_alone(text: str, message: str, project: Path) -> None:
    (project / IN_NAME).write_text(text)
    with pytest.raises(ConfigError, match=message):
        lock_dbt(project)
    assert not (project / FILE_NAME).exists()


def test_what_cannot_be_resolved_leaves_the_lock_as_it_was(project: Path) -> None:
    lock_dbt(project)
    before = (project / FILE_NAME).read_text()
    with pytest.raises(SetupError, match=r"locking dbt's packages failed: there is no dbt-core==1\.11\.9"):
        lock_dbt(project, requirements=["dbt-core==1.11.9"])
    assert (project / FILE_NAME).read_text() == before
    assert sorted(path.name for path in project.iterdir()) == ["dbt_project.yml", FILE_NAME]


def test_check_writes_nothing_and_says_what_is_otherwise(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check = ["lock-dbt", "--project", str(project), "--check"]
    assert main(check) == 1
    assert "there is no lock" in capsys.readouterr().err
    lock_dbt(project)
    assert main(check) == 0
    assert "as it would be written now" in capsys.readouterr().out
    assert main([*check, "--requirement", "dbt-core==1.11.0"]) == 1
    assert "dbt-core==1.11.0 is asked for, and 1.11.5 is locked" in capsys.readouterr().err
    text = (project / FILE_NAME).read_text()
    without = re.sub(r"colour==.*\n(    .*\n)+", "", text)
    (project / FILE_NAME).write_text(without)
    assert main(check) == 1
    assert "colour nothing -> 1.0" in capsys.readouterr().err
    assert (project / FILE_NAME).read_text() == without


def test_check_without_an_index_compares_what_is_asked_for(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lock_dbt(project)
    for name in ("UV_NO_INDEX", "UV_OFFLINE", "UV_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_NO_CACHE", "1")
    check = ["lock-dbt", "--project", str(project), "--check"]
    assert main(check) == 0
    assert "all that is asked for; the package index cannot be reached" in capsys.readouterr().out
    assert main([*check, "--requirement", "dbt-core==1.11.0"]) == 1


def test_there_has_to_be_a_project(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no dbt_project\.yml"):
        lock_dbt(tmp_path)


def test_a_lock_that_is_none_is_not_gone_on_from(project: Path) -> None:
    (project / FILE_NAME).write_text("--index-url https://example.org\n")
    with pytest.raises(ConfigError, match="line 1 is no package"):
        lock_dbt(project)
    assert lock_dbt(project, upgrade=True).written


# --- the lock that the wheel brings


def applying(python: str) -> list[Pin]:
    """What of the shipped lock is installed on a driver."""
    environment = {
        **default_environment(), "python_version": python, "python_full_version": f"{python}.1",
        "sys_platform": "linux", "platform_system": "Linux", "platform_python_implementation": "CPython",
        "implementation_name": "cpython", "os_name": "posix",
    }  # fmt: skip
    return [pin for pin in SHIPPED.pins if not pin.marker or Marker(pin.marker).evaluate(environment)]


def test_the_shipped_lock_is_of_the_versions_that_are_supported() -> None:
    assert unmet(SHIPPED, packaged_ranges()) == []
    names = {pin.name for pin in SHIPPED.pins}
    assert {normalized(Requirement(line).name) for line in packaged_ranges().splitlines() if line[0] != "#"} <= names


def test_every_package_of_the_shipped_lock_has_hashes() -> None:
    assert [pin.name for pin in SHIPPED.pins if not all(one.startswith("sha256:") for one in pin.hashes)] == []
    assert len(SHIPPED.pins) > 50


@pytest.mark.parametrize("python", PYTHONS)
def test_the_shipped_lock_has_one_version_of_each_package_for_every_python(python: str) -> None:
    names = [pin.name for pin in applying(python)]
    assert len(names) == len(set(names))
    assert {"dbt-core", "dbt-databricks", "dbt-adapters", "dbt-common", "protobuf", "networkx", "numpy"} <= set(names)


def test_the_shipped_lock_has_what_the_tests_run_with() -> None:
    installed = {pin.name: pin.version for pin in applying("3.11")}
    assert {name: version for name, version in installed.items() if DEV.get(name, version) != version} == {}
    assert len(installed.keys() & DEV.keys()) > 50


def test_unmet_names_what_is_missing() -> None:
    assert unmet(SHIPPED, "dbt-core>=99\nno-such-package\n") == [
        f"dbt-core>=99 is asked for, and {DEV['dbt-core']} is locked",
        "no-such-package is asked for, and nothing is locked",
    ]


def test_a_wheel_that_stands_for_dbt_is_found_by_its_name(tmp_path: Path) -> None:
    assert make_dbt(tmp_path).path.name == "dbt_core-9.9.9-py3-none-any.whl"
