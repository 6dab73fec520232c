"""What staging reads of what its build leaves out, on tables and a dbt in memory."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dbx_cd import ConfigError, Release, build_release
from dbx_cd.policies import Policies
from dbx_cd.release.events import Built
from memory.releases import Releases, relation

HEAVY, LIGHT = "model.tiny.heavy", "model.tiny.light"
FUNCTION = "function.tiny.rate"


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """Production has all of a project, of which staging is to leave `heavy` out, and has no `heavy`."""
    made = Releases(tmp_path)
    made.model("orders", "select 1 as id")
    made.model("heavy")
    made.model("light", "select id from {{ ref('heavy') }}")
    made.deployed("1")
    made.tables.drop(relation("stg", "heavy"), kind="table")
    return made


def without_heavy(releases: Releases, heavy_from: str, **given: Any) -> Release:
    """A staging build that leaves `heavy` out."""
    cd, release = releases.cd(), releases.open("2", commit="b" * 40)
    cd = replace(cd, config=replace(cd.config, policies=Policies(heavy_from=heavy_from)))  # type: ignore[arg-type]
    build_release(cd, release, target="stg", exclude="heavy", project_dir=releases.project, **given)
    return release


def states_read(releases: Releases) -> list[dict[str, str]]:
    """What each statement's dbt defers to: the relations of its state, by unique id. Filled while it builds."""
    found: list[dict[str, str]] = []

    def look(_target: str, _relation: object) -> None:
        call = releases.dbt.calls[-1]
        if "--defer-state" not in call:
            return found.append({})
        assert {"--defer", "--favor-state"} <= set(call)
        state = json.loads((Path(call[call.index("--defer-state") + 1]) / "manifest.json").read_text())
        nodes = {**state["nodes"], **state.get("functions", {})}
        return found.append({i: f"{raw['database']}.{raw['schema']}.{raw['alias']}" for i, raw in nodes.items()})

    releases.dbt.before_statement = look
    return found


def altering(releases: Releases, change: Callable[[dict[str, Any]], None]) -> None:
    before = releases.dbt.alter_manifest

    def alter(manifest: dict[str, Any]) -> None:
        before(manifest)
        change(manifest)

    releases.dbt.alter_manifest = alter


def test_a_parent_that_is_nowhere_is_refused_before_dbt_runs_a_statement(releases: Releases) -> None:
    versions = len(releases.tables.table(relation("stg", "light")).commits)
    with pytest.raises(ConfigError, match=rf"{HEAVY} \(stg\.shop\.heavy\), read by {LIGHT}") as refused:
        without_heavy(releases, "none")
    assert "policies.heavy_from to prod" in str(refused.value.next_step)
    assert len(releases.tables.table(relation("stg", "light")).commits) == versions
    assert not any(call[0] == "build" and "heavy" in call for call in releases.dbt.calls)


def test_by_policy_it_is_read_from_production_and_nothing_else_is(releases: Releases) -> None:
    states = states_read(releases)
    release = without_heavy(releases, "prod")
    assert states == [{HEAVY: "prod.shop.heavy"}] * 2
    built = releases.cd().log.last(release, Built)
    assert built is not None
    assert (built.ok, built.selection.exclude, built.selection.favor_state) == (True, "heavy", False)


def test_production_is_read_also_where_staging_has_one_of_old(releases: Releases) -> None:
    releases.tables.create(relation("stg", "heavy"), "of old")
    states = states_read(releases)
    without_heavy(releases, "prod")
    assert states == [{HEAVY: "prod.shop.heavy"}] * 2


@pytest.mark.parametrize("heavy_from", ["none", "prod"])
def test_what_staging_alone_has_is_read_there(releases: Releases, heavy_from: str) -> None:
    releases.tables.create(relation("stg", "heavy"), "of old")
    releases.tables.drop(relation("prod", "heavy"), kind="table")
    states = states_read(releases)
    without_heavy(releases, heavy_from)
    assert states == [{}, {}]


def test_what_neither_has_is_refused_under_either_policy(releases: Releases) -> None:
    releases.tables.drop(relation("prod", "heavy"), kind="table")
    with pytest.raises(ConfigError, match="nothing was built"):
        without_heavy(releases, "prod")


def test_nothing_is_read_from_production_where_nothing_was_ever_deployed(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    releases.model("heavy")
    releases.model("light", "select id from {{ ref('heavy') }}")
    releases.tables.create(relation("prod", "heavy"), "somebody's")
    with pytest.raises(ConfigError, match="nothing was built"):
        without_heavy(releases, "prod")


def test_what_an_ephemeral_model_reads_is_its_readers(releases: Releases) -> None:
    releases.model("light", "select id from {{ ref('between') }}")
    releases.model("between", "select id from {{ ref('heavy') }}")

    def ephemeral(manifest: dict[str, Any]) -> None:
        between = manifest["nodes"].get("model.tiny.between")
        between["config"]["materialized"], between["relation_name"] = "ephemeral", None

    altering(releases, ephemeral)
    with pytest.raises(ConfigError, match=rf"{HEAVY} \(stg\.shop\.heavy\), read by {LIGHT}"):
        without_heavy(releases, "none")
    states = states_read(releases)
    without_heavy(releases, "prod")
    assert {HEAVY: "prod.shop.heavy"} in states


def test_hooks_may_look_first_whether_something_is_there(releases: Releases) -> None:
    releases.model("light", "select 1 as id")
    hook = {"unique_id": "operation.tiny.hook", "name": "hook", "resource_type": "operation", "schema": "shop"}
    altering(releases, lambda m: m["nodes"].update({hook["unique_id"]: {**hook, "depends_on": {"nodes": [HEAVY]}}}))
    states = states_read(releases)
    without_heavy(releases, "none")
    assert states == [{}, {}]


def test_what_the_catalog_may_not_list_is_left_to_dbt(releases: Releases) -> None:
    altering(releases, lambda m: m["nodes"][HEAVY]["config"].update(materialized="of_our_own"))
    states = states_read(releases)
    without_heavy(releases, "none")
    without_heavy(releases, "prod")
    assert states == [{}, {}, {HEAVY: "prod.shop.heavy"}, {HEAVY: "prod.shop.heavy"}], "where it is listed, it counts"


def test_a_function_that_is_left_out_is_called_in_production(releases: Releases) -> None:
    function = {"unique_id": FUNCTION, "name": "rate", "resource_type": "function", "alias": "rate", "schema": "shop"}

    def calling(manifest: dict[str, Any]) -> None:
        target = manifest["nodes"][LIGHT]["database"]
        named = {"database": target, "relation_name": None, "config": {}}
        manifest["functions"] = {FUNCTION: {**function, **named}}
        manifest["nodes"][LIGHT]["depends_on"]["nodes"] = [FUNCTION]

    altering(releases, calling)
    releases.tables.function(relation("prod", "rate"), "1")
    releases.tables.function(relation("stg", "rate"), "1")
    releases.deployed("3", commit="c" * 40)
    releases.tables.known_functions.pop(relation("stg", "rate").key)
    listed = releases.dbt.__call__

    def with_function(args: list[str]) -> Any:
        outcome = listed(args)
        is_of_excluded = args[0] == "ls" and "heavy" in args and "--exclude" not in args
        return replace(outcome, listed=(*outcome.listed, FUNCTION)) if is_of_excluded else outcome

    states = states_read(releases)
    cd, release = releases.cd(), releases.open("4", commit="d" * 40)
    for heavy_from in ("none", "prod"):
        config = replace(cd.config, policies=Policies(heavy_from=heavy_from))  # type: ignore[arg-type]
        given = replace(cd, config=config, dbt=with_function)
        if heavy_from == "none":
            with pytest.raises(ConfigError, match=FUNCTION):
                build_release(given, release, target="stg", exclude="heavy", project_dir=releases.project)
        else:
            build_release(given, release, target="stg", exclude="heavy", project_dir=releases.project)
    assert states == [{FUNCTION: "prod.shop.rate"}] * 2


def test_a_task_that_says_by_itself_what_its_parents_are_is_left_alone(releases: Releases) -> None:
    states = states_read(releases)
    without_heavy(releases, "prod", defer=True, state_path=releases.root / "prod" / "latest")
    assert states == [{}, {}]
