"""The release log on a table in memory; what only Delta can show is in tests/spark/release/test_log.py."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from dbx_cd import Release, ReleaseError, ReleaseLog
from dbx_cd.delta.log_table import LogRow
from dbx_cd.release.events import ClaimWithdrawn, Deployed, Deploying, Failed
from dbx_cd.rollback.journal import RestoreResult
from memory.log_table import MemoryLogTable

FIRST, SECOND = "a" * 40, "b" * 40


@pytest.fixture
def table() -> MemoryLogTable:
    return MemoryLogTable()


@pytest.fixture
def log(table: MemoryLogTable) -> ReleaseLog:
    return ReleaseLog.on(table, actor="bot")


def test_a_run_that_opens_twice_has_one_release(log: ReleaseLog) -> None:
    release = log.open(FIRST, run_id="7", requester="ci")
    assert log.open(FIRST, run_id="7", requester="ci") == release == log.for_run("7")
    assert [event.kind for event in log.events()] == ["opened"]


def test_a_release_that_is_found_again_is_read_once_with_where_it_stands(
    table: MemoryLogTable, log: ReleaseLog
) -> None:
    release = log.open(FIRST, run_id="7", requester="ci")
    log.append(release, Deploying("prod"))
    state = log.state(release)
    reads: list[None] = []
    table.after_read = lambda: reads.append(None)
    assert log.open_with_state(FIRST, run_id="7", requester="ci") == (release, state)
    assert len(reads) == 1


def test_a_newer_release_supersedes_an_undecided_one(log: ReleaseLog) -> None:
    older, newer = log.open(FIRST, run_id="1", requester="ci"), log.open(SECOND, run_id="2", requester="ci")
    assert (log.state(older).phase, log.state(older).superseded_by) == ("superseded", newer.id)
    assert log.state(newer).phase == "opened"


def test_a_release_killed_while_opening_supersedes_when_its_task_is_repaired(
    table: MemoryLogTable, log: ReleaseLog
) -> None:
    older = log.open(FIRST, run_id="1", requester="ci")
    table.before_append = _killed_at(2)
    with pytest.raises(KeyboardInterrupt):
        log.open(SECOND, run_id="2", requester="ci")
    assert log.state(older).phase == "opened"
    table.before_append = lambda _rows: None
    newer = log.open(SECOND, run_id="2", requester="ci")
    assert log.state(older).superseded_by == newer.id


def test_a_repaired_older_run_supersedes_nothing_newer(log: ReleaseLog) -> None:
    log.open(FIRST, run_id="1", requester="ci")
    newer = log.open(SECOND, run_id="2", requester="ci")
    log.open(FIRST, run_id="1", requester="ci")
    assert log.state(newer).phase == "opened"


def test_two_runs_that_open_in_one_second_at_one_commit_have_ids_of_their_own(
    table: MemoryLogTable, log: ReleaseLog
) -> None:
    opened: list[Release] = []

    def meanwhile(_rows: Sequence[LogRow]) -> None:
        table.before_append = lambda _rows: None
        opened.append(log.open(FIRST, run_id="2", requester="ci"))

    table.before_append = meanwhile
    opened.append(log.open(FIRST, run_id="1", requester="ci"))
    assert {r.run_id: r for r in opened} == {"1": log.for_run("1"), "2": log.for_run("2")}
    assert len({r.id for r in opened}) == 2
    assert [r for r, _ in log.history()] == opened[::-1]


def test_tasks_of_one_run_that_open_at_once_agree_on_one_release(table: MemoryLogTable, log: ReleaseLog) -> None:
    opened: list[Release] = []

    def meanwhile(_rows: Sequence[LogRow]) -> None:
        table.before_append = lambda _rows: None
        opened.append(log.open(FIRST, run_id="1", requester="ci"))

    table.before_append = meanwhile
    opened.append(log.open(FIRST, run_id="1", requester="ci"))
    assert opened[0] == opened[1]
    assert [r for r, _ in log.history()] == opened[:1]


def test_last_good_skips_what_failed_or_was_rolled_back(log: ReleaseLog) -> None:
    good = log.open(FIRST, run_id="1", requester="ci")
    log.append(good, Deployed("prod", "d1"))
    bad = log.open(SECOND, run_id="2", requester="ci")
    log.append(bad, Deployed("prod", "d2"))
    assert log.last_good("prod") == bad
    log.append(bad, Failed("prod", "smoke"))
    assert log.last_good("prod") == good
    assert log.last_good("prod", before=bad) == good


def test_a_release_of_which_a_part_was_rolled_back_is_not_the_last_good_one(log: ReleaseLog) -> None:
    good = log.open(FIRST, run_id="1", requester="ci")
    log.append(good, Deployed("prod", "d1"))
    partly = log.open(SECOND, run_id="2", requester="ci")
    log.append(partly, Deployed("prod", "d2"))
    withdrawn = RestoreResult(partly.id, "s", (), False, partly.opened_at, 0.0, withdrawn=True)
    log.append(partly, withdrawn)
    assert log.last_good("prod") == partly
    log.append(partly, RestoreResult(partly.id, "s", (), False, partly.opened_at, 0.0))
    assert log.last_good("prod") == good
    assert log.state(partly).deployed_to == ("prod",)


def test_the_newest_in_a_target_may_be_bad_and_is_not_rolled_back(log: ReleaseLog) -> None:
    with pytest.raises(ReleaseError, match="no release has changed 'prod'"):
        log.newest_in("prod")
    good = log.open(FIRST, run_id="1", requester="ci")
    log.append(good, Deployed("prod", "d1"))
    bad = log.open(SECOND, run_id="2", requester="ci")
    assert log.newest_in("prod") == good
    log.append(bad, Failed("prod", "halfway"))
    assert (log.newest_in("prod"), log.last_good("prod")) == (bad, good)
    log.append(bad, RestoreResult(bad.id, "s", (), True, bad.opened_at, 0.0))
    assert log.newest_in("prod") == good


def test_who_asks_for_a_target_that_no_release_changed_is_told_those_that_were(log: ReleaseLog) -> None:
    release = log.open(FIRST, run_id="1", requester="ci")
    log.append(release, Deployed("production", "d1"))
    for ask in (log.newest_in, log.last_good):
        with pytest.raises(ReleaseError, match=r"'prod' .*Next: ask for one that they have changed: production$"):
            ask("prod")


def test_the_log_says_in_words_what_happened_to_a_gated_target(log: ReleaseLog) -> None:
    release = log.open(FIRST, run_id="1", requester="ci")
    log.append_all(release, [Deploying("prod"), Failed("prod", "no warehouse"), Deployed("prod", "d1")])
    log.append(release, ClaimWithdrawn("prod", "another one deploys"))
    _, *told = [event.payload["summary"] for event in log.events(release.id)]
    assert told == [
        "prod is about to be changed",
        "prod: no warehouse",
        "prod was built",
        "prod was left as it is: another one deploys",
    ]


def test_a_withdrawn_claim_leaves_the_release_where_it_was(log: ReleaseLog) -> None:
    release = log.open(FIRST, run_id="1", requester="ci")
    log.append(release, Deployed("prod", "d1"))
    log.append(release, Deploying("prod"))
    assert log.state(release).deploying_to == "prod"
    log.append(release, ClaimWithdrawn("prod", "another one deploys"))
    assert (log.state(release).deployed_to, log.state(release).deploying_to) == (("prod",), None)
    assert log.last_good("prod") == release


def test_last_good_of_a_target_never_deployed_is_an_error(log: ReleaseLog) -> None:
    with pytest.raises(ReleaseError, match="no release is deployed"):
        log.last_good("prod")


def test_unknown_releases_and_runs_are_named(log: ReleaseLog) -> None:
    log.open(FIRST, run_id="1", requester="ci")
    with pytest.raises(ReleaseError, match="nope"):
        log.release("nope")
    with pytest.raises(ReleaseError, match="99"):
        log.for_run("99")


def test_the_history_without_a_session_has_no_data_frame_and_says_so(log: ReleaseLog) -> None:
    with pytest.raises(ReleaseError, match="without a Spark session"):
        log.history().to_df()


def _killed_at(append: int) -> object:
    counter = itertools.count(1)

    def kill(_rows: Sequence[LogRow]) -> None:
        if next(counter) >= append:
            raise KeyboardInterrupt

    return kill
