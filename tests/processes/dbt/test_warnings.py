"""A warning of dbt is shown once for all the invocations of a build, by dbt itself."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from dbt.events.types import LogTestResult, RunResultWarning, RunResultWarningMessage
from dbt_common.events.base_types import BaseEvent, EventLevel, msg_from_base_event
from dbt_common.events.functions import msg_to_json
from dbt_projects import shop

from dbx_cd import run_dbt
from dbx_cd.dbt.events import DbtEvent
from dbx_cd.dbt.progress import DbtProgress

UNUSED = "models.nothing_has_this_name"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A shop of which dbt has something to say at each parse."""
    folder = shop(tmp_path / "shop")
    settings = folder / "dbt_project.yml"
    text = settings.read_text()
    assert "\nmodels:\n" in text
    unused = "\nmodels:\n  nothing_has_this_name:\n    +materialized: view\n"
    settings.write_text(text.replace("\nmodels:\n", unused, 1))
    return folder


@pytest.mark.usefixtures("warm_dbt")
def test_a_build_s_invocations_say_once_what_is_wrong_with_the_project(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    work = tmp_path / "work"
    for target, folder in (("stg", work), ("stg", work), ("prod", work / "names-prod")):
        assert run_dbt("ls", target=target, project_dir=project, work_dir=folder).ok
    assert capsys.readouterr().err.count(UNUSED) == 1


@pytest.mark.usefixtures("warm_dbt")
def test_another_build_says_it_again(project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("one", "two"):
        run_dbt("ls", target="stg", project_dir=project, work_dir=tmp_path / folder)
    assert capsys.readouterr().err.count(UNUSED) == 2


def taken(*events: BaseEvent, work: Path | None = None) -> str:
    """What is shown of events, in the words and at the level that dbt writes them (dbt-core 1.11, `task/test.py`)."""
    stream = io.StringIO()
    with DbtProgress("dbt build (stg)", stream=stream, work=work) as progress:
        for event in events:
            level = (
                EventLevel(LogTestResult.status_to_level(event.status)) if isinstance(event, LogTestResult) else None
            )
            progress.take(DbtEvent.parse(msg_to_json(msg_from_base_event(event, level=level))))
    return stream.getvalue()


def warned(node: str) -> tuple[BaseEvent, ...]:
    """What dbt says of a test that warns: when it has ended, and at the end of all."""
    info = {"node_name": node, "unique_id": f"test.shop.{node}"}
    ended = LogTestResult(
        name=node, status="warn", index=1, num_models=2, execution_time=0.1, num_failures=3, node_info=info
    )
    again = RunResultWarning(resource_type="test", node_name=node, path="models/m.yml", node_info=info)
    return ended, again, RunResultWarningMessage(msg="Got 3 results, configured to warn if != 0", node_info=info)


def test_a_test_that_warns_is_not_shown_again_at_the_end() -> None:
    (shown,) = taken(*warned("not_null_orders")).splitlines()
    assert re.search("WARN.* 3 .*not_null_orders", shown)


def test_a_test_that_warns_in_two_builds_is_shown_for_each(tmp_path: Path) -> None:
    first, *_ = warned("not_null_orders")
    lines = [taken(first, work=tmp_path) for _ in range(2)]
    assert lines[0] == lines[1] != ""
