"""What tables and a release log promise, whoever keeps them: each function here runs on memory and on real Delta."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from dbx_cd.delta.history import Commit
from dbx_cd.delta.log_table import Brief, LogRow, LogTable
from dbx_cd.delta.references import references
from dbx_cd.delta.retention import FILES_KEPT
from dbx_cd.delta.tables import Column, Tables
from dbx_cd.delta.view_reading import ViewReading
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName
from dbx_cd.release.state import STATE_FIELDS


class World(Protocol):
    """Tables and a log of a test's own, and what somebody does to them."""

    tables: Tables
    log: LogTable
    user: str

    def name(self, identifier: str) -> RelationName:
        """A name in a schema of the test's own."""

    def create(self, name: RelationName, *ids: int, columns: Sequence[str] = ("id",)) -> None:
        """CREATE OR REPLACE TABLE ... AS SELECT, each column with the same numbers."""

    def insert(self, name: RelationName, *ids: int) -> None:
        """INSERT INTO a table of one column."""

    def optimize(self, name: RelationName) -> None:
        """OPTIMIZE."""

    def vacuum(self, name: RelationName) -> None:
        """VACUUM of all that the current version does not need."""

    def age(self, name: RelationName, *, days: float) -> None:
        """Make every commit so much older."""

    def rows(self, name: RelationName) -> list[int]:
        """The ids, sorted."""

    def clone(self, name: RelationName, source: RelationName) -> None:
        """CREATE TABLE ... SHALLOW CLONE."""

    def function(self, name: RelationName, over: RelationName) -> None:
        """CREATE FUNCTION of no arguments: the greatest id of a relation."""


def _operations(world: World, name: RelationName) -> list[str]:
    return [c.operation for c in world.tables.history(name).commits.values()]


def a_table_has_a_history_newest_first(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    world.insert(t, 2)
    history = world.tables.history(t)
    assert list(history.commits) == [1, 0]
    assert history.version == 1
    assert history.commits[0].at < history.commits[1].at
    # Minutes, for clocks that differ a little; a time zone that is read wrong makes more of it.
    assert abs(datetime.now(UTC) - history.commits[1].at) < timedelta(minutes=10)
    assert list(world.tables.history(t, limit=1).commits) == [1]
    assert world.rows(t) == [1, 2]


def a_version_is_the_newest_until_the_next_one(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    assert [world.tables.is_newest(t, version) for version in (0, 1, 5)] == [True, False, False]
    world.insert(t, 2)
    assert [world.tables.is_newest(t, version) for version in (0, 1, 2)] == [False, True, False]


def no_version_is_the_newest_where_there_is_no_table(world: World) -> None:
    t, v, gone = world.name("t"), world.name("v"), world.name("gone")
    world.create(t, 1)
    world.tables.create_view(v, text=f"SELECT id FROM {t.quoted}", columns=(), comment=None, properties={})
    assert [world.tables.is_newest(name, 0) for name in (t, v, gone)] == [True, False, False]
    world.tables.drop(t, kind="table")
    assert not world.tables.is_newest(t, 0)


def replacing_a_table_resets_the_properties_that_are_not_given_again(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    world.tables.set_properties(t, {FILES_KEPT: "interval 9 days", "dbx_cd.test": "yes"})
    world.create(t, 2)
    assert world.tables.properties(t).keys().isdisjoint({FILES_KEPT, "dbx_cd.test"})
    world.tables.restore(t, 1)
    assert world.tables.properties(t)[FILES_KEPT] == "interval 9 days"


def replacing_a_table_keeps_its_history_and_dropping_it_does_not(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    world.create(t, 2)
    assert world.tables.history(t).version == 1
    first = world.tables.history(t).commits[0].at
    world.tables.drop(t, kind="table")
    assert world.tables.entries([t])[t.key].kind == "missing"
    world.create(t, 3)
    history = world.tables.history(t)
    assert (history.version, history.commits[0].at == first) == (0, False)


def restore_brings_rows_schema_and_properties_back_by_a_commit_of_its_own(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    fingerprint, schema = world.tables.fingerprint(t), world.tables.schema_json(t)
    world.create(t, 1, 2, columns=("id", "more"))
    world.tables.set_properties(t, {"dbx_cd.test": "yes"})
    assert world.tables.fingerprint(t) != fingerprint
    assert world.tables.schema_json(t) != schema == world.tables.schema_json(t, 0)
    world.tables.restore(t, 0)
    assert world.rows(t) == [1]
    assert (world.tables.fingerprint(t), world.tables.schema_json(t)) == (fingerprint, schema)
    assert "dbx_cd.test" not in world.tables.properties(t)
    newest = world.tables.history(t).commits[3]
    assert (newest.operation, newest.parameters["version"]) == ("RESTORE", "0")
    assert world.tables.history(t).content_version() == 0
    world.tables.restore(t, 0)
    assert world.tables.history(t).version == 4


def a_fingerprint_is_of_files_and_not_of_rows(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    world.insert(t, 2)
    before = world.tables.fingerprint(t)
    assert (before.files, before.rows) == (2, 2)
    world.optimize(t)
    assert world.tables.fingerprint(t) != before
    assert world.tables.fingerprint(t, 1) == before
    assert world.tables.history(t).commits[2].is_maintenance
    assert world.tables.history(t).content_version() == 1
    assert world.rows(t) == [1, 2]


def a_version_whose_files_are_gone_has_no_fingerprint_and_cannot_be_restored(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    world.create(t, 2)
    world.vacuum(t)
    with pytest.raises(SqlFailed, match=r"FILE_NOT_EXIST|does not exist"):
        world.tables.fingerprint(t, 0)
    with pytest.raises(SqlFailed):
        world.tables.restore(t, 0)
    assert world.rows(t) == [2]


def a_version_past_its_retention_cannot_be_read_unless_it_is_the_newest_or_retention_is_made_longer(
    world: World,
) -> None:
    t = world.name("t")
    world.create(t, 1)
    world.insert(t, 2)
    before = world.tables.fingerprint(t)
    world.age(t, days=8)
    assert abs(datetime.now(UTC) - timedelta(days=8) - world.tables.history(t).commits[1].at) < timedelta(minutes=10)
    assert world.tables.fingerprint(t, 1) == before
    with pytest.raises(SqlFailed, match="DELETED_FILE_RETENTION"):
        world.tables.fingerprint(t, 0)
    world.insert(t, 3)
    with pytest.raises(SqlFailed, match="DELETED_FILE_RETENTION"):
        world.tables.fingerprint(t, 1)
    with pytest.raises(SqlFailed, match="DELETED_FILE_RETENTION"):
        world.tables.restore(t, 1)
    world.tables.set_properties(t, {FILES_KEPT: "interval 9 days"})
    assert world.tables.fingerprint(t, 1) == before
    world.tables.restore(t, 1)
    assert world.rows(t) == [1, 2]


def a_fingerprint_is_taken_again_in_the_form_that_it_has(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    world.insert(t, 2)
    for positions in (None, False):
        taken = world.tables.fingerprint(t, positions=positions)
        assert world.tables.fingerprint(t, 1, positions=taken.positions) == taken


def a_detail_is_of_the_current_version(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    world.insert(t, 2)
    world.tables.set_properties(t, {"dbx_cd.test": "yes"})
    detail = world.tables.detail(t)
    assert (detail.files, detail.size > 0, detail.properties["dbx_cd.test"]) == (2, True, "yes")


def a_table_has_no_keys_or_tags_unless_somebody_gives_it_some(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    found = world.tables.settings([t])[t.key]
    assert (found.keys, found.tags, found.column_tags, found.grants) == ((), {}, {}, ())
    assert (found.row_filter, found.column_masks, found.fine_grained, bool(found.owner)) == ("", {}, (), True)


def a_dropped_table_is_gone_where_there_is_no_undrop(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    world.tables.drop(t, kind="table")
    assert world.tables.dropped(catalog=t.catalog, schema=t.schema) is None
    with pytest.raises(SqlFailed):
        world.tables.undrop(t)


def what_is_missing_is_said_to_be_missing(world: World) -> None:
    gone, nowhere = world.name("gone"), RelationName("no_such_catalog", "s", "t")
    assert [e.kind for e in world.tables.entries([gone, nowhere]).values()] == ["missing", "missing"]
    for ask in (world.tables.detail, world.tables.history, world.tables.fingerprint, world.tables.read_one):
        with pytest.raises(SqlFailed):
            ask(gone)
    world.tables.drop(gone, kind="table")
    world.tables.drop(gone, kind="view")


def a_view_is_what_it_was_made_from_and_stops_answering_without_its_column(world: World) -> None:
    t, v = world.name("t"), world.name("v")
    world.create(t, 1, columns=("id", "more"))
    columns = (Column("more", "bigint", comment="what comes on top"),)
    make = {"text": f"SELECT more FROM {t.quoted}", "comment": "a view", "properties": {"dbx_cd.test": "yes"}}
    world.tables.create_view(v, columns=columns, **make)  # type: ignore[arg-type]
    entry = world.tables.entries([v])[v.key]
    assert (entry.kind, entry.comment, entry.view_text) == ("view", "a view", make["text"])
    assert [(c.name, c.comment) for c in entry.columns] == [("more", "what comes on top")]
    assert world.tables.properties(v) == {"dbx_cd.test": "yes"}
    world.tables.read_one(v)
    world.create(t, 1)
    with pytest.raises(SqlFailed, match="more"):
        world.tables.read_one(v)


def a_view_is_read_in_the_schema_it_was_made_in(world: World) -> None:
    """Names of one part in its query mean relations there, whoever makes it, and wherever they are."""
    t, v = world.name("t"), world.name("v")
    world.create(t, 1)
    here, plain = (t.catalog, t.schema), {"columns": (), "comment": None, "properties": {}}
    world.tables.create_view(v, text="SELECT id FROM t", reading=ViewReading(here), **plain)  # type: ignore[arg-type]
    assert world.tables.view_reading(v).namespace == here
    world.tables.create_view(v, text=f"SELECT id FROM {t.quoted}", **plain)  # type: ignore[arg-type]
    assert world.tables.view_reading(v).namespace != here, "the session's own schema is what it was"


def properties_are_unset_by_a_commit_that_names_them(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    world.tables.set_properties(t, {"dbx_cd.test": "yes", "dbx_cd.other": "yes"})
    world.tables.unset_properties(t, ["dbx_cd.test", "dbx_cd.never_set"])
    assert world.tables.detail(t).properties == {"dbx_cd.other": "yes"}
    assert world.tables.history(t).commits[2].changed_properties == {"dbx_cd.test", "dbx_cd.never_set"}


def a_shallow_clone_says_what_it_was_made_from(world: World) -> None:
    t, c = world.name("t"), world.name("c")
    world.create(t, 1)
    world.clone(c, t)
    world.insert(c, 2)
    entries = world.tables.entries([t, c])
    assert (entries[t.key].is_shallow_clone, entries[c.key].is_shallow_clone) == (False, True)
    made = [commit for commit in world.tables.history(c).commits.values() if commit.operation == "CLONE"]
    assert RelationName.parse(made[0].parameters["source"]).key == t.key
    assert (world.rows(t), world.rows(c)) == ([1], [1, 2])


def functions_of_any_schema_are_found_by_their_own_names(world: World) -> None:
    t, f, g = world.name("t"), world.name("own_function"), world.name("another_function")
    world.create(t, 1)
    world.function(f, t)
    world.function(g, t)
    found = world.tables.functions(f.catalog, ["Own_Function", "own_function", "not_there"])
    assert [key for key in found if key.startswith(f.key.rpartition(".")[0])] == [f.key]
    assert found[f.key].language == "SQL"
    assert [r.key for r in references(found[f.key].body or "").relations] == [t.key]
    assert world.tables.functions(f.catalog, []) == world.tables.functions(f.catalog, ["not_there"]) == {}


def every_commit_names_its_user_and_is_known_by_its_mark(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    world.insert(t, 2)
    world.tables.set_properties(t, {"dbx_cd.test": "yes"})
    world.tables.signed("x").restore(t, 0)
    commits = world.tables.history(t).commits
    assert {c.user for c in commits.values()} == {world.user}
    assert len({c.mark for c in commits.values()}) == 4
    alone = world.tables.history(t, limit=1)
    assert alone.commits[3].mark == commits[3].mark
    assert world.tables.history(t).has(3, at=alone.commits[3].at, mark=alone.commits[3].mark)


def a_view_does_not_take_a_table_s_name(world: World) -> None:
    t, v = world.name("t"), world.name("v")
    world.create(t, 1)
    with pytest.raises(SqlFailed):
        world.tables.create_view(t, text="SELECT 1 AS id", columns=(), comment=None, properties={})
    world.tables.rename(t, v, kind="table")
    assert [e.kind for e in world.tables.entries([t, v]).values()] == ["missing", "table"]
    assert world.tables.history(v).version == 0
    world.create(t, 2)
    with pytest.raises(SqlFailed):
        world.tables.rename(t, v, kind="table")
    assert (world.rows(t), world.rows(v)) == ([2], [1])


def properties_are_set_by_a_commit_that_is_maintenance_for_retention_alone(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    world.tables.set_properties(t, {"delta.logRetentionDuration": "interval 60 days"})
    world.tables.set_properties(t, {"dbx_cd.test": "yes"})
    commits = world.tables.history(t).commits
    assert [commits[v].is_maintenance for v in (1, 2)] == [True, False]
    assert world.tables.detail(t).properties["dbx_cd.test"] == "yes"
    assert world.tables.properties(t)["delta.logRetentionDuration"] == "interval 60 days"


def a_signed_commit_says_so_and_others_do_not(world: World) -> None:
    t = world.name("t")
    world.create(t, 1)
    world.insert(t, 2)
    world.tables.signed("dbx_cd restore r1").restore(t, 0)
    world.insert(t, 3)
    signatures = [c.user_metadata for c in world.tables.history(t).commits.values()]
    assert signatures == [None, "dbx_cd restore r1", None, None]


def a_log_keeps_its_rows_in_commit_order(world: World) -> None:
    assert (world.log.rows(), world.log.commits()) == ([], [])
    world.log.append([_row("1", "r1", "opened"), _row("2", "r1", "built")])
    world.log.append([_row("3", "r2", "opened")])
    found = world.log.rows()
    assert [row.event_id for _, row in found] == ["1", "2", "3"]
    versions = [version for version, _ in found]
    assert versions[0] == versions[1] < versions[2]
    assert found[0][1] == _row("1", "r1", "opened")
    assert [row.event_id for _, row in world.log.rows(release_id="r1", kinds=("built", "failed"))] == ["2"]
    assert [c.operation for c in world.log.commits()][:2] == ["WRITE", "WRITE"]
    assert all(_appends(c) or c.version == 0 for c in world.log.commits())


def a_log_cuts_payloads_to_the_fields_asked_for(world: World) -> None:
    world.log.append([_row("1", "r1", "opened"), _row("2", "r1", "built"), _row("3", "r2", "built")])
    brief = Brief({"ok": "BOOLEAN", "target": "STRING"}, but_kinds=("opened",), but_release="r2")
    payloads = [row.payload for _, row in world.log.rows(brief=brief)]
    whole = _row("1", "r1", "opened").payload
    assert payloads == [whole, '{"ok":true}', whole] or payloads == [whole, '{"ok": true}', whole]


def a_log_s_rows_have_all_that_a_release_s_state_is_made_of(world: World) -> None:
    said = {"ok": True, "complete": False, "seal": "s", "only": ["prod.shop.a", "prod.shop.b"], "relations": [1, 2]}
    world.log.append([replace(_row("1", "r1", "restore_planned"), payload=json.dumps(said))])
    ((_, row),) = world.log.rows(brief=Brief(STATE_FIELDS))
    assert json.loads(row.payload or "") == {k: v for k, v in said.items() if k != "relations"}


def a_log_tells_the_newest_row_of_each_of_the_newest_releases(world: World) -> None:
    said = [("1", "r1", "prod"), ("2", "r2", "prod"), ("3", "r3", "stg"), ("4", "r4", "prod"), ("5", "r1", "prod")]
    rows = [
        replace(_row(event_id, release_id, "smoked"), payload=json.dumps({"target": target}))
        for event_id, release_id, target in said
    ]
    for row in [*rows, _row("6", "r5", "built")]:
        world.log.append([row])
    find = {"where": {"target": "prod"}, "but_release": "r4"}
    assert [row for _, row in world.log.newest("smoked", limit=9, **find)] == [rows[1], rows[4]]  # type: ignore[arg-type]
    assert [row for _, row in world.log.newest("smoked", limit=1, **find)] == [rows[4]]  # type: ignore[arg-type]


def a_row_may_hold_any_text(world: World) -> None:
    row = LogRow("1", "r'1\\", "opened", datetime(2026, 3, 29, 1, 30, tzinfo=UTC), None, 1, '{"a": "ä\'\\n\\u0000"}')
    world.log.append([row])
    assert world.log.rows(release_id="r'1\\") == [(world.log.rows()[0][0], row)]


def _row(event_id: str, release_id: str, kind: str) -> LogRow:
    at = datetime(2026, 11, 23, 10, 15, 0, 123456, tzinfo=UTC)
    return LogRow(event_id, release_id, kind, at, "ci", 1, '{"ok": true, "size": 3, "target": null}')


def _appends(commit: Commit) -> bool:
    return commit.operation == "WRITE" and commit.parameters.get("mode") == "Append"


CONTRACT = [
    a_table_has_a_history_newest_first,
    a_version_is_the_newest_until_the_next_one,
    no_version_is_the_newest_where_there_is_no_table,
    replacing_a_table_resets_the_properties_that_are_not_given_again,
    replacing_a_table_keeps_its_history_and_dropping_it_does_not,
    restore_brings_rows_schema_and_properties_back_by_a_commit_of_its_own,
    a_fingerprint_is_of_files_and_not_of_rows,
    a_version_whose_files_are_gone_has_no_fingerprint_and_cannot_be_restored,
    a_version_past_its_retention_cannot_be_read_unless_it_is_the_newest_or_retention_is_made_longer,
    a_fingerprint_is_taken_again_in_the_form_that_it_has,
    a_detail_is_of_the_current_version,
    a_table_has_no_keys_or_tags_unless_somebody_gives_it_some,
    a_dropped_table_is_gone_where_there_is_no_undrop,
    what_is_missing_is_said_to_be_missing,
    a_view_is_what_it_was_made_from_and_stops_answering_without_its_column,
    a_view_is_read_in_the_schema_it_was_made_in,
    properties_are_unset_by_a_commit_that_names_them,
    a_shallow_clone_says_what_it_was_made_from,
    functions_of_any_schema_are_found_by_their_own_names,
    every_commit_names_its_user_and_is_known_by_its_mark,
    a_view_does_not_take_a_table_s_name,
    properties_are_set_by_a_commit_that_is_maintenance_for_retention_alone,
    a_signed_commit_says_so_and_others_do_not,
    a_log_keeps_its_rows_in_commit_order,
    a_log_cuts_payloads_to_the_fields_asked_for,
    a_log_s_rows_have_all_that_a_release_s_state_is_made_of,
    a_log_tells_the_newest_row_of_each_of_the_newest_releases,
    a_row_may_hold_any_text,
]
