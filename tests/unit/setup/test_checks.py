"""Which checks run where, what becomes of one that raises, and the command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from check_projects import PROFILE, project, scene
from databricks.sdk import WorkspaceClient
from git_repositories import commit, fill

from dbx_cd import CheckReport
from dbx_cd.cli.main import main
from dbx_cd.errors import ConfigError
from dbx_cd.setup.bundle import bundle_text, job_text, packaged_folder
from dbx_cd.setup.bundle_options import BundleOptions
from dbx_cd.setup.check.report import CheckLine, ok
from dbx_cd.setup.check.scene import Scene
from dbx_cd.setup.checks import CHECKS, Check, run_checks

FILES_ONLY = [check for check in CHECKS if check.needs == "nothing" and check.group != "The project in dbt"]


def fine(_scene: Scene) -> Iterator[CheckLine]:
    yield ok("", "fine")


def broken(_scene: Scene) -> Iterator[CheckLine]:
    yield ok("", "so far")
    raise ZeroDivisionError("a defect")


def unknown(found: Scene) -> Iterator[CheckLine]:
    yield ok("", found.own_config.approvers)


def lines(report: CheckReport) -> list[str]:
    return [f"{line.status} {line.name}: {line.message}" for line in report.lines]


def test_a_check_that_raises_is_a_line_and_the_others_go_on(tmp_path: Path) -> None:
    checks = [Check("Files", "first", broken), Check("Files", "second", fine)]
    report = run_checks(scene(project(tmp_path)), checks)
    assert lines(report) == ["ok first: so far", "fail first: ZeroDivisionError: a defect", "ok second: fine"]
    assert not report.ok


def test_what_several_checks_need_and_nobody_can_find_out_fails_once(tmp_path: Path) -> None:
    checks = [Check("Files", "first", unknown), Check("Files", "second", unknown), Check("Files", "third", fine)]
    report = run_checks(scene(project(tmp_path, dbx_cd_yml="x: 1\n")), checks)
    assert lines(report) == [
        "fail first: unknown key `x`",
        "skipped second: cannot be told while 'first' fails",
        "ok third: fine",
    ]
    assert "dbx_cd.yml" in report.lines[0].subject
    assert "known keys: " in str(report.lines[0].next_step)


def test_a_check_of_each_target_goes_on_after_one_that_fails(tmp_path: Path) -> None:
    text = PROFILE.replace("    prod:", "    production:").replace(
        "  outputs:\n", "  outputs:\n    aaa: {type: databricks}\n"
    )
    found = scene(project(tmp_path, profiles_yml=text), targets=("prod", "stg"))
    (check,) = (check for check in CHECKS if check.name == "target")
    report = run_checks(found, [check])
    assert [(line.status, line.subject) for line in report.lines] == [("fail", "prod"), ("ok", "stg")]


def test_what_asks_a_workspace_is_skipped_offline_and_what_needs_a_session_in_a_terminal(tmp_path: Path) -> None:
    checks = [Check("Data", "asks", fine, needs="workspace"), Check("Data", "looks", fine, needs="notebook")]
    offline = run_checks(scene(project(tmp_path)), checks)
    assert [line.status for line in offline.lines] == ["skipped", "skipped"]
    assert offline.ok

    def client() -> WorkspaceClient:
        raise ConfigError("cannot log in", next_step="log in")

    terminal = run_checks(scene(tmp_path.resolve(), connect=client), checks)
    assert lines(terminal) == ["ok asks: fine", "skipped looks: needs a notebook of the workspace"]
    assert terminal.identity is None


def test_who_cannot_log_in_reads_so_once(tmp_path: Path) -> None:
    def client() -> WorkspaceClient:
        raise ConfigError("cannot log in", where="environment", next_step="log in")

    online = [check for check in CHECKS if check.needs == "workspace"]
    report = run_checks(scene(project(tmp_path), connect=client), online)
    assert [line.message for line in report.failed] == ["cannot log in"]
    assert all(
        "cannot be told while 'identity' fails" in line.message for line in report.skipped if line.name != "rights"
    )


def test_every_check_has_a_name_of_its_own() -> None:
    names = [(check.group, check.name) for check in CHECKS]
    assert len(set(names)) == len(names)
    assert all((check.run is None) != (check.of_target is None) for check in CHECKS)


def test_a_project_with_the_packaged_bundle_is_ok_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUNDLE_VAR_run_as", "11111111-2222-3333-4444-555555555555")
    monkeypatch.setenv("BUNDLE_VAR_ci", "99999999-2222-3333-4444-555555555555")
    options = BundleOptions()
    files = {"databricks_yml": bundle_text(options), "resources__dbx_cd_job_yml": job_text(options)}
    folder = project(tmp_path, **files)
    for path in (packaged_folder() / "notebooks").glob("*.py"):
        fill(folder, {f"notebooks/{path.name}": path.read_text()})
    commit(folder)
    report = run_checks(scene(folder), FILES_ONLY)
    assert [str(line) for line in report.lines if line.status == "fail"] == []
    assert {"settings", "login", "linter", "job's targets"} <= {line.name for line in report.lines}


def test_the_command_fails_with_what_fails_and_prints_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project(tmp_path, dbx_cd_yml="x: 1\n")
    monkeypatch.chdir(folder)
    assert main(["check", "--offline", "--json"]) == 1
    report = CheckReport.from_dict(json.loads(capsys.readouterr().out))
    assert report.failed[0].name == "settings"
    assert {line.message for line in report.lines if line.group == "The workspace"} == {
        "the workspace is not asked (--offline)"
    }
    assert main(["check", "--offline"]) == 1
    assert "FAIL    settings" in capsys.readouterr().out
    assert "Traceback" not in capsys.readouterr().err


def test_the_command_without_a_project_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["check", "--offline"]) == 1
    assert "no dbt project at" in capsys.readouterr().err
