"""Artifacts, log, catalogs and retention in a notebook: tables and a log in memory, a session that is never asked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from artifact_folders import node
from check_projects import BUNDLE, JOB, only, plant, project, scene, statuses

from dbx_cd.errors import ConfigError, SqlFailed
from dbx_cd.relations import RelationName
from dbx_cd.release.anchor import LogAnchor, write_anchor
from dbx_cd.release.events import Deployed
from dbx_cd.release.log import ReleaseLog
from dbx_cd.setup.check import of_log, of_retention, of_rights
from dbx_cd.setup.check.scene import Scene
from memory.log_table import MemoryLogTable
from memory.tables import MemoryTables

TABLE = RelationName("prod", "shop", "orders")


class Answers:
    """Answers a query by how it begins; any other one fails as of something that is not there."""

    def __init__(self, **rows: Sequence[Any]) -> None:
        self._rows = {name.replace("_", " "): found for name, found in rows.items()}

    def query(self, statement: str) -> Sequence[Any]:
        for begin, rows in self._rows.items():
            if statement.startswith(begin):
                return rows
        raise SqlFailed(f"[SCHEMA_NOT_FOUND] {statement}", condition="SCHEMA_NOT_FOUND")


def in_notebook(folder: Path, *, table: MemoryLogTable | None = None, root: Path | None = None) -> Scene:
    """A scene in a notebook, with a log in memory and artifacts in a folder."""
    place = root or folder / "artifacts"
    log = table or MemoryLogTable()
    job = JOB.replace("/Volumes/ops/dbt_meta/artifacts", str(place)).replace(
        "      git_source:", f'        - {{name: release_log, default: "{log.name}"}}\n      git_source:'
    )
    found = scene(project(folder / "project", resources__dbx_cd_job_yml=job, databricks_yml=BUNDLE), spark="a session")
    found.facts["me"] = ("job-identity", None)
    found.facts["log"] = (ReleaseLog.on(log, actor="job-identity"), None)
    found.facts["tables"] = (MemoryTables(), None)
    return found


def test_a_folder_that_is_no_volume_is_told_and_used(tmp_path: Path) -> None:
    assert statuses(of_log.artifacts(in_notebook(tmp_path))) == ["warn", "ok"]
    assert list((tmp_path / "artifacts").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("a file")
    with pytest.raises(Exception, match="cannot be made"):
        list(of_log.artifacts(in_notebook(tmp_path)))


def test_a_log_that_is_not_there_is_made_by_the_first_run_where_its_schema_is(tmp_path: Path) -> None:
    found = in_notebook(tmp_path)
    found.facts["sql"] = (Answers(SHOW_TABLES=[]), None)
    assert only(of_log.log(found)).message == "is not there yet: the first run makes it"
    found.facts["sql"] = (Answers(), None)
    line = only(of_log.log(found))
    assert line.status == "fail"
    assert "CREATE SCHEMA IF NOT EXISTS `ops`.`memory`" in str(line.next_step)


def test_a_log_that_the_volume_remembers_and_nobody_has_is_a_failure(tmp_path: Path) -> None:
    write_anchor(tmp_path / "artifacts", LogAnchor("ops.memory.release_log", "an id"))
    line = only(of_log.log(in_notebook(tmp_path)))
    assert (line.status, line.message) == (
        "fail",
        "is not there, and release_log.json beside the artifacts remembers it",
    )


def test_another_log_than_the_volume_s_is_refused(tmp_path: Path) -> None:
    write_anchor(tmp_path / "artifacts", LogAnchor("ops.other.release_log", "an id"))
    with pytest.raises(ConfigError, match=r"belong to the release log ops\.other\.release_log"):
        list(of_log.log(in_notebook(tmp_path)))


def a_log(table: MemoryLogTable, *, deploys: int = 1) -> ReleaseLog:
    log = ReleaseLog.on(table, actor="job-identity")
    for number in range(deploys):
        release = log.open("a" * 40, run_id=str(number), requester="ci")
        log.append(release, Deployed("prod", ""))
    return log


def test_a_log_as_it_should_be_says_how_much_is_in_it(tmp_path: Path) -> None:
    table = MemoryLogTable()
    a_log(table)
    line = only(of_log.log(in_notebook(tmp_path, table=table)))
    assert (line.status, line.message) == ("ok", "1 releases, 2 events, unaltered, and the next release notes its id")


def test_a_log_that_was_altered_or_made_anew_fails_with_the_commit(tmp_path: Path) -> None:
    table = MemoryLogTable()
    a_log(table)
    found = in_notebook(tmp_path, table=table)
    found.facts["log"] = (ReleaseLog.on(table, anchor=LogAnchor(str(table.name), "another")), None)
    lines = list(of_log.log(found))
    assert statuses(lines) == ["fail"]
    assert "was altered: " in lines[0].message
    assert "in place of the log that the Volume remembers" in lines[0].message


def test_catalogs_are_asked_for_their_schemas(tmp_path: Path) -> None:
    found = in_notebook(tmp_path)
    plant(found, "prod", node("model.shop.a", relation="prod.shop.a"), node("model.shop.b", relation="prod.new.b"))
    found.facts["sql"] = (Answers(SHOW_SCHEMAS=[("shop",), ("default",)]), None)
    line = only(of_rights.catalog(found, "prod"))
    assert (line.status, line.message) == ("ok", "1 of 2 schemas are there; new will be made by its first build")
    found.facts["sql"] = (Answers(), None)
    line = only(of_rights.catalog(found, "prod"))
    assert line.status == "fail"
    assert "GRANT USE CATALOG ON CATALOG `prod` to job-identity" in str(line.next_step)


def with_deploys(tmp_path: Path, *days_ago: float, properties: dict[str, str] | None = None) -> Scene:
    """Deploys of the past, and one table in production."""
    table = MemoryLogTable()
    a_log(table, deploys=len(days_ago))
    found = in_notebook(tmp_path, table=table)
    reading = ReleaseLog.on(table).read()
    times = iter(days_ago)
    now = datetime.now(UTC)
    events = []
    for event in reading.events:
        at = now - timedelta(days=next(times)) if event.kind == "deployed" else event.at
        events.append(
            type(event)(event.event_id, event.release_id, event.kind, at, event.actor, event.payload, event.version)
        )
    found.facts["reading"] = (type(reading)(tuple(events)), None)
    tables = MemoryTables()
    tables.create(TABLE, 1)
    if properties:
        tables.set_properties(TABLE, properties)
    found.facts["tables"] = (tables, None)
    plant(found, "prod", node("model.shop.orders", relation=str(TABLE), config={"materialized": "table"}))
    return found


def test_a_team_that_releases_often_needs_no_more_than_the_default(tmp_path: Path) -> None:
    line = only(of_retention.retained(with_deploys(tmp_path, 5, 3, 1), "prod"))
    assert line.status == "ok"
    assert line.message == "1 tables keep what they were for 3 days and longer: an approval may take 3 days"


def test_a_team_that_releases_seldom_is_told_which_property_to_set(tmp_path: Path) -> None:
    line = only(of_retention.retained(with_deploys(tmp_path, 23, 1), "prod"))
    assert line.status == "warn"
    assert line.subject == "prod: prod.shop.orders"
    assert "shorter than 22 days: the last 2 deploys were up to 22 days apart" in line.message
    assert "delta.deletedFileRetentionDuration: 'interval 29 days'" in str(line.next_step)
    longer = {"delta.deletedFileRetentionDuration": "interval 30 days"}
    assert statuses(of_retention.retained(with_deploys(tmp_path, 23, 1, properties=longer), "prod")) == ["ok"]


def test_a_policy_that_wants_rollbacks_makes_short_retention_a_failure(tmp_path: Path) -> None:
    found = with_deploys(tmp_path, 23, 1)
    (found.project / "dbx_cd.yml").write_text("policies: {require_rollback_ready: error}\n")
    for name in ("own_config", "config"):
        found.facts.pop(name, None)
    assert statuses(of_retention.retained(found, "prod")) == ["fail"]


def test_before_the_first_deploy_nothing_is_known_of_the_pace(tmp_path: Path) -> None:
    assert statuses(of_retention.retained(in_notebook(tmp_path), "prod")) == ["skipped"]
    assert statuses(of_retention.retained(in_notebook(tmp_path / "b"), "stg")) == []


def test_the_history_of_a_table_counts_as_well_as_its_files() -> None:
    kept = {TABLE: {"delta.deletedFileRetentionDuration": "interval 90 days"}}
    assert of_retention.too_short(kept, timedelta(days=40)) == {"delta.logRetentionDuration": [str(TABLE)]}
    assert json.dumps(of_retention.too_short(kept, timedelta(days=20))) == "{}"
