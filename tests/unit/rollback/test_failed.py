"""What a person sees of a restore that has failed: the error's text, and the notebooks."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx_cd import Release, RestoreFailed, plan_restore, restore
from dbx_cd.local.notebooks.cells import NotebookCells
from dbx_cd.local.notebooks.dbutils import DBUtils
from dbx_cd.local.notebooks.page import NotebookPage
from dbx_cd.local.notebooks.spark import NoSpark
from dbx_cd.notebook import Task
from dbx_cd.release.events import Failed
from memory.releases import Releases, relation

NOTEBOOKS = Path(__file__).parents[3] / "notebooks"
NEW, OLD = relation("prod", "new"), relation("prod", "old")


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def with_views_that_cannot_answer(releases: Releases, names: list[str]) -> Release:
    """A release that made views over another table, of which the one that they read before is gone by now."""
    tables = releases.tables
    tables.create(OLD, 1)
    tables.create(NEW, 1)
    views = [relation("prod", name) for name in names]
    for view in views:
        tables.view(view, OLD)
    release = releases.changed(names, lambda: [tables.view(view, NEW) for view in views])
    tables.drop(OLD, kind="table")
    return release


@pytest.mark.parametrize(("count", "more"), [(1, ""), (3, ""), (4, "; and 1 more"), (5, "; and 2 more")])
def test_the_error_names_up_to_three_relations_and_how_many_more_there_are(
    releases: Releases, count: int, more: str
) -> None:
    names = [f"v{n}" for n in range(count)]
    release = with_views_that_cannot_answer(releases, names)
    plan = plan_restore(releases.cd(), release)
    with pytest.raises(RestoreFailed) as failure:
        restore(releases.cd(), plan, seal=plan.seal, threads=1)
    text, failed = failure.value.what, getattr(failure.value.result, "failed", ())
    assert text.startswith(f"{count} of {count} relations are not restored: ")
    assert [str(r) in text for r in failed] == [n < 3 for n in range(count)]
    assert text.endswith(f"{failed[min(count, 3) - 1]}{more}")
    assert failure.value.next_step == "when the cause is gone, plan and restore again: it goes on where it was"


def shown(notebook: str, **parameters: str) -> NotebookPage:
    """What a notebook shows until its restore fails."""
    page = NotebookPage(notebook)
    dbutils = DBUtils(parameters=parameters, task_key="t", task_values={})
    cells = NotebookCells(NOTEBOOKS / f"{notebook}.py", page=page, dbutils=dbutils, spark=NoSpark())
    with pytest.raises(RestoreFailed):
        cells.run(after_each=lambda: None)
    return page


def test_the_notebook_rollback_shows_the_result_of_a_restore_that_failed(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    release = with_views_that_cannot_answer(releases, ["v0", "v1"])
    monkeypatch.setattr("dbx_cd.open_cd", lambda *_args, **_options: releases.cd())
    seal = plan_restore(releases.cd(), release).seal
    page = shown("rollback", release_id=release.id, seal=seal)
    assert ">Restore<" in page.displayed[-1]
    assert "prod.shop.v1" in page.displayed[-1]
    assert "prod.shop.v1: recreate_view, FAILED: [TABLE_OR_VIEW_NOT_FOUND]" in capsys.readouterr().out


def test_the_notebook_auto_rollback_shows_the_result_of_a_restore_that_failed(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    releases.settings = "policies: {auto_rollback: any}\n"
    release = with_views_that_cannot_answer(releases, ["v0", "v1"])
    releases.cd().log.append(release, Failed("prod", "dbt failed"))
    task = Task(releases.cd(), release, {"target": "prod"})
    monkeypatch.setattr("dbx_cd.start_task", lambda *_args, **_options: task)
    page = shown("auto_rollback")
    assert ">Restore<" in page.displayed[-1]
    assert "prod.shop.v1: recreate_view, FAILED: [TABLE_OR_VIEW_NOT_FOUND]" in capsys.readouterr().out
