"""`source freshness` runs no hook: what dbt itself reads in the project that it is given."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from dbt.config.project import read_project_flags
from dbt.deprecations import SourceFreshnessProjectHooksNotRun
from dbt.events.types import DeprecationsSummary
from dbt.task.freshness import FreshnessTask
from dbt.task.run import RunTask
from dbt_common.events.base_types import BaseEvent, msg_from_base_event
from dbt_common.events.functions import msg_to_json
from dbt_projects import SHOP

from dbx_cd import DbtOutcome, run_dbt
from dbx_cd.dbt.events import DbtEvent
from dbx_cd.dbt.progress import DbtProgress

HOOKS = 'on-run-start: ["create table audit (id int)"]\non-run-end:\n  - "{{ log(\'done\') }}"\n'


class AskingDbt:
    """A `Runner` that asks dbt's own code for the flags of the project that it is given."""

    def __init__(self) -> None:
        self.runs_hooks: list[bool] = []
        self.settings: list[dict[str, Any]] = []

    def __call__(self, args: list[str]) -> DbtOutcome:
        project, profiles = (args[args.index(name) + 1] for name in ("--project-dir", "--profiles-dir"))
        self.runs_hooks.append(read_project_flags(project, profiles).source_freshness_run_project_hooks)
        self.settings.append(yaml.safe_load((Path(project) / "dbt_project.yml").read_text()))
        return DbtOutcome(True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(f"# ours\nname: shop\nprofile: shop\nmodel-paths: [models]\n{HOOKS}")
    shutil.copyfile(SHOP / "profiles.yml", folder / "profiles.yml")
    return folder


def asked(project: Path, work: Path, cmd: str = "source freshness") -> AskingDbt:
    dbt = AskingDbt()
    run_dbt(cmd, target="stg", project_dir=project, work_dir=work, runner=dbt, check=False)
    return dbt


@pytest.mark.parametrize(
    "flags",
    [
        "",
        "flags:\n",
        "flags: {use_colors: false}\n",
        "flags:\n  use_colors: false  # plain\n  source_freshness_run_project_hooks: true\n",
        "vars: {a: &some {use_colors: false}}\nflags: *some\n",
    ],
)
def test_dbt_reads_that_source_freshness_runs_no_hooks(project: Path, tmp_path: Path, flags: str) -> None:
    settings = project / "dbt_project.yml"
    with settings.open("a") as file:
        file.write(flags)
    before = settings.read_text()
    dbt = asked(project, tmp_path / "work")
    assert dbt.runs_hooks == [False]
    written = yaml.safe_load(before)
    kept = {key: value for key, value in written.items() if not key.startswith("on-run-")}
    kept["flags"] = {**(written.get("flags") or {}), "source_freshness_run_project_hooks": False}
    assert dbt.settings == [kept]
    assert settings.read_text() == before


def test_the_next_command_in_the_same_work_folder_has_its_hooks(project: Path, tmp_path: Path) -> None:
    asked(project, tmp_path / "work")
    dbt = asked(project, tmp_path / "work", "run-operation something")
    assert dbt.runs_hooks == [True]
    assert dbt.settings == [yaml.safe_load((project / "dbt_project.yml").read_text())]
    assert not (tmp_path / "work" / "profiles").exists()


def test_flags_in_profiles_yml_stay_and_are_not_written_in_two_places(project: Path, tmp_path: Path) -> None:
    profiles = project / "profiles.yml"
    profiles.write_text(f"{profiles.read_text()}\nconfig: {{use_colors: false}}\n")
    before = profiles.read_text()
    # dbt raises where both files have flags.
    assert asked(project, tmp_path / "work").runs_hooks == [False]
    assert profiles.read_text() == before
    assert not (tmp_path / "work" / "profiles").exists()


def test_the_hooks_of_a_package_do_not_run_either(project: Path, tmp_path: Path) -> None:
    settings = project / "dbt_project.yml"
    settings.write_text(settings.read_text().replace(HOOKS, ""))
    package = project / "dbt_packages" / "audit"
    package.mkdir(parents=True)
    (package / "dbt_project.yml").write_text(f"name: audit\n{HOOKS}")
    assert asked(project, tmp_path / "work").runs_hooks == [False]


def test_a_project_without_hooks_is_given_to_dbt_as_it_is(project: Path, tmp_path: Path) -> None:
    settings = project / "dbt_project.yml"
    settings.write_text(settings.read_text().replace(HOOKS, ""))
    assert asked(project, tmp_path / "work").settings == [yaml.safe_load(settings.read_text())]


def test_dbt_itself_knows_no_hook_when_it_reads_that(monkeypatch: pytest.MonkeyPatch) -> None:
    """What all of this is about; when dbt changes it, this says so."""
    monkeypatch.setattr(RunTask, "get_hooks_by_type", lambda *_: ["a hook"])
    for runs, hooks in ((True, ["a hook"]), (False, [])):
        task: Any = object.__new__(FreshnessTask)
        task.args = SimpleNamespace(source_freshness_run_project_hooks=runs)
        monkeypatch.setattr("dbt.deprecations.warn", lambda _name: None)
        assert task.get_hooks_by_type("on-run-start") == hooks


def shown(*events: BaseEvent) -> str:
    stream = io.StringIO()
    with DbtProgress("dbt source freshness (stg)", stream=stream) as progress:
        for event in events:
            progress.take(DbtEvent.parse(msg_to_json(msg_from_base_event(event))))
    return stream.getvalue()


def test_that_hooks_do_not_run_is_no_warning_to_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dbt.events.types.require_event_names_in_deprecations", lambda: False)
    event = SourceFreshnessProjectHooksNotRun().event()
    ours = {"event_name": type(event).__name__, "event_code": "D017", "occurrences": 2}
    others = {"event_name": "CustomKeyInConfigDeprecation", "event_code": "D036", "occurrences": 1}
    assert shown(event) == ""
    assert shown(DeprecationsSummary(summaries=[ours])) == ""
    assert "CustomKeyInConfigDeprecation" in shown(DeprecationsSummary(summaries=[ours, others]))
