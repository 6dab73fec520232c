"""How long a build will take, against five builds that dbt recorded by three threads.

They took from 15 to 45 seconds, on a machine that had other work: what is compared with the clock is the schedule.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from artifact_folders import manifest, node

from dbx_cd import Manifest
from dbx_cd.dbt.artifacts import NodeResult, RunResults
from dbx_cd.plan.estimate import Estimate, estimate
from recorded_dbt import RECORDED

PROJECT = Manifest.load(RECORDED / "timed_1" / "manifest.json")
RUNS = [RunResults.load(RECORDED / f"timed_{number}" / "run_results.json") for number in range(1, 6)]


@pytest.mark.parametrize("run", RUNS)
def test_schedule_is_dbts_own_to_one_percent(run: RunResults) -> None:
    """From the seconds of its nodes alone, the seconds of a whole build: what order and threads make of them."""
    assert estimate(PROJECT, PROJECT.nodes, [run]).seconds == pytest.approx(run.elapsed, rel=0.01)


def test_next_build_is_expected_between_the_fastest_and_the_slowest_before() -> None:
    took = [run.elapsed for run in RUNS if run.elapsed is not None]
    expected = estimate(PROJECT, PROJECT.nodes, RUNS)
    assert expected.seconds is not None
    assert min(took) < expected.seconds < max(took)
    assert (expected.unknown, expected.threads) == (0, 3)
    assert [name for name in expected.chain if not name.startswith("not_null")] == [
        *("loaded_orders", "orders", "order_totals", "report", "overview"),
    ]
    assert expected.chain_seconds < expected.seconds


def test_fewer_nodes_take_less() -> None:
    parts = [i for i in PROJECT.nodes if "event" in i]
    some, all_of_it = (estimate(PROJECT, ids, RUNS).seconds or 0.0 for ids in (parts, PROJECT.nodes))
    assert 0 < some < all_of_it


SHOP = Manifest.from_json(
    manifest(
        node("model.shop.a", config={"materialized": "table"}),
        node("model.shop.b", config={"materialized": "table"}),
        node("model.shop.c", config={"materialized": "view"}, depends_on=["model.shop.a"]),
        node("model.shop.d", config={"materialized": "view"}, depends_on=["model.shop.b"]),
        node("exposure.shop.page", depends_on=["model.shop.d"]),
    )
)


def run(threads: int = 1, status: str = "success", **seconds: float) -> RunResults:
    results = tuple(NodeResult(f"model.shop.{name}", status, taken) for name, taken in seconds.items())
    return RunResults("build", results, {"threads": threads}, {})


def expected(*runs: RunResults) -> Estimate:
    return estimate(SHOP, SHOP.nodes, runs)


def test_threads_work_side_by_side() -> None:
    taken = {"a": 1.0, "b": 2.0, "c": 4.0, "d": 8.0}
    assert expected(run(**taken)).seconds == 15.0
    two = expected(run(2, **taken))
    assert (two.seconds, two.chain, two.chain_seconds) == (10.0, ("b", "d"), 10.0)


def test_node_counts_as_the_median_of_its_last_five_runs() -> None:
    runs = [run(a=taken, b=0, c=0, d=0) for taken in (100.0, 50.0, 2.0, 9.0, 3.0, 4.0)]
    assert expected(*runs).seconds == 4.0


@pytest.mark.parametrize("status", ["error", "skipped", "reused", "partial success", "no-op"])
def test_run_that_did_not_do_all_of_a_node_does_not_count(status: str) -> None:
    assert expected(run(a=4.0, b=0, c=0, d=0), run(status=status, a=0.1)).seconds == 4.0


def test_node_that_never_ran_counts_as_the_median_of_its_kind_and_is_said() -> None:
    found = expected(run(a=3.0, b=5.0, c=1.0))
    assert (found.unknown, found.seconds) == (1, 3.0 + 5.0 + 1.0 + 1.0)
    tables_only = expected(run(a=3.0, b=5.0))
    assert (tables_only.unknown, tables_only.seconds) == (2, 3.0 + 5.0 + 4.0 + 4.0)
    assert str(found) == "about 10 s with 1 thread; slowest chain, 6 s: b > d; 1 node has never run"


def test_nothing_is_expected_where_nothing_ever_ran() -> None:
    found = expected()
    assert (found.seconds, found.unknown, str(found)) == (None, 4, "not known: none of its nodes has run yet")


def test_build_of_nothing_takes_nothing() -> None:
    assert estimate(SHOP, [], [run(a=1.0)]).seconds == 0.0


def test_what_goes_on_around_the_nodes_is_added() -> None:
    longer = [replace(run, elapsed=run.elapsed and run.elapsed + 10) for run in RUNS]
    around, plain = (estimate(PROJECT, PROJECT.nodes, runs).seconds or 0.0 for runs in (longer, RUNS))
    assert around - plain == pytest.approx(10.0)
