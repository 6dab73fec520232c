"""What version 0.1.0 wrote is read by this code, and this code refuses by name what a newer one wrote.

The fixture is a real release log and real artifacts; its README says what became of each release.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import dbx_cd
from dbx_cd import (
    ArtifactStore,
    Cd,
    CdConfig,
    DbxCdError,
    Release,
    ReleaseLog,
    plan_restore,
    require_approval,
    restore,
)
from dbx_cd.approval.request import ApprovalRequest, smoke_record
from dbx_cd.approval.seal import seal_of, sealed_parts
from dbx_cd.artifacts.archive import unpack
from dbx_cd.artifacts.version import RECORD_NAME, Contents
from dbx_cd.records import Record
from dbx_cd.relations import RelationName
from dbx_cd.rollback.journal import RestoredRelation, unfinished
from dbx_cd.rollback.plan import RestorePlan
from dbx_cd.rollback.point import RestorePoint
from dbx_cd.rollback.rehearsal import Rehearsal
from memory.recorded import RecordedTables, recorded_log
from memory.releases import APPROVERS, GROUPS, Person
from memory.tables import MemoryTables

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "version_0_1_0"
ROWS: list[dict[str, Any]] = [json.loads(line) for line in (FIXTURE / "release_log.jsonl").read_text().splitlines()]
KINDS = {
    "opened", "superseded", "built", "smoked", "approval_requested", "approved", "rejected", "deploying", "deployed",
    "failed", "claim_withdrawn", "restore_point", "built_versions", "restore_planned", "restored_relation",
    "rolled_back", "rehearsed", "docs_published",
}  # fmt: skip
"""All kinds of events that 0.1.0 could write: `write.py` compared the fixture with every record of that version."""
NEVER_LOGGED = {
    "build_result",
    "compared",
    "dbt_run",
    "not_rolled_back",
    "published",
    "rollback_readiness",
    "triggered",
}
"""Records of 0.1.0 that have a kind and are shown or kept elsewhere."""
BOT_0_1_0 = "dbx-cd-release"
"""The Workflow's identity in the fixture."""
PHASES = {
    1: "deployed", 2: "deployed", 3: "rolled_back", 4: "deployed", 5: "rejected", 6: "failed", 7: "deployed",
    8: "superseded", 9: "approved", 10: "deploying", 11: "waiting",
}  # fmt: skip


def records() -> Iterator[type[Record]]:
    """Every class of records in the library."""
    for module in pkgutil.walk_packages(dbx_cd.__path__, "dbx_cd."):
        if module.name.split(".")[1] not in ("local", "sql_endpoint", "bundle", "__main__"):
            importlib.import_module(module.name)
    found: list[type[Record]] = [Record]
    for cls in found:
        found += [c for c in cls.__subclasses__() if c.__module__.startswith("dbx_cd.") and c not in found]
    yield from found[1:]


CLASSES = tuple(records())
CLASS_OF = {kind: cls for cls in CLASSES for kind in getattr(cls, "KINDS", (cls.KIND,)) if kind}


def log_of(rows: Sequence[dict[str, Any]] = ROWS) -> ReleaseLog:
    return ReleaseLog.on(recorded_log(rows), actor="tester@example.org")


def number(log: ReleaseLog, run: int) -> Release:
    return log.for_run(str(run))


def until(run: int, kind: str, *, nth: int = 1) -> list[dict[str, Any]]:
    """The log as it was before an event of a release."""
    release = number(log_of(), run)
    at = [n for n, row in enumerate(ROWS) if row["release_id"] == release.id and row["kind"] == kind]
    return ROWS[: at[nth - 1]]


def context(log: ReleaseLog, tables: MemoryTables) -> Cd:
    return Cd(None, CdConfig(), ArtifactStore("unused"), log, Person("tester@example.org"), tables)  # type: ignore[arg-type]


def what_is_lost(old: Any, new: Any, where: str = "") -> list[str]:
    """Where a value of the old document is missing or another one in the new."""
    if isinstance(old, dict) and isinstance(new, dict):
        apart = ("format", "wheel_version", *(("summary", "ok") if not where else ()))
        return [lost for k, v in old.items() if k not in apart for lost in what_is_lost(v, new.get(k), f"{where}.{k}")]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [lost for n, v in enumerate(old) for lost in what_is_lost(v, new[n], f"{where}[{n}]")]
    return [] if old == new else [f"{where}: {old!r} is {new!r}"]


# The release log


def test_the_fixture_has_every_kind_of_event_that_0_1_0_could_write() -> None:
    assert {row["kind"] for row in ROWS} == KINDS
    assert {json.loads(row["payload"])["wheel_version"] for row in ROWS} == {"0.1.0"}
    assert set(CLASS_OF) >= KINDS | NEVER_LOGGED, "each still has its record"


def test_every_release_stands_where_0_1_0_left_it() -> None:
    history = log_of().history()
    assert {int(release.run_id): state.phase for release, state in history} == PHASES
    assert [int(release.run_id) for release, _ in history] == sorted(PHASES, reverse=True)
    assert [int(r.run_id) for r, state in history if state.partly_rolled_back] == [10, 4]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_record_is_read_and_nothing_of_it_is_lost(kind: str) -> None:
    log, cls = log_of(), CLASS_OF[kind]
    for event in log.events(kinds=[kind]):
        record = cls.read(dict(event.payload))
        again = json.loads(json.dumps(record.to_dict(), default=str))
        assert what_is_lost(cls.upgrade(dict(event.payload), event.payload["format"]), again) == []
        assert cls.read(dict(again)) == record
        assert record in log.all(log.release(event.release_id), cls)


# What was killed, and what can be brought back


def test_a_deploy_and_a_restore_that_were_killed_are_found() -> None:
    before = log_of(until(9, "deploying"))
    tenth = number(before, 10)
    assert (before.state(tenth).phase, unfinished(before.events())) == ("deploying", {})
    third = number(before, 3)
    (killed, *_) = log_of().all(third, RestorePlan)
    assert unfinished(log_of(until(3, "restore_planned", nth=2)).events()) == {third.id: [killed.seal]}
    (killed,) = log_of().all(tenth, RestorePlan)
    assert unfinished(log_of().events()) == {tenth.id: [killed.seal]}


def test_a_release_of_0_1_0_is_rolled_back_as_0_1_0_would_have_done() -> None:
    whole = log_of()
    second, third = number(whole, 2), number(whole, 3)
    (point,), (now,) = whole.all(second, RestorePoint), whole.all(third, RestorePoint)
    tables = RecordedTables(point, now)
    cd = context(log_of(until(2, "rehearsed")), tables)
    plan = plan_restore(cd, second, new_tables="drop")
    (rehearsal,) = whole.all(second, Rehearsal)
    assert [(i.name, i.action) for i in plan.items] == [(r.name, r.action) for r in rehearsal.relations]
    assert {i.action for i in plan.items} == {"restore", "recreate_view", "drop"}
    assert not plan.later_writes, "built_versions says whose the commits are"
    restore(cd, plan, seal=plan.seal)
    assert cd.log.state(second).phase == "rolled_back"
    assert_it_is_as_in(point, tables)


def test_a_restore_that_was_killed_under_0_1_0_goes_on() -> None:
    log = log_of()
    tenth = number(log, 10)
    (point,), (planned,), (done,) = (
        log.all(tenth, RestorePoint),
        log.all(tenth, RestorePlan),
        log.all(tenth, RestoredRelation),
    )
    tables = RecordedTables(point)
    for item in planned.items:
        if item.kind_now == "view":
            tables.view(item.relation, RelationName("prod", "shop", "orders"))
        for version in range(item.to_version or 0, item.from_version or 0):
            tables.create(item.relation, version)
        if item.name == done.name:
            tables.restore(item.relation, item.to_version or 0)
    cd = context(log, tables)
    plan = plan_restore(cd, tenth)
    actions = {i.name: i.action for i in planned.items} | {done.name: "none"}
    assert {i.name: i.action for i in plan.items} == actions
    restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    assert unfinished(log.events()) == {}
    assert log.state(tenth).phase == "rolled_back"
    assert_it_is_as_in(point, tables)


def assert_it_is_as_in(point: RestorePoint, tables: MemoryTables) -> None:
    for state in point.relations:
        entry = tables.entries([state.relation])[state.relation.key]
        assert (entry.kind, entry.view_text) == (state.kind, state.view_text)
        if state.kind == "table":
            assert tables.fingerprint(state.relation) == state.fingerprint
            assert tables.properties(state.relation) == state.properties


# The artifacts


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    shutil.copytree(FIXTURE / "artifacts", tmp_path / "artifacts")
    return ArtifactStore(tmp_path / "artifacts", clock=lambda: datetime(2030, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(("target", "runs"), [("stg", [*range(1, 12)]), ("prod", [1, 2, 3, 4, 6, 7])])
def test_every_build_is_listed_and_verified(store: ArtifactStore, target: str, runs: list[int]) -> None:
    log, listed = log_of(), store.list(target)
    assert [version.release_id for version in listed] == [number(log, run).id for run in runs]
    for version in listed:
        got = store.get(target, version.timestamp)
        assert got == version
        assert {"orders", "big_orders"} <= {node.name for node in got.manifest().nodes.values()}
        assert got.run_results().ok == got.ok == (version.release_id != number(log, 6).id or target == "stg")


def test_what_is_served_is_found_by_target_and_by_release(store: ArtifactStore, tmp_path: Path) -> None:
    log = log_of()
    assert store.latest("stg").release_id == number(log, 11).id
    assert store.latest("prod").release_id == number(log, 7).id
    found = store.find("prod", number(log, 2).id)
    assert (unpack(found, tmp_path / "project") / "models" / "orders.sql").is_file()
    with pytest.raises(DbxCdError, match="no successful build"):
        store.find("prod", number(log, 6).id)


def test_pruning_would_keep_what_is_served_and_pinned(store: ArtifactStore) -> None:
    pinned = number(log_of(), 2).id
    result = store.prune("prod", keep=1, pinned=[pinned], older_than=timedelta(days=30))
    kept = {store.get("prod", timestamp).release_id for timestamp in result.kept}
    assert kept == {pinned, number(log_of(), 7).id}
    assert len(result.removed) == 4
    assert len(store.list("prod")) == 6, "a dry run removes nothing"


def test_two_builds_are_compared(store: ArtifactStore) -> None:
    first, second = (store.find("stg", number(log_of(), run).id) for run in (1, 2))
    changed = store.diff(first, second)
    assert (changed.added, changed.removed) == (("model.small.daily",), ())
    assert changed.modified == ("model.small.big_orders", "model.small.orders")


# What a newer version wrote


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_a_newer_format_is_refused_with_the_version_to_install(cls: type[Record]) -> None:
    payloads = [json.loads(row["payload"]) for row in ROWS if CLASS_OF[row["kind"]] is cls]
    newer = (payloads or [{}])[0] | {"format": cls.FORMAT + 1, "wheel_version": "9.9.9"}
    with pytest.raises(DbxCdError) as refused:
        cls.read(newer)
    assert refused.value.what.startswith(f"a {cls.__name__} of format {cls.FORMAT + 1} cannot be read")
    assert refused.value.next_step == "install dbx-cd 9.9.9 or later"


@pytest.mark.parametrize(("kind", "part"), [("approval_requested", "release"), ("rolled_back", "relations")])
def test_a_newer_format_inside_another_record_is_refused_likewise(kind: str, part: str) -> None:
    payload = next(json.loads(row["payload"]) for row in ROWS if row["kind"] == kind)
    inner = payload[part] if isinstance(payload[part], dict) else payload[part][0]
    inner |= {"format": 99, "wheel_version": "9.9.9"}
    with pytest.raises(DbxCdError, match=r"of format \d+ cannot be read.*install dbx-cd 9\.9\.9"):
        CLASS_OF[kind].read(payload)


def newer_record(store: ArtifactStore) -> Path:
    """The record of a build of production that neither is served nor the oldest, in a newer format."""
    path = store.find("prod", number(log_of(), 2).id).path / RECORD_NAME
    document = json.loads(path.read_text()) | {"format": Contents.FORMAT + 1, "wheel_version": "9.9.9"}
    path.write_text(json.dumps(document))
    return path


def test_artifacts_of_a_newer_format_are_refused_with_the_version_to_install(store: ArtifactStore) -> None:
    with pytest.raises(DbxCdError, match=r"a Contents of format \d+ cannot be read.*install dbx-cd 9\.9\.9"):
        store.get("prod", newer_record(store).parent.name)


@pytest.mark.parametrize("read", ["list", "find", "prune"])
def test_one_build_of_a_newer_format_does_not_hide_the_others(store: ArtifactStore, read: str) -> None:
    newer_record(store)
    good = number(log_of(), 7).id
    if read == "list":
        assert good in [version.release_id for version in store.list("prod")]
    elif read == "find":
        assert store.find("prod", good).release_id == good
    else:
        assert store.prune("prod", keep=1).removed


def test_what_is_served_does_not_depend_on_a_build_of_a_newer_format(store: ArtifactStore) -> None:
    newer_record(store)
    assert store.latest("prod").release_id == number(log_of(), 7).id


def test_a_lost_pointer_serves_nothing_older_than_a_build_of_a_newer_format(store: ArtifactStore) -> None:
    served = store.latest("prod")
    (store.root / "prod" / "latest.json").unlink()
    record = served.path / RECORD_NAME
    record.write_text(json.dumps(json.loads(record.read_text()) | {"format": 99, "wheel_version": "9.9.9"}))
    with pytest.raises(DbxCdError, match=r"of format 99 cannot be read.*install dbx-cd 9\.9\.9"):
        store.latest("prod")


# An upgrade of the wheel while somebody is asked


def waiting_or_approved(store: ArtifactStore, run: int) -> tuple[Cd, Release]:
    """The Workflow's context on what 0.1.0 left, and a release that 0.1.0 asked about."""
    log = ReleaseLog.on(recorded_log(ROWS), actor=BOT_0_1_0)
    workflow = Person(BOT_0_1_0)
    config = replace(CdConfig(), approval_expires=timedelta(days=9999))
    return Cd(None, config, store, log, workflow, MemoryTables()), number(log, run)  # type: ignore[arg-type]


def test_what_was_approved_under_0_1_0_is_still_approved(store: ArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    ninth = until(10, "deploying")  # before a newer release took production
    cd, release = waiting_or_approved(store, 9)
    log = ReleaseLog.on(recorded_log(ninth), actor=BOT_0_1_0)
    approver = next(e.actor for e in log.events(release.id, kinds=("approved",)))
    monkeypatch.setitem(GROUPS, approver, (APPROVERS,))
    decision = require_approval(replace(cd, log=log), release, target="prod")
    assert (decision.outcome, decision.actor) == ("approved", approver)


def test_what_waited_under_0_1_0_has_the_seal_it_had(store: ArtifactStore) -> None:
    cd, release = waiting_or_approved(store, 11)
    (request,) = cd.log.all(release, ApprovalRequest)
    staged = store.find("stg", release.id)
    smoke = smoke_record(cd.log.read(release), staged)
    assert sealed_parts(release, staged, smoke=smoke, deploy=request.deploy) == request.sealed
    assert seal_of(request.sealed) == request.seal
