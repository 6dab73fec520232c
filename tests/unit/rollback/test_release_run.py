"""A rollback while something of the release may still be at work: its run, its statements, commits after the proof."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from failing_api import Api, Json, PassingTime, Refusal, in_turn, serving

from dbx_cd import Cd, Release, RestoreFailed, RestoreRefused, RestoreResult, plan_restore, restore
from dbx_cd.delta.history import History
from dbx_cd.delta.tables import Fingerprint
from dbx_cd.deploy.auto_rollback import auto_rollback
from dbx_cd.errors import SqlFailed
from dbx_cd.policies import Policies
from dbx_cd.relations import RelationName
from dbx_cd.release.events import Deploying, Failed
from dbx_cd.rollback import release_run
from memory.releases import BOT, OTHER_OWNER, Releases, relation
from memory.tables import MemoryTables

ORDERS = relation("prod", "orders")
GOES_ON: Json = {"state": {"life_cycle_state": "RUNNING"}, "run_page_url": "http://here/run/1"}
TERMINATING: Json = {"state": {"life_cycle_state": "TERMINATING"}}
ENDED: Json = {"state": {"life_cycle_state": "TERMINATED", "result_state": "CANCELED"}, "end_time": 4102444800000}
DENIED = Refusal(403, "PERMISSION_DENIED", "you may not")
NO_QUERIES: Json = {"res": []}
MERGE: Json = {
    "query_id": "01ef-merge", "status": "RUNNING", "statement_type": "MERGE", "user_name": BOT,
    "query_start_time_ms": 1764300000000,
}  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    PassingTime().instead_of_the_machine_s(monkeypatch)
    monkeypatch.setattr(release_run, "_LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr(release_run, "PATIENCE", timedelta(seconds=0.2))


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    releases = Releases(tmp_path)
    releases.tables.create(ORDERS, 1)
    return releases


def released(releases: Releases) -> Release:
    return releases.changed(["orders"], lambda: releases.tables.create(ORDERS, 2))


@contextmanager
def on_platform(releases: Releases, api: Api) -> Iterator[Cd]:
    with serving(api) as client:
        yield replace(releases.cd(), workspace=client)


def rolled_back(releases: Releases, api: Api) -> RestoreResult:
    release = released(releases)
    with on_platform(releases, api) as cd:
        plan = plan_restore(cd, release)
        return restore(cd, plan, seal=plan.seal)


def test_a_run_that_goes_on_is_cancelled_and_waited_for_before_anything_is_restored(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(release_run, "PATIENCE", timedelta(minutes=1))  # the SDK looks again after a second
    seen: list[list[object]] = []
    ending = in_turn(GOES_ON, TERMINATING, ENDED)

    def get(given: Json) -> Json:
        seen.append(releases.tables.rows(ORDERS))
        return ending(given)

    api = Api(jobs_runs_get=get, jobs_runs_cancel=lambda _: {}, sql_history_queries=lambda _: NO_QUERIES)
    result = rolled_back(releases, api)
    order = [name for name, _ in api.calls if name.startswith(("jobs", "sql"))]
    assert order[:4] == ["jobs_runs_get", "jobs_runs_cancel", "jobs_runs_get", "jobs_runs_get"]
    assert api.named("jobs_runs_cancel") == [{"run_id": 1}]
    assert seen == [[2]] * 3
    assert releases.tables.rows(ORDERS) == [1]
    assert (result.not_known, result.late_commits) == ((), ())


def test_a_run_that_may_not_be_cancelled_refuses_and_says_who_can(releases: Releases) -> None:
    def refuse(_: Json) -> Json:
        raise DENIED

    api = Api(jobs_runs_get=lambda _: GOES_ON, jobs_runs_cancel=refuse)
    with pytest.raises(RestoreRefused, match="would overwrite what is brought back: it goes on") as raised:
        rolled_back(releases, api)
    assert "http://here/run/1" in str(raised.value)
    assert "have somebody with CAN MANAGE RUN on the job cancel it" in str(raised.value)
    assert releases.tables.rows(ORDERS) == [2]


def test_a_run_that_does_not_end_refuses(releases: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release_run, "PATIENCE", timedelta(0))
    api = Api(jobs_runs_get=lambda _: GOES_ON, jobs_runs_cancel=lambda _: {})
    with pytest.raises(RestoreRefused, match="was cancelled and has not ended"):
        rolled_back(releases, api)
    assert releases.tables.rows(ORDERS) == [2]


def test_a_run_that_has_ended_is_not_cancelled(releases: Releases) -> None:
    api = Api(jobs_runs_get=lambda _: ENDED, sql_history_queries=lambda _: NO_QUERIES)
    rolled_back(releases, api)
    assert api.named("jobs_runs_cancel") == []


def test_what_may_not_be_read_is_said_not_to_be_known(releases: Releases) -> None:
    def refuse(_: Json) -> Json:
        raise DENIED

    result = rolled_back(releases, Api(jobs_runs_get=refuse, sql_history_queries=refuse))
    assert len(result.not_known) == 2
    assert all(text in result.text and text in result.to_html() for text in result.not_known)
    assert "whether the run of release" in result.text
    assert "CAN VIEW on the job" not in result.text or "permission denied" in result.text
    assert "whether statements of release" in result.text
    assert result.complete


def test_a_platform_without_query_history_is_said_not_to_tell(releases: Releases) -> None:
    result = rolled_back(releases, Api(jobs_runs_get=lambda _: ENDED))  # 501, as of the embedded workspace
    (text,) = result.not_known
    assert text.startswith("whether statements of release")


def test_a_statement_that_outlived_the_run_is_waited_for(releases: Releases) -> None:
    api = Api(
        jobs_runs_get=lambda _: ENDED,
        sql_history_queries=in_turn({"res": [MERGE]}, NO_QUERIES),
    )
    assert rolled_back(releases, api).ok
    assert api.named("sql_history_queries")[0] != {}
    assert len(api.named("sql_history_queries")) == 2 * len(release_run._UNDER_WAY)


STATUSES = ("QUEUED", "STARTED", "COMPILING", "COMPILED", "RUNNING")


@pytest.mark.parametrize("begin", STATUSES)
def test_a_statement_that_goes_on_to_its_next_status_with_each_look_is_found(releases: Releases, begin: str) -> None:
    on_its_way = list(STATUSES[STATUSES.index(begin) :])

    def asked(given: Json) -> Json:
        now = on_its_way[0]
        if len(on_its_way) > 1:
            on_its_way.pop(0)
        return {"res": [{**MERGE, "status": now}]} if given["filter_by.statuses"] == now else NO_QUERIES

    with pytest.raises(RestoreRefused, match="01ef-merge"):
        rolled_back(releases, Api(jobs_runs_get=lambda _: ENDED, sql_history_queries=asked))
    assert releases.tables.rows(ORDERS) == [2]


def test_a_statement_that_does_not_end_refuses_and_is_named(releases: Releases) -> None:
    api = Api(jobs_runs_get=lambda _: ENDED, sql_history_queries=lambda _: {"res": [MERGE]})
    with pytest.raises(RestoreRefused, match=r"01ef-merge \(MERGE by bot, since ") as raised:
        rolled_back(releases, api)
    assert "cancel them there, or wait until they have ended" in str(raised.value)
    assert releases.tables.rows(ORDERS) == [2]


@pytest.mark.parametrize("other", [{"user_name": "anna@example.org"}, {"statement_type": "SELECT"}])
def test_statements_of_others_and_those_that_only_read_are_not_waited_for(releases: Releases, other: Json) -> None:
    api = Api(jobs_runs_get=lambda _: ENDED, sql_history_queries=lambda _: {"res": [{**MERGE, **other}]})
    assert rolled_back(releases, api).ok


def test_statements_of_every_page_are_looked_at(releases: Releases) -> None:
    def pages(given: Json) -> Json:
        if "page_token" in given:
            return {"res": [MERGE]}
        return {"res": [], "has_next_page": True, "next_page_token": "two"}

    api = Api(jobs_runs_get=lambda _: ENDED, sql_history_queries=pages)
    with pytest.raises(RestoreRefused, match="01ef-merge"):
        rolled_back(releases, api)


def tasks(**states: str) -> Json:
    """A run that is under way, with tasks in these states."""
    notebooks = {"auto_rollback": "notebooks/auto_rollback"}
    listed = [
        {
            "task_key": key,
            "run_id": number,
            "notebook_task": {"notebook_path": notebooks.get(key, "notebooks/run_dbt")},
            "state": {"life_cycle_state": state},
        }
        for number, (key, state) in enumerate(states.items())
    ]
    return {**GOES_ON, "tasks": listed}


def by_its_own_task(releases: Releases, api: Api) -> object:
    release = released(releases)
    releases.cd().log.append(release, Failed("prod", "dbt failed"))
    with on_platform(releases, api) as cd:
        anything = replace(cd, config=replace(cd.config, policies=Policies(auto_rollback="any")))
        return auto_rollback(anything, release, target="prod")


def test_the_task_that_rolls_back_does_not_cancel_its_own_run(releases: Releases) -> None:
    run = tasks(prod_build="TERMINATED", prod_smoke="SKIPPED", auto_rollback="RUNNING", docs="BLOCKED")
    api = Api(jobs_runs_get=lambda _: run, sql_history_queries=lambda _: NO_QUERIES)
    assert isinstance(by_its_own_task(releases, api), RestoreResult)
    assert api.named("jobs_runs_cancel") == []
    assert releases.tables.rows(ORDERS) == [1]


def test_the_task_that_rolls_back_waits_for_the_other_tasks(releases: Releases) -> None:
    at_work = tasks(prod_build="TERMINATING", auto_rollback="RUNNING")
    done = tasks(prod_build="TERMINATED", auto_rollback="RUNNING")
    api = Api(jobs_runs_get=in_turn(at_work, done), sql_history_queries=lambda _: NO_QUERIES)
    assert isinstance(by_its_own_task(releases, api), RestoreResult)
    assert len(api.named("jobs_runs_get")) == 2


def test_the_task_that_rolls_back_refuses_while_another_is_at_work(releases: Releases) -> None:
    run = tasks(prod_build="RUNNING", auto_rollback="RUNNING")
    with pytest.raises(RestoreRefused, match="are still at work: prod_build"):
        by_its_own_task(releases, Api(jobs_runs_get=lambda _: run))
    assert releases.tables.rows(ORDERS) == [2]


class Overwritten(MemoryTables):
    """Tables of which one is written to in the moment after it was proved: after the proof's look at its files."""

    late_by: str | None = None
    late_of_others = 0
    """How many commits of somebody else come after that."""
    history_fails = False
    replaced = False
    restored = False

    def restore(self, table: RelationName, version: int) -> None:
        super().restore(table, version)
        self.restored = True

    def fingerprint(
        self, table: RelationName, version: int | None = None, *, positions: bool | None = None
    ) -> Fingerprint:
        found = super().fingerprint(table, version, positions=positions)
        if self.restored and version is None and self.late_by is not None:
            self.user, mine = self.late_by, self.user
            self.late_by = None
            self.insert(table, 99)
            self.user = OTHER_OWNER
            for row in range(self.late_of_others):
                self.insert(table, row)
            self.user = mine
            if self.replaced:
                self.drop(table, kind="table")
                self.create(table, 3)
        return found

    def history(self, table: RelationName, *, limit: int | None = None) -> History:
        if self.restored and self.late_by is None and self.history_fails:
            raise SqlFailed("[INSUFFICIENT_PERMISSIONS] you may not", condition="INSUFFICIENT_PERMISSIONS")
        return super().history(table, limit=limit)

    def signed(self, user_metadata: str) -> MemoryTables:
        return self


def overwritten(tmp_path: Path, *, by: str) -> tuple[Releases, Release]:
    tables = Overwritten()
    tables.create(ORDERS, 1)
    releases = Releases(tmp_path, tables=tables)
    release = released(releases)
    tables.late_by = by
    return releases, release


def test_a_late_commit_of_the_release_makes_the_rollback_fail_and_is_reported(tmp_path: Path) -> None:
    releases, release = overwritten(tmp_path, by=BOT)
    cd = releases.cd()
    plan = plan_restore(cd, release)
    with pytest.raises(RestoreFailed, match="it was overwritten after it was proved") as raised:
        restore(cd, plan, seal=plan.seal)
    result = raised.value.result
    assert not result.complete
    (late,) = result.late_commits
    assert late in result.text
    assert late in result.to_html()
    assert f"{ORDERS}: " in late
    assert "version" in late
    assert cd.log.state(release).phase != "rolled_back"
    assert f"RESTORE TABLE {ORDERS.quoted} TO VERSION AS OF 2" in str(raised.value)
    releases.tables.restore(ORDERS, 2)
    again = plan_restore(cd, release)
    assert restore(cd, again, seal=again.seal).complete
    assert releases.tables.rows(ORDERS) == [1]


def test_a_late_commit_of_somebody_else_is_reported_and_the_rollback_stands(tmp_path: Path) -> None:
    releases, release = overwritten(tmp_path, by=OTHER_OWNER)
    cd = releases.cd()
    plan = plan_restore(cd, release)
    result = restore(cd, plan, seal=plan.seal)
    assert result.complete
    (late,) = result.late_commits
    assert OTHER_OWNER in late
    assert late in result.text


def late(tables: MemoryTables) -> Overwritten:
    assert isinstance(tables, Overwritten)
    return tables


def failed(releases: Releases, release: Release) -> tuple[RestoreResult, str]:
    """What a rollback that has failed says."""
    cd = releases.cd()
    plan = plan_restore(cd, release)
    with pytest.raises(RestoreFailed) as raised:
        restore(cd, plan, seal=plan.seal)
    assert cd.log.state(release).phase != "rolled_back"
    return raised.value.result, str(raised.value)


def test_a_late_commit_of_the_release_is_found_behind_many_of_others(tmp_path: Path) -> None:
    releases, release = overwritten(tmp_path, by=BOT)
    late(releases.tables).late_of_others = 30
    result, text = failed(releases, release)
    assert "it was overwritten after it was proved" in text
    assert len(result.late_commits) == 31


def test_a_table_whose_late_commits_cannot_be_read_is_not_said_to_be_back(tmp_path: Path) -> None:
    releases, release = overwritten(tmp_path, by=OTHER_OWNER)
    late(releases.tables).history_fails = True
    result, text = failed(releases, release)
    (unknown,) = result.not_known
    assert unknown.startswith(f"{ORDERS}: what came after version 2 cannot be read: [INSUFFICIENT_PERMISSIONS]")
    assert result.late_commits == ()
    assert f"read DESCRIBE HISTORY {ORDERS.quoted} as somebody who may" in text


def test_a_table_that_was_put_in_the_place_of_a_proved_one_is_not_said_to_be_back(tmp_path: Path) -> None:
    releases, release = overwritten(tmp_path, by=BOT)
    late(releases.tables).replaced = True
    result, _ = failed(releases, release)
    assert result.not_known == (f"{ORDERS}: its history has no version 2, which was proved",)


def test_of_a_build_on_the_job_s_own_cluster_it_is_said_that_nobody_can_see_its_statements(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory.releases.Deploying", partial(Deploying, compute="cluster"))
    result = rolled_back(releases, Api(jobs_runs_get=lambda _: ENDED, sql_history_queries=lambda _: NO_QUERIES))
    (text,) = result.not_known
    assert "still run on its job's own cluster is not known: no query history has them" in text
    assert result.complete
