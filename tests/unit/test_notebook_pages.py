"""A page that cannot be stored hides nothing that a task has to say, and stops no release."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import dbx_cd
from dbx_cd import ApprovalPending, SmokeFailed, volume
from dbx_cd.notebook import Task
from dbx_cd.volume import Unreachable
from memory.releases import Releases, smoke_of

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Releases:
    """Releases on a Volume that has no room for pages."""
    write = volume.write

    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".html":
            raise Unreachable(f"{path.name} cannot be written: No space left on device", next_step="make room")
        write(path, content)

    monkeypatch.setattr(volume, "write", full)
    return Releases(tmp_path)


def run(notebook: str, cells: slice, **names: Any) -> list[str]:
    """Run some cells of a notebook; returns what was displayed."""
    displayed: list[str] = []
    names_used = ("Selection", "past_reports", "plan_deploy", "request_approval", "require_approval")
    public = {name: getattr(dbx_cd, name) for name in names_used}
    readiness = {"rollback_readiness": lambda *_, **__: SimpleNamespace(to_html=lambda: "ready")}
    everything = {**public, **readiness, "displayHTML": displayed.append, "target": "stg", **names}
    for cell in (NOTEBOOKS / f"{notebook}.py").read_text().split("# COMMAND ----------")[cells]:
        exec(cell, everything)
    return displayed


def test_a_smoke_test_that_failed_says_why_where_its_page_cannot_be_kept(
    releases: Releases, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    release = releases.staged()
    task = Task(releases.cd(), release, {})
    report = smoke_of(release, ok=False)
    with caplog.at_level(logging.WARNING), pytest.raises(SmokeFailed):
        run("smoke", slice(-2, None), task=task, report=report, data_docs=tmp_path / "none")
    assert "the page smoke-stg.html and what comes after it cannot be kept: smoke-stg.html cannot be" in caplog.text


def test_a_release_waits_for_approval_where_the_page_of_its_request_cannot_be_kept(releases: Releases) -> None:
    release = releases.staged()
    asked = {"cmd": "build", "select": "tag:deploy", "exclude": "", "full_refresh": False}
    task = Task(releases.cd(), release, asked | {"profiles_dir": ""})
    with pytest.raises(ApprovalPending):
        run("approval_gate", slice(-4, None), task=task, target="prod", asked=asked)
    assert releases.cd().log.state(release).phase == "waiting"


def test_of_several_pages_none_is_tried_after_the_first_that_cannot_be_kept(
    releases: Releases, caplog: pytest.LogCaptureFixture
) -> None:
    """A Volume that is away is waited for once: by each page it would be hours before a failed test is told of."""
    task = Task(releases.cd(), releases.staged(), {})
    with caplog.at_level(logging.WARNING):
        task.keep_pages({"a.txt": "kept", "b.html": "not", "c.html": "not tried"})
    assert [record.getMessage().split()[2] for record in caplog.records if "cannot be kept" in record.msg] == ["b.html"]
    assert (releases.cd().store.root / "releases" / task.release.id / "a.txt").read_text() == "kept"
