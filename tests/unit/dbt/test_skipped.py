"""Which nodes were skipped and why, by what dbt itself has left (`tests/recorded_dbt`)."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dbx_cd import DbtFailed, DbtRun
from dbx_cd.dbt.artifacts import NodeResult, RunResults
from dbx_cd.dbt.skipped import skipped_nodes
from recorded_dbt import RECORDED


def run(scenario: str, *, files: Path | None = None) -> DbtRun:
    """The record of an invocation that was recorded."""
    nodes = RunResults.load(RECORDED / scenario / "run_results.json").results
    return DbtRun("build", "stg", False, 3.0, files or RECORDED / scenario, nodes=nodes)


WORDS = {
    "build_node_failed": "2 skipped (not_null_order_totals_site, busy_sites, since order_totals failed)",
    "build_test_failed": "order_totals, not_null_order_totals_site, busy_sites, since unique_orders_id failed)",
    "build_fail_fast": "2 skipped (not_null_order_totals_site, busy_sites, since order_totals failed)",
    "microbatch_middle_failed": "1 skipped (report, since daily failed)",
    "hooks_start_failed": "1 skipped (hooks-on-run-start-2, since hooks-on-run-start-1 failed)",
}


@pytest.mark.parametrize("scenario", WORDS)
def test_skipped_nodes_have_their_names_and_the_failure_that_skipped_them(scenario: str) -> None:
    assert WORDS[scenario] in str(run(scenario))
    assert WORDS[scenario] in run(scenario).to_html()


def test_without_a_manifest_skipped_nodes_have_their_names_alone(tmp_path: Path) -> None:
    shutil.copyfile(RECORDED / "build_node_failed" / "run_results.json", tmp_path / "run_results.json")
    assert "2 skipped (not_null_order_totals_site, busy_sites)" in str(run("build_node_failed", files=tmp_path))


def test_where_nothing_was_skipped_no_manifest_is_needed(tmp_path: Path) -> None:
    assert "skipped" not in str(run("build_test_warned", files=tmp_path / "gone"))


def test_a_unit_test_that_fails_skips_its_own_model_and_what_reads_it(tmp_path: Path) -> None:
    manifest = json.loads((RECORDED / "build_test_failed" / "manifest.json").read_text())
    orders = next(i for i, n in manifest["nodes"].items() if n["resource_type"] == "model" and n["name"] == "orders")
    package = orders.split(".")[1]
    failed = f"unit_test.{package}.orders.adds_up"
    unit = {"unique_id": failed, "name": "adds_up", "resource_type": "unit_test", "depends_on": {"nodes": [orders]}}
    manifest["unit_tests"] = {failed: unit}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    nodes = [
        NodeResult(i, status, 0.0)
        for i, status in ((failed, "fail"), (orders, "skipped"), (f"model.{package}.order_totals", "skipped"))
    ]
    cause = NodeResult(failed, "fail", 0.0).name
    assert [(n.name, n.because) for n in skipped_nodes(nodes, tmp_path / "manifest.json")] == [
        ("orders", (cause,)),
        ("order_totals", (cause,)),
    ]


def test_a_node_far_below_a_failure_names_it_in_a_chain_of_thousands(tmp_path: Path) -> None:
    chain = [f"model.shop.m{n}" for n in range(3000)]
    nodes = {
        i: {"unique_id": i, "name": i, "resource_type": "model", "depends_on": {"nodes": chain[n - 1 : n]}}
        for n, i in enumerate(chain)
    }
    # In the file's order no node comes after what it reads.
    (tmp_path / "manifest.json").write_text(json.dumps({"metadata": {}, "nodes": dict(reversed(nodes.items()))}))
    results = [NodeResult(i, "skipped" if n else "error", 0.0) for n, i in enumerate(chain)]
    found = skipped_nodes(results, tmp_path / "manifest.json")
    assert {n.because for n in found} == {("m0",)}
    assert len(found) == 2999


def failure(*nodes: NodeResult, files: Path = Path("gone")) -> str:
    with pytest.raises(DbtFailed) as failed:
        DbtRun("build", "stg", False, 1.0, files, nodes=nodes).raise_if_failed()
    return str(failed.value)


def test_the_error_has_a_line_of_every_failed_node_also_of_one_that_dbt_gives_no_message_of() -> None:
    a = NodeResult("model.shop.a", "error", 0.0, "Database Error in model a (models/a.sql)\n  no such column x\n  at 1")
    c = NodeResult("model.shop.c", "error", 0.0, "Database Error in model c (models/c.sql)\n  no such table y\n  at 2")
    assert failure(a, NodeResult("model.shop.b", "error", 0.0), c).splitlines()[:-1] == [
        "dbt build failed: a: Database Error in model a (models/a.sql)",
        "  no such column x",
        "  at 1",
        "b: dbt gave no reason",
    ]
    assert "\nc: Database Error in model c (models/c.sql): no such table y (target stg). Next: " in failure(a, c)
    many = failure(*(NodeResult(f"model.shop.m{n}", "error", 0.0, f"why {n}") for n in range(7)))
    assert "m4: why 4\nand 2 more: m5, m6 (target stg)" in many


def test_the_error_names_what_was_skipped_also_where_nothing_else_is_known() -> None:
    b, c = (NodeResult(f"model.shop.{name}", "skipped", 0.0) for name in "bc")
    assert failure(b, c).startswith("dbt build failed: skipped: b, c (target stg). Next: fix what dbt says")
    recorded = run("build_node_failed")
    assert "\nskipped: not_null_order_totals_site, busy_sites, since order_totals failed" in failure(
        *recorded.nodes, files=recorded.files_dir
    )


def test_many_names_are_cut() -> None:
    node = run("build_node_failed").nodes[-1]
    many = tuple(type(node)(f"model.shop.m{n}", "skipped", 0.0) for n in range(7))
    shown = str(DbtRun("build", "stg", False, 1.0, Path("gone"), nodes=many))
    assert "7 skipped (m0, m1, m2, m3, m4 and 2 more)" in shown
