"""Tables that cannot be replaced because of what they are: which ones dbt names, and what is dropped for it.

What dbt wrote is in `fixtures/layout`: dbt 1.11 on the embedded workspace, a project of every kind of node that was
built with the one layout and then with the other. Of its manifest only what `Manifest` reads is kept.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import memory.dbt
from dbx_cd import DbtFailed, Release, build_release
from dbx_cd.dbt.artifacts import Manifest, NodeResult, RunResults
from dbx_cd.deploy.layout import Refusal, refusals, way_out
from dbx_cd.errors import SqlFailed
from dbx_cd.release.events import Built
from memory.releases import Releases, relation

WRITTEN_BY_DBT = Path(__file__).parents[2] / "fixtures" / "layout"
CLUSTERING = "DELTA_CLUSTERING_REPLACE_TABLE_WITH_PARTITIONED_TABLE"
ALTER = "DELTA_ALTER_TABLE_CLUSTER_BY_ON_PARTITIONED_TABLE_NOT_ALLOWED"
STAGED, DEPLOYED = relation("stg", "orders"), relation("prod", "orders")


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def found(folder: str) -> list[tuple[str, str, str]]:
    """What is refused in a build that dbt wrote down."""
    manifest = Manifest.load(WRITTEN_BY_DBT / folder / "manifest.json")
    results = RunResults.load(WRITTEN_BY_DBT / folder / "run_results.json")
    return [(r.name, r.kind, r.condition) for r in refusals(manifest, results.results)]


def builds(releases: Releases) -> int:
    """How often dbt was asked to build."""
    return sum(call[0] == "build" for call in releases.dbt.calls)


# Which ones


def test_a_clustered_table_that_is_to_be_partitioned_is_found() -> None:
    assert found("clustered_to_partitioned") == [("tab", "table", CLUSTERING)], "and not the node with another error"


def test_incremental_models_are_found_in_a_full_refresh() -> None:
    incremental = [(f"inc_{name}", "incremental", CLUSTERING) for name in ("append", "insert_overwrite", "merge")]
    assert found("clustered_to_partitioned_full_refresh") == [*incremental, ("tab", "table", CLUSTERING)]


def test_partitioned_incremental_models_that_are_to_be_clustered_are_found() -> None:
    incremental = [(f"inc_{name}", "incremental", ALTER) for name in ("append", "insert_overwrite", "merge")]
    assert found("partitioned_to_clustered") == incremental


def refused(condition: str, *, status: str = "error", kind: str = "model", **config: Any) -> list[Refusal]:
    """What is refused of one node with one message."""
    node = {
        "unique_id": f"{kind}.shop.orders", "name": "orders", "resource_type": kind, "database": "stg",
        "schema": "shop", "relation_name": "`stg`.`shop`.`orders`", "config": {"materialized": "table", **config},
    }  # fmt: skip
    manifest = Manifest.from_json({"metadata": {}, "nodes": {node["unique_id"]: node}})
    message = f"Database Error in model orders (models/orders.sql)\n  [{condition}] No. SQLSTATE: 0A000"
    return refusals(manifest, [NodeResult(f"{kind}.shop.orders", status, 1.0, message)])


@pytest.mark.parametrize(
    "condition",
    [
        CLUSTERING,
        ALTER,
        "DELTA_ICEBERG_COMPAT_VIOLATION.REPLACE_TABLE_CHANGE_PARTITION_NAMES",
        "DELTA_ICEBERG_COMPAT_VIOLATION.DELETION_VECTORS_SHOULD_BE_DISABLED",
        "DELTA_TABLE_LOCATION_MISMATCH",
        "DELTA_CANNOT_MODIFY_APPEND_ONLY",
        "DELTA_UNSUPPORTED_COLUMN_MAPPING_MODE_CHANGE",
    ],
)
def test_what_a_drop_was_seen_to_help_against_is_found(condition: str) -> None:
    assert [r.condition for r in refused(condition)] == [condition]


@pytest.mark.parametrize(
    "condition",
    ["TABLE_OR_VIEW_NOT_FOUND", "DELTA_ICEBERG_COMPAT_VIOLATION.UNSUPPORTED_DATA_TYPE", "DELTA_CONCURRENT_APPEND"],
)
def test_any_other_error_is_not(condition: str) -> None:
    assert refused(condition) == []


def test_a_node_that_did_not_fail_is_not() -> None:
    assert refused(CLUSTERING, status="success") == []


@pytest.mark.parametrize(
    ("kind", "materialized"), [("snapshot", "snapshot"), ("test", "test"), ("model", "view"), ("model", "ephemeral")]
)
def test_what_cannot_be_built_again_or_is_no_table_is_not(kind: str, materialized: str) -> None:
    assert refused(CLUSTERING, kind=kind, materialized=materialized) == []


def test_a_seed_is() -> None:
    assert [r.kind for r in refused(CLUSTERING, kind="seed", materialized="seed")] == ["seed"]


def test_a_table_that_the_project_wants_append_only_is_not() -> None:
    """It would be dropped by every other build, and production would refuse it all the same."""
    append_only = {"tblproperties": {"delta.appendOnly": "true"}}
    assert refused("DELTA_CANNOT_MODIFY_APPEND_ONLY", **append_only) == []
    assert refused(CLUSTERING, **append_only) != []


def test_rows_of_incremental_models_are_said_to_be_built_anew() -> None:
    (table,), (incremental,) = refused(CLUSTERING), refused(CLUSTERING, materialized="incremental")
    assert table.replaced == (
        f"dropped stg.shop.orders to replace it: its layout cannot be changed in place ({CLUSTERING})"
    )
    assert incremental.replaced == f"{table.replaced}; its rows are built anew, those of earlier runs are gone"


def test_memory_dbt_fails_in_dbt_s_own_words() -> None:
    written = json.loads((WRITTEN_BY_DBT / "clustered_to_partitioned" / "run_results.json").read_text())
    (message,) = [r["message"] for r in written["results"] if r["unique_id"] == "model.small.tab"]
    assert memory.dbt.REFUSED in message


# Staging


def other_layout(releases: Releases) -> Release:
    """A release whose table staging has with another layout, which cannot be changed in place."""
    releases.model("orders", "select 1 as id, clustered")
    releases.build(releases.open("1"))
    releases.model("orders", "select 1 as id, partitioned")
    return releases.open("2", commit="b" * 40)


def test_staging_s_table_is_dropped_and_the_build_runs_once_more(
    releases: Releases, caplog: pytest.LogCaptureFixture
) -> None:
    release, cd = other_layout(releases), releases.cd()
    releases.model("payments")
    before = builds(releases)
    result = build_release(cd, release, target="stg", select="tag:deploy", project_dir=releases.project)
    assert (result.ok, builds(releases) - before) == (True, 2)
    assert releases.tables.rows(STAGED) == ["select 1 as id, partitioned"]
    why = f"dropped stg.shop.orders to replace it: its layout cannot be changed in place ({CLUSTERING})"
    assert result.replaced == (why,)
    assert why in str(result)
    assert why in result.to_html()
    assert why in caplog.text
    built = cd.log.last(release, Built)
    assert built is not None
    assert why in built.outcome
    assert cd.store.latest("stg").release_id == release.id
    assert [r.status for r in result.artifacts.run_results().results] == ["success", "success"]


def test_a_second_failure_is_an_ordinary_one(releases: Releases) -> None:
    release = other_layout(releases)
    releases.model("payments", "fails in stg")
    before = builds(releases)
    with pytest.raises(DbtFailed, match="payments fails in stg"):
        releases.build(release)
    assert builds(releases) - before == 2
    assert releases.cd().log.state(release).phase == "failed"


def test_a_build_that_fails_for_another_reason_drops_nothing_and_runs_once(releases: Releases) -> None:
    releases.build(releases.open("1"))
    releases.model("orders", "fails in stg")
    before = builds(releases)
    with pytest.raises(DbtFailed):
        releases.build(releases.open("2"))
    assert builds(releases) - before == 1
    assert STAGED.key in releases.tables.relations


def test_a_table_that_cannot_be_dropped_fails_the_build_as_before(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    release = other_layout(releases)

    def refuse(*_: object, **__: object) -> None:
        raise SqlFailed("PERMISSION_DENIED: not the owner")

    monkeypatch.setattr(releases.tables, "drop", refuse)
    before = builds(releases)
    with pytest.raises(DbtFailed, match=CLUSTERING):
        releases.build(release)
    assert builds(releases) - before == 1
    assert "stg.shop.orders stands in its own way, and cannot be dropped: PERMISSION_DENIED" in caplog.text


def test_a_table_that_production_has_is_not_dropped_by_a_staging_build(releases: Releases) -> None:
    """A project may give a relation the same name in both targets."""
    releases.deployed("1")
    release = other_layout(releases)
    (newest,) = releases.cd().store.list("prod")
    manifest = (newest.path / "manifest.json").read_text().replace("prod", "stg")
    # Not before: such a build is refused as a whole where that is known when it begins.
    releases.dbt.before_statement = lambda *_: (newest.path / "manifest.json").write_text(manifest) and None
    with pytest.raises(DbtFailed, match=CLUSTERING):
        releases.build(release)
    assert STAGED.key in releases.tables.relations


def test_where_it_is_not_known_what_production_has_nothing_is_dropped(releases: Releases) -> None:
    releases.deployed("1")
    release = other_layout(releases)
    (releases.cd().store.list("prod")[0].path / "manifest.json").write_text("{")
    with pytest.raises(DbtFailed, match=CLUSTERING):
        releases.build(release)
    assert STAGED.key in releases.tables.relations


# Production


def stuck(releases: Releases) -> Release:
    """An approved release that wants a table partitioned which is clustered in production."""
    releases.model("orders", "select 1 as id, clustered")
    releases.deployed("1")
    releases.model("orders", "select 1 as id, partitioned")
    return releases.approved("2", commit="b" * 40)


def test_production_s_table_is_never_dropped_and_the_failure_says_the_way_out(releases: Releases) -> None:
    release = stuck(releases)
    calls = len(releases.dbt.calls)
    with pytest.raises(DbtFailed, match=CLUSTERING) as failure:
        build_release(releases.cd(), release, target="prod")
    assert [call[0] for call in releases.dbt.calls[calls:] if call[0] != "ls"] == ["build"], "it runs once"
    assert releases.tables.rows(DEPLOYED) == ["select 1 as id, clustered"]
    step = str(failure.value.next_step)
    assert step.startswith("nothing was dropped in prod; roll its data back if that is to be what it was before")
    assert "no rollback and no full_refresh lets prod.shop.orders" in step
    assert "ALTER TABLE ... RENAME TO" in step


def test_what_the_way_out_says_lets_the_build_pass(releases: Releases) -> None:
    release = stuck(releases)
    with pytest.raises(DbtFailed):
        build_release(releases.cd(), release, target="prod")
    releases.tables.rename(DEPLOYED, relation("prod", "orders_before"), kind="table")
    assert build_release(releases.cd(), release, target="prod").ok
    assert releases.tables.rows(DEPLOYED) == ["select 1 as id, partitioned"]
    assert releases.tables.rows(relation("prod", "orders_before")) == ["select 1 as id, clustered"]


def test_a_failure_of_another_kind_says_what_it_always_did(releases: Releases) -> None:
    releases.model("orders", "fails in prod")
    with pytest.raises(DbtFailed, match="Next: fix these nodes"):
        releases.deployed("1")


def test_an_incremental_model_that_only_an_alter_refuses_can_be_built_with_full_refresh() -> None:
    step = way_out(refused(ALTER, materialized="incremental"), target="prod")
    assert step is not None
    assert f"stg.shop.orders ({ALTER}) can be built with full_refresh, which needs an approval of its own" in step
    assert "RENAME" not in step
