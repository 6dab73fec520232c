"""How `run_dbt` calls dbt, and what it makes of what dbt leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_dbt import FakeDbt

from dbx_cd import ConfigError, DbtFailed, DbtOutcome, DbtRun, RelationName, run_dbt
from dbx_cd.dbt.outcome import InvocationOutcome

OUTPUT = [
    "--log-format", "json", "--log-level", "info", "--log-format-file", "json", "--log-level-file", "debug",
    "--no-quiet", "--print", "--write-json", "--no-use-colors", "--no-send-anonymous-usage-stats",
    "--log-file-max-bytes", "0",
]  # fmt: skip


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (folder / "models" / "orders.sql").write_text("select 1 as id")
    (folder / "profiles.yml").write_text("shop: {}\n")
    return folder


@pytest.fixture
def run(project: Path, tmp_path: Path):
    """Runs a command with a given dbt in the project and one work folder."""

    def run(cmd: str = "build", *, dbt: FakeDbt, target: str = "stg", **parameters: Any) -> DbtRun:
        given = {"project_dir": project, "work_dir": tmp_path / "work", **parameters}
        return run_dbt(cmd, target=target, runner=dbt, **given)

    return run


def everywhere(work: Path, target: str) -> list[str]:
    """The flags that every command is given."""
    copy = str(work / "project")
    return [
        "--project-dir", copy, "--profiles-dir", copy, "--target", target, "--target-path", str(work / "target"),
        "--log-path", str(work / "logs"),
    ]  # fmt: skip


def test_staging_build_of_the_workflow_calls_dbt_with_exactly(run, tmp_path: Path) -> None:
    dbt = FakeDbt(orders="success")
    run("build", dbt=dbt, target="stg", select="tag:deploy", exclude="tag:heavy", defer=False, with_parents="all")
    assert dbt.calls == [
        [
            "build", *everywhere(tmp_path / "work", "stg"),
            "--select", "+tag:deploy", "--indirect-selection", "buildable", "--exclude", "tag:heavy", *OUTPUT,
        ]
    ]  # fmt: skip


def test_production_build_of_the_workflow_calls_dbt_with_exactly(run, tmp_path: Path) -> None:
    state = tmp_path / "artifacts" / "stg" / "latest"
    state.mkdir(parents=True)
    (state / "manifest.json").write_text("{}")
    dbt = FakeDbt(orders="success")
    run("build", dbt=dbt, target="prod", select="tag:deploy", defer=True, state_path=f"{state}/")
    assert dbt.calls == [
        [
            "build", *everywhere(tmp_path / "work", "prod"),
            "--state", str(state), "--defer", "--select", "tag:deploy", *OUTPUT,
        ]
    ]  # fmt: skip


def test_full_refresh_and_variables_are_passed_on(run) -> None:
    dbt = FakeDbt(orders="success")
    run(dbt=dbt, full_refresh=True, vars={"day": "2026-01-01", "n": 1})
    assert "--full-refresh" in dbt.calls[0]
    assert json.loads(dbt.option("--vars")) == {"day": "2026-01-01", "n": 1}


def test_profiles_of_another_folder_are_used(run, tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "profiles.yml").write_text("shop: {}\n")
    dbt = FakeDbt(orders="success")
    run(dbt=dbt, profiles_dir=tmp_path / "profiles")
    assert dbt.option("--profiles-dir") == str(tmp_path / "profiles")


def test_without_profiles_dbt_looks_for_its_own(run, project: Path) -> None:
    (project / "profiles.yml").unlink()
    dbt = FakeDbt(orders="success")
    run(dbt=dbt)
    assert "--profiles-dir" not in dbt.calls[0]


def test_record_says_what_every_node_did(run) -> None:
    done = run(dbt=FakeDbt(orders="success", customers="success"))
    assert (done.ok, done.command, done.target) == (True, "build", "stg")
    assert [(n.name, n.status) for n in done.nodes] == [("orders", "success"), ("customers", "success")]
    assert str(done).startswith("dbt build --target stg ok: 2 success in ")


def test_record_names_the_relations_that_were_built(run) -> None:
    class Building(FakeDbt):
        def results(self, args: list[str]) -> dict[str, Any]:
            document = super().results(args)
            for result in document["results"]:
                result["relation_name"] = f"`stg`.`shop`.`{result['unique_id'].split('.')[-1]}`"
            return document

    done = run(dbt=Building(orders="success", customers="error"), check=False)
    assert done.relations == (RelationName("stg", "shop", "orders"),)


def test_artifacts_are_collected_and_nothing_else(run) -> None:
    class Littering(FakeDbt):
        def __call__(self, args: list[str]) -> DbtOutcome:
            outcome = super().__call__(args)
            (Path(self.option("--target-path")) / "partial_parse.msgpack").write_bytes(b"x")
            return outcome

    done = run(dbt=Littering(orders="success"))
    assert {p.name for p in done.files_dir.iterdir()} == {"dbt_outcome.json", "manifest.json", "run_results.json"}


def test_failure_raises_with_the_record_and_the_reason(run) -> None:
    class Failing(FakeDbt):
        def results(self, args: list[str]) -> dict[str, Any]:
            document = super().results(args)
            document["results"][1]["message"] = "Database Error: no such column `amout`"
            return document

    with pytest.raises(DbtFailed, match=r"(?s)dbt build failed: customers: .*amout.*target stg.*Next: ") as raised:
        run(dbt=Failing(orders="success", customers="error", regions="skipped"))
    result = raised.value.result
    assert isinstance(result, DbtRun)
    assert [n.name for n in result.failed] == ["customers"]
    assert (result.files_dir / "run_results.json").is_file()


def test_failure_without_check_is_a_record(run) -> None:
    done = run(dbt=FakeDbt(orders="error"), check=False)
    assert not done.ok
    assert str(done).startswith("dbt build --target stg failed: 1 error in ")


def test_dbt_that_stopped_before_any_node_tells_what_it_said(run) -> None:
    dbt = FakeDbt(outcome=DbtOutcome(False, ("Compilation Error in model orders",)), leaves=False)
    with pytest.raises(DbtFailed, match="Compilation Error in model orders"):
        run(dbt=dbt)


def test_dbt_that_said_nothing_fails_all_the_same(run) -> None:
    with pytest.raises(DbtFailed, match="dbt gave no reason"):
        run(dbt=FakeDbt(outcome=DbtOutcome(False), leaves=False))


@pytest.mark.parametrize("cmd", ["build", "run", "test", "seed", "snapshot", "build --threads 2"])
def test_selection_that_matches_nothing_fails(run, cmd: str) -> None:
    with pytest.raises(DbtFailed, match="the selection matched no node"):
        run(cmd, dbt=FakeDbt(), select="tag:typo")


@pytest.mark.parametrize("cmd", ["parse", "source freshness", "docs generate", "run-operation vacuum"])
def test_command_that_selects_nothing_may_have_no_nodes(run, cmd: str) -> None:
    assert run(cmd, dbt=FakeDbt()).ok


def test_command_with_further_words_has_its_nodes(run) -> None:
    assert [n.name for n in run("build --threads 2", dbt=FakeDbt(orders="success")).nodes] == ["orders"]


def test_unknown_command_is_refused_before_dbt_is_called(run) -> None:
    dbt = FakeDbt()
    with pytest.raises(ConfigError, match="did you mean 'build'"):
        run("biuld", dbt=dbt)
    assert dbt.calls == []


def test_folder_without_a_project_is_refused(run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no dbt_project\.yml"):
        run(dbt=FakeDbt(), project_dir=tmp_path)


def test_folder_without_profiles_is_refused(run, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no profiles\.yml"):
        run(dbt=FakeDbt(), profiles_dir=tmp_path)


PACKAGES = {
    "a package": ("packages.yml", "packages:\n  - package: dbt-labs/dbt_utils\n    version: 1.3.0\n", True),
    "packages on one line": ("packages.yml", "packages: [{git: 'https://example.org/x.git'}]\n", True),
    "a dependency": ("dependencies.yml", "projects:\n  - name: other\n", False),
    "Jinja": ("packages.yml", "packages:\n{% if true %}\n  - package: a/b\n{% endif %}\n", True),
    "an empty list": ("packages.yml", "packages: []\n", False),
    "comments only": ("packages.yml", "# packages:\n#  - package: a/b\n", False),
}


@pytest.mark.parametrize("case", PACKAGES)
def test_packages_are_installed_only_when_the_project_names_some(run, project: Path, case: str) -> None:
    name, text, needed = PACKAGES[case]
    (project / name).write_text(text)
    dbt = FakeDbt(orders="success")
    run(dbt=dbt)
    assert [call[0] for call in dbt.calls] == (["deps", "build"] if needed else ["build"])


def test_packages_that_are_installed_are_not_installed_again(run, project: Path) -> None:
    (project / "packages.yml").write_text(PACKAGES["a package"][1])
    (project / "dbt_packages" / "dbt_utils").mkdir(parents=True)
    (project / "dbt_packages" / "dbt_utils" / "dbt_project.yml").write_text("name: dbt_utils\n")
    dbt = FakeDbt(orders="success")
    run(dbt=dbt)
    assert [call[0] for call in dbt.calls] == ["build"]


def test_failed_installation_of_packages_is_told_as_such(run, project: Path) -> None:
    (project / "packages.yml").write_text(PACKAGES["a package"][1])
    with pytest.raises(DbtFailed, match=r"dbt build failed: `dbt deps` failed: the hub is unreachable"):
        run(dbt=FakeDbt(outcome=DbtOutcome(False, ("the hub is unreachable",))))


def test_project_is_never_written_to(run, project: Path) -> None:
    before = sorted(p.relative_to(project).as_posix() for p in project.rglob("*"))
    run(dbt=FakeDbt(orders="success"))
    assert sorted(p.relative_to(project).as_posix() for p in project.rglob("*")) == before


def test_copy_of_a_read_only_project_is_writable(run, project: Path, tmp_path: Path) -> None:
    entries = [project, *project.rglob("*")]
    for entry in entries:
        entry.chmod(0o555 if entry.is_dir() else 0o444)
    try:
        run(dbt=FakeDbt(orders="success"))
    finally:
        for entry in entries:
            entry.chmod(0o755 if entry.is_dir() else 0o644)
    copy = tmp_path / "work" / "project"
    # The mode bits, because root may write anywhere.
    assert all(p.stat().st_mode & 0o200 for p in (copy, *copy.rglob("*")))
    assert (copy / "models" / "orders.sql").read_text() == "select 1 as id"


def test_what_dbt_generated_in_the_project_is_not_copied(run, project: Path, tmp_path: Path) -> None:
    for name in ("target", "logs", "models/logs"):
        (project / name).mkdir()
        (project / name / "visits.sql").write_text("select 1")
    run(dbt=FakeDbt(orders="success"))
    copy = tmp_path / "work" / "project"
    assert sorted(p.name for p in copy.iterdir()) == ["dbt_project.yml", "models", "profiles.yml"]
    assert (copy / "models" / "logs" / "visits.sql").is_file()


def test_artifacts_of_an_earlier_invocation_never_pass_for_this_one(run) -> None:
    run(dbt=FakeDbt(orders="success"))
    with pytest.raises(DbtFailed) as raised:
        run(dbt=FakeDbt(outcome=DbtOutcome(False, ("killed",)), leaves=False))
    assert isinstance(raised.value.result, DbtRun)
    assert raised.value.result.nodes == ()
    assert [p.name for p in raised.value.result.files_dir.glob("*.json")] == ["dbt_outcome.json"]


def test_run_results_of_another_command_are_not_this_ones(run) -> None:
    class Parsing(FakeDbt):
        def results(self, args: list[str]) -> dict[str, Any]:
            return super().results(["build", "-"])

    assert run("parse", dbt=Parsing(orders="success")).nodes == ()


def test_listed_nodes_are_in_the_record(run) -> None:
    dbt = FakeDbt(outcome=DbtOutcome(True, listed=("model.shop.orders",)))
    assert run("ls", dbt=dbt, select="tag:deploy").listed == ("model.shop.orders",)
    assert dbt.option("--output-keys") == "unique_id"


def test_record_survives_a_round_trip_through_json(run) -> None:
    done = run(dbt=FakeDbt(orders="success", customers="error"), check=False)
    assert DbtRun.read(json.loads(json.dumps(done.to_dict()))) == done


def test_html_shows_why_a_node_failed_and_escapes_it(run) -> None:
    class Failing(FakeDbt):
        def results(self, args: list[str]) -> dict[str, Any]:
            document = super().results(args)
            document["results"][0]["message"] = "<script>no such column</script>"
            return document

    shown = run(dbt=Failing(orders="error"), check=False).to_html()
    assert "model.shop.orders" in shown
    assert "&lt;script&gt;no such column" in shown


@pytest.mark.parametrize("inside", [True, False])
def test_packages_that_are_links_are_no_part_of_the_copy(run, project: Path, tmp_path: Path, inside: bool) -> None:
    """Where `dbt deps` was run in the project: each is a link, to the copy's own folder or to where the package is."""
    package = project / "own" if inside else tmp_path / "package"
    package.mkdir()
    (package / "dbt_project.yml").write_text("name: package\n")
    (project / "dbt_packages").mkdir()
    (project / "dbt_packages" / "package").symlink_to(package)
    run(dbt=FakeDbt(orders="success"))
    copy = tmp_path / "work" / "project"
    link = copy / "dbt_packages" / "package"
    assert link.is_symlink()
    assert link.resolve() == (copy / "own" if inside else package)


@pytest.mark.parametrize("path", ["../elsewhere", "{tmp_path}/elsewhere"])
def test_packages_outside_of_the_project_are_where_it_puts_them(run, project: Path, tmp_path: Path, path: str) -> None:
    named = path.format(tmp_path=tmp_path)
    (project / "dbt_project.yml").write_text(f"name: shop\npackages-install-path: {named}\n")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "package").symlink_to(project)
    assert run(dbt=FakeDbt(orders="success")).ok


# What `run_results.json` does not say

HOOK = "Compilation Error in operation shop-on-run-end-0 (./dbt_project.yml)\n  'grants' is undefined"


class FailingHook(FakeDbt):
    """Ends as dbt does where a hook cannot be rendered: the results hold the successes of the models alone."""

    def __call__(self, args: list[str]) -> DbtOutcome:
        super().__call__(args)
        return DbtOutcome(False, ("Failure in operation", HOOK), exit_code=2)


def test_a_hook_that_failed_is_named_where_all_nodes_succeeded(run) -> None:
    done = run(dbt=FailingHook(orders="success"), check=False)
    assert (done.ok, [h.name for h in done.hooks], done.failed) == (False, ["shop-on-run-end-0"], ())
    assert str(done).endswith("operation shop-on-run-end-0 (./dbt_project.yml): 'grants' is undefined")
    assert "&#39;grants&#39; is undefined" in done.to_html()
    with pytest.raises(DbtFailed, match=r"(?s)shop-on-run-end-0.*'grants' is undefined"):
        done.raise_if_failed()


def test_a_hook_that_failed_beside_a_node_is_named_with_it(run) -> None:
    done = run(dbt=FailingHook(orders="error"), check=False)
    with pytest.raises(DbtFailed, match=r"(?s)orders: .*shop-on-run-end-0"):
        done.raise_if_failed()
    assert "Failure in operation" not in str(done), "the node's own failure says as much"


def test_a_hook_that_the_database_refused_is_named_once(run) -> None:
    class Refused(FakeDbt):
        def results(self, args: list[str]) -> dict[str, Any]:
            document = super().results(args)
            hook = {"unique_id": "operation.shop.shop-on-run-end-0", "status": "error", "message": "no such table"}
            document["results"].append(hook)
            return document

    outcome = DbtOutcome(False, ("Failure in operation shop-on-run-end-0 (./dbt_project.yml)", "no such table"))
    done = run(dbt=Refused(outcome=outcome, orders="success"), check=False)
    assert [(h.name, h.message) for h in done.hooks] == [("shop-on-run-end-0", "no such table")]
    with pytest.raises(DbtFailed, match="shop-on-run-end-0: no such table") as raised:
        done.raise_if_failed()
    assert str(raised.value).count("no such table") == 1


def test_how_dbt_ended_is_written_beside_its_artifacts(run) -> None:
    done = run(dbt=FailingHook(orders="success"), check=False)
    written = InvocationOutcome.find(done.files_dir)
    assert written is not None
    assert (written.command, written.target, written.ok, written.exit_code) == ("build", "stg", False, 2)
    assert (written.hooks, written.errors) == (done.hooks, done.errors)
    again = InvocationOutcome.find(run(dbt=FakeDbt(orders="success")).files_dir)
    assert again is not None
    assert (again.ok, again.hooks, again.errors) == (True, (), ())


def test_packages_that_cannot_be_installed_do_not_escape_check(run, project: Path) -> None:
    (project / "packages.yml").write_text(PACKAGES["a package"][1])
    dbt = FakeDbt(outcome=DbtOutcome(False, ("the hub is unreachable", "try again"), exit_code=2))
    done = run(dbt=dbt, check=False)
    assert (done.ok, done.command, [call[0] for call in dbt.calls]) == (False, "build", ["deps"])
    assert done.errors == ("`dbt deps` failed: the hub is unreachable", "try again")
    assert [p.name for p in done.files_dir.iterdir()] == ["dbt_outcome.json"]


# Folders of its own


def test_without_a_work_folder_only_the_artifacts_stay(project: Path) -> None:
    done = run_dbt(target="stg", project_dir=project, runner=FakeDbt(orders="success"))
    assert done.files_dir.is_dir()
    assert [p.name for p in done.files_dir.parent.iterdir()] == [done.files_dir.name]


def test_a_folder_of_its_own_goes_when_the_process_ends(tmp_path: Path) -> None:
    code = "from dbx_cd.local_disk import temporary_folder as t; f = t(); (f / 'x').touch(); print(f)"
    ended = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "TMPDIR": str(tmp_path)}, capture_output=True, check=True
    )
    folder = Path(ended.stdout.decode().strip())
    assert folder.parent == tmp_path
    assert not folder.exists()


@pytest.mark.parametrize("ok", [True, False])
def test_the_line_that_ends_a_run_names_no_folder_that_may_be_gone_when_it_is_read(
    run, tmp_path: Path, caplog: pytest.LogCaptureFixture, ok: bool
) -> None:
    with caplog.at_level("DEBUG", "dbx_cd.dbt"):
        done = run(dbt=FakeDbt(orders="success" if ok else "error"), check=False)
    line = next(record for record in caplog.records if record.getMessage().startswith(str(done)))
    assert (line.levelname, line.getMessage()) == ("INFO" if ok else "WARNING", str(done))
    (named,) = [record for record in caplog.records if str(done.files_dir) in record.getMessage()]
    assert named.levelname == "DEBUG"
