"""When dbt ran what: five builds of one project by three threads, as dbt recorded them."""

from __future__ import annotations

from itertools import pairwise

import pytest
from artifact_folders import manifest, node

from dbx_cd import Manifest
from dbx_cd.dbt.artifacts import RunResults
from dbx_cd.dbt.build_order import slowest_chain, waits
from dbx_cd.dbt.timeline import Timeline, span, timeline
from recorded_dbt import RECORDED

BUILDS = [f"timed_{number}" for number in range(1, 6)]


def project(name: str = "timed_1") -> Manifest:
    return Manifest.load(RECORDED / name / "manifest.json")


def results(name: str) -> RunResults:
    return RunResults.load(RECORDED / name / "run_results.json")


@pytest.fixture
def line() -> Timeline:
    return timeline(project(), results("timed_2"), last=results("timed_1"))


@pytest.mark.parametrize("name", [*BUILDS, "build", "compared", "two_packages", "versions", "hooks", "model_emptied"])
def test_no_node_began_before_what_it_waits_for_had_ended(name: str) -> None:
    """By dbt's own times; those that were recorded without times have one moment for all."""
    ran = {r.unique_id: r.timing for r in results(name).results if r.timing is not None}
    order = waits(project(name), ran)
    assert {i for i in ran if not i.startswith(("operation.", "exposure."))} == set(order)
    early = [(i, p) for i, above in order.items() for p in above if ran[i].started < ran[p].ended]
    assert early == []


def test_test_of_a_model_comes_before_what_reads_the_model_in_a_build_alone() -> None:
    order = {command: waits(project(), project().nodes, command=command) for command in ("build", "run")}
    above = {command: {i.split(".")[2] for i in order[command]["model.timed.orders"]} for command in order}
    assert above == {"build": {"loaded_orders", "not_null_loaded_orders_n"}, "run": {"loaded_orders"}}


GRAPH = Manifest.from_json(
    manifest(
        *(node(f"model.shop.{name}") for name in ("a", "x")),
        node("model.shop.b", depends_on=["model.shop.a"], config={"materialized": "ephemeral"}),
        node("model.shop.c", depends_on=["model.shop.b"]),
        node("model.shop.d", depends_on=["model.shop.c", "model.shop.x"]),
        node("model.shop.e", depends_on=["model.shop.d"]),
        node("test.shop.both", depends_on=["model.shop.c", "model.shop.x"]),
    )
    | {"unit_tests": {"unit_test.shop.d.u": node("unit_test.shop.d.u", depends_on=["model.shop.d"])}}
)


def above(order: dict[str, frozenset[str]], name: str) -> set[str]:
    return {i.split(".", 2)[2] for i in order[name]}


def test_node_waits_through_what_is_not_run_or_not_selected() -> None:
    assert above(waits(GRAPH, GRAPH.nodes), "model.shop.c") == {"a"}
    assert above(waits(GRAPH, ["model.shop.a", "model.shop.e"]), "model.shop.e") == {"a"}


def test_test_of_two_models_comes_before_the_first_that_is_below_both() -> None:
    order = waits(GRAPH, GRAPH.nodes)
    assert above(order, "test.shop.both") == {"c", "x"}
    assert above(order, "model.shop.d") == {"c", "x", "both", "d.u"}
    assert above(order, "model.shop.e") == {"d"}


def test_unit_test_comes_before_its_model_and_after_what_that_reads() -> None:
    assert above(waits(GRAPH, GRAPH.nodes), "unit_test.shop.d.u") == {"c", "x", "both"}


def test_slowest_chain_is_the_longest_by_seconds_and_not_by_nodes() -> None:
    order = waits(GRAPH, ["model.shop.a", "model.shop.c", "model.shop.x", "model.shop.d"])
    seconds = {"model.shop.a": 1.0, "model.shop.c": 2.0, "model.shop.d": 1.0, "model.shop.x": 2.5}
    assert slowest_chain(order, seconds).nodes == ("model.shop.a", "model.shop.c", "model.shop.d")
    chain = slowest_chain(order, seconds | {"model.shop.x": 3.5})
    assert (chain.nodes, chain.seconds) == (("model.shop.x", "model.shop.d"), 4.5)


def test_no_nodes_have_no_chain() -> None:
    assert slowest_chain({}, {}).nodes == ()


def test_slowest_chain_of_a_build_goes_through_its_tests(line: Timeline) -> None:
    names = [node_id.split(".")[2] for node_id in line.chain.nodes]
    assert [name for name in names if not name.startswith("not_null")] == [
        *("loaded_orders", "orders", "order_totals", "report", "overview"),
    ]
    assert names[1] == "not_null_loaded_orders_n"
    assert line.chain.seconds <= line.seconds


def test_bars_of_a_thread_follow_one_another(line: Timeline) -> None:
    assert line.threads == 3
    assert len(line.bars) == 17
    for thread in range(1, 4):
        bars = [bar for bar in line.bars if bar.thread == thread]
        assert all(a.start + a.seconds <= b.start for a, b in pairwise(bars))
    assert min(bar.start for bar in line.bars) == 0.0
    assert line.seconds == pytest.approx(max(bar.start + bar.seconds for bar in line.bars))


def test_nodes_are_told_with_how_long_they_took_the_time_before(line: Timeline) -> None:
    before = {r.unique_id: r.seconds for r in results("timed_1").results}
    assert {bar.unique_id: bar.before for bar in line.bars} == before
    assert line.seconds_before == span(results("timed_1"))
    alone = timeline(project(), results("timed_2"))
    assert (alone.seconds_before, {bar.before for bar in alone.bars}) == (None, {None})


def test_line_says_how_long_and_what_was_slowest(line: Timeline) -> None:
    assert str(line).startswith(
        f"17 nodes in {line.seconds:.1f} s with 3 threads, {line.seconds_before:.1f} s the time"
    )
    assert " loaded_orders > not_null_loaded_orders_n > orders > " in str(line)


def test_skipped_nodes_and_a_build_without_any_have_no_bar() -> None:
    failed = timeline(project("build_node_failed"), results("build_node_failed"))
    ran = [r for r in results("build_node_failed").results if r.status != "skipped"]
    assert 0 < len(failed.bars) == len(ran) < len(results("build_node_failed").results)
    nothing = timeline(project("build"), RunResults("build", (), {}, {}))
    assert (nothing.bars, nothing.seconds, nothing.chain.nodes) == ((), 0.0, ())
