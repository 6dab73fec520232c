"""`changed_only` on tables and a dbt in memory: what is built, what is left, and that it comes to the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from dbx_cd import ApprovalStale, DbtFailed, DeployPlan, Release, build_release, plan_deploy, plan_restore, restore
from dbx_cd.artifacts.built_inputs import BuiltInputs
from dbx_cd.relations import RelationName
from dbx_cd.release.events import BuildBegun
from memory.releases import Releases, relation

POLICY = "policies: {{changed_only: true{more}}}\n"
RAW = RelationName("raw", "shop", "orders")
READS = "select id from {{ ref('%s') }}"


def project(folder: Path, more: str = "") -> Releases:
    """`orders` reads a source, `payments` reads `orders`, `people` nothing; production and staging have all of it."""
    made = Releases(folder, POLICY.format(more=more))
    made.tables.create(RAW, 1)
    made.dbt.alter_manifest = reads_source
    made.model("payments", READS % "orders")
    made.model("people")
    return made


def reads_source(manifest: dict[str, Any]) -> None:
    source = {
        "unique_id": "source.tiny.raw.orders", "name": "orders", "resource_type": "source", "source_name": "raw",
        "database": RAW.catalog, "schema": RAW.schema, "identifier": RAW.identifier, "relation_name": RAW.quoted,
    }  # fmt: skip
    manifest["sources"] = {source["unique_id"]: source}
    if "model.tiny.orders" in manifest["nodes"]:
        manifest["nodes"]["model.tiny.orders"]["depends_on"]["nodes"].append(source["unique_id"])


def people_at(*fqn: str) -> Callable[[dict[str, Any]], None]:
    """Let dbt say that this is where `people` is."""

    def alter(manifest: dict[str, Any]) -> None:
        reads_source(manifest)
        manifest["nodes"]["model.tiny.people"]["fqn"] = ["tiny", *fqn]

    return alter


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    made = project(tmp_path)
    deployed(made, "1")
    return made


def built(releases: Releases, action: Callable[[], object]) -> dict[str, list[str]]:
    """What is built meanwhile, by target."""
    found: dict[str, list[str]] = {}
    releases.dbt.before_statement = lambda target, name: found.setdefault(target, []).append(name.identifier)
    action()
    releases.dbt.before_statement = lambda _target, _name: None
    return found


def plan_of(releases: Releases, release: Release) -> DeployPlan:
    plan = releases.cd().log.last(release, DeployPlan)
    assert plan is not None
    return plan


def newest(releases: Releases) -> Release:
    return next(iter(releases.cd().log.history()))[0]


def newest_plan(releases: Releases) -> DeployPlan:
    return plan_of(releases, newest(releases))


def roll_back(releases: Releases, release: Release) -> None:
    plan = plan_restore(releases.cd(), release)
    restore(releases.cd(), plan, seal=plan.seal, reason="test", discard_later_writes=True)


def commit(run_id: str) -> str:
    return f"{int(run_id):040x}"


def deployed(releases: Releases, run_id: str) -> Release:
    return releases.deployed(run_id, commit=commit(run_id))


def test_one_changed_model_is_built_with_what_is_below_it_in_both_targets(releases: Releases) -> None:
    releases.model("orders", "select 2 as id")
    assert built(releases, lambda: deployed(releases, "2")) == {
        "stg": ["orders", "payments"],
        "prod": ["orders", "payments"],
    }
    assert built(releases, lambda: deployed(releases, "3")) == {}
    releases.model("people", "select 3 as id")
    assert built(releases, lambda: deployed(releases, "4")) == {"stg": ["people"], "prod": ["people"]}


def test_the_plan_says_what_is_built_and_why_and_what_it_saves(releases: Releases) -> None:
    releases.model("orders", "select 2 as id")
    plan = plan_of(releases, deployed(releases, "2"))
    assert {n.unique_id: n.reasons for n in plan.nodes} == {
        "model.tiny.payments": ("it reads model.tiny.orders, which is built",),
        "model.tiny.orders": ("code",),
    }
    assert plan.kept == ("model.tiny.people",)
    assert "builds 2 of 3 relations" in plan.savings
    assert plan.selection.select == "fqn:tiny.orders,file:orders.sql fqn:tiny.payments,file:payments.sql"
    assert plan.asked.select == "tag:deploy"


def test_without_the_policy_all_is_built_and_the_plan_says_what_it_would_save(tmp_path: Path) -> None:
    releases = project(tmp_path)
    releases.settings = ""
    deployed(releases, "1")
    releases.model("orders", "select 2 as id")
    done = built(releases, lambda: deployed(releases, "2"))
    assert done == {"stg": ["orders", "payments", "people"], "prod": ["orders", "payments", "people"]}
    plan = newest_plan(releases)
    assert "would build 2 of 3 relations" in plan.savings
    assert not plan.kept
    assert "built_inputs.json" not in releases.cd().store.latest("prod").files


def test_a_release_that_changes_no_relation_says_so_and_ends_well(releases: Releases) -> None:
    release = releases.approved("2", commit=commit("2"))
    assert "no relation changes, and 3 stand as they are" in str(plan_of(releases, release))
    result = build_release(releases.cd(), release, target="prod")
    assert result.ok
    assert "3 unchanged relations stand as they are" in str(result)
    assert result.restore_point is not None
    assert not result.restore_point.relations
    assert releases.cd().store.latest("prod").release_id == release.id
    assert releases.cd().log.state(release).of("prod").deployment == "deployed"


def test_new_data_is_a_change_and_maintenance_is_none(releases: Releases) -> None:
    releases.tables.optimize(RAW)
    assert built(releases, lambda: deployed(releases, "2")) == {}
    releases.tables.insert(RAW, 2)
    assert built(releases, lambda: deployed(releases, "3")) == {
        "stg": ["orders", "payments"],
        "prod": ["orders", "payments"],
    }
    assert built(releases, lambda: deployed(releases, "4")) == {}


def test_new_data_below_a_view_is_a_change(tmp_path: Path) -> None:
    releases = project(tmp_path)
    below = RelationName("raw", "shop", "lines")
    releases.tables.create(below, 1)
    releases.tables.drop(RAW, kind="table")
    releases.tables.view(RAW, below)
    deployed(releases, "1")
    assert built(releases, lambda: deployed(releases, "2")) == {}
    releases.tables.insert(below, 2)
    assert set(built(releases, lambda: deployed(releases, "3"))) == {"stg", "prod"}
    releases.tables.view(RAW, below, column="id as id")
    assert set(built(releases, lambda: deployed(releases, "4"))) == {"stg", "prod"}


def test_the_clock_in_a_view_that_is_read_is_a_change_each_time(tmp_path: Path) -> None:
    releases = project(tmp_path)
    below = RelationName("raw", "shop", "lines")
    releases.tables.create(below, 1)
    releases.tables.drop(RAW, kind="table")
    releases.tables.view(RAW, below, column="current_date() as id")
    deployed(releases, "1")
    assert built(releases, lambda: deployed(releases, "2"))["prod"] == ["orders", "payments"]


@pytest.mark.parametrize("is_view", [False, True])
def test_a_source_that_is_a_relation_of_the_project_is_read_like_any_other(tmp_path: Path, is_view: bool) -> None:
    """dbt does not know that its reader is below: the next release sees what was built beside it."""
    releases, people = project(tmp_path), relation("prod", "people")
    if is_view:
        releases.tables.drop(RAW, kind="table")
        releases.tables.view(RAW, people)
    else:
        where = {"database": people.catalog, "schema": people.schema, "identifier": people.identifier}
        releases.dbt.alter_manifest = lambda m: (
            reads_source(m), m["sources"]["source.tiny.raw.orders"].update(where, relation_name=people.quoted)
        )[1]  # fmt: skip
    deployed(releases, "1")
    deployed(releases, "2")
    assert built(releases, lambda: deployed(releases, "3")) == {}
    releases.model("people", "select 5 as id")
    assert built(releases, lambda: deployed(releases, "4"))["prod"] == ["people"]
    assert built(releases, lambda: deployed(releases, "5"))["prod"] == ["orders", "payments"]
    assert built(releases, lambda: deployed(releases, "6")) == {}


def test_a_source_that_was_made_anew_is_a_change(releases: Releases) -> None:
    releases.tables.drop(RAW, kind="table")
    releases.tables.dropped_tables.clear()
    releases.tables.create(RAW, 1)
    assert set(built(releases, lambda: deployed(releases, "2"))) == {"stg", "prod"}


@pytest.mark.parametrize("target", ["stg", "prod"])
def test_what_somebody_else_has_written_to_is_built_again(releases: Releases, target: str) -> None:
    releases.tables.optimize(relation(target, "people"))
    assert built(releases, lambda: deployed(releases, "2")) == {}
    releases.tables.insert(relation(target, "people"), "by hand")
    assert built(releases, lambda: deployed(releases, "3")) == {target: ["people"]}
    assert "by hand" not in map(str, releases.tables.rows(relation(target, "people")))
    assert built(releases, lambda: deployed(releases, "4")) == {}


def test_the_plan_says_that_somebody_else_has_written(releases: Releases) -> None:
    releases.tables.insert(relation("prod", "orders"), 7)
    plan = plan_of(releases, deployed(releases, "2"))
    assert {n.unique_id: n.reasons for n in plan.nodes} == {
        "model.tiny.payments": ("it reads model.tiny.orders, which is built",),
        "model.tiny.orders": ("something else has written to prod.shop.orders",),
    }


def test_a_view_that_somebody_else_has_replaced_is_built_again(tmp_path: Path) -> None:
    releases = project(tmp_path)
    releases.model("seen", "view {{ ref('people') }} " + READS % "people")
    deployed(releases, "1")
    assert built(releases, lambda: deployed(releases, "2")) == {}
    releases.tables.view(relation("prod", "seen"), relation("prod", "orders"))
    assert built(releases, lambda: deployed(releases, "3")) == {"prod": ["seen"]}


def test_a_record_that_does_not_say_what_the_build_left_proves_nothing(releases: Releases) -> None:
    of = releases.cd().store.latest("prod")
    known = BuiltInputs.of(of)
    assert known is not None
    forgotten = {i: replace(node, left=None) for i, node in known.nodes.items()}
    replace(known, nodes=forgotten).write(of.path)
    assert built(releases, lambda: deployed(releases, "2")) == {"prod": ["orders", "payments", "people"]}


def test_code_only_leaves_new_data_to_others(tmp_path: Path) -> None:
    releases = project(tmp_path, ", refresh: code_only")
    deployed(releases, "1")
    releases.tables.insert(RAW, 2)
    releases.tables.insert(relation("prod", "people"), 2)
    assert built(releases, lambda: deployed(releases, "2")) == {}
    assert "(code_only)" in newest_plan(releases).savings
    releases.model("orders", "select 2 as id")
    assert built(releases, lambda: deployed(releases, "3")) == {
        "stg": ["orders", "payments"],
        "prod": ["orders", "payments"],
    }


def test_new_data_after_the_approval_neither_makes_it_stale_nor_is_it_forgotten(releases: Releases) -> None:
    releases.model("people", "select 2 as id")
    release = releases.approved("2", commit=commit("2"))
    releases.tables.insert(RAW, 2)
    assert built(releases, lambda: build_release(releases.cd(), release, target="prod")) == {"prod": ["people"]}
    assert built(releases, lambda: deployed(releases, "3"))["prod"] == ["orders", "payments"]


def test_a_plan_made_again_after_its_approval_is_the_one_that_was_agreed_to(releases: Releases) -> None:
    releases.model("people", "select 2 as id")
    release = releases.approved("2", commit=commit("2"))
    agreed = plan_of(releases, release)
    releases.tables.insert(RAW, 2)
    again = plan_deploy(releases.cd(), release, target="prod")
    assert again.digest == agreed.digest
    request = releases.ask(release)
    assert releases.cd().log.state(release).phase == "approved"
    assert request.plan == str(agreed)


def test_what_must_be_built_by_now_and_was_not_agreed_to_is_refused(releases: Releases) -> None:
    releases.model("people", "select 2 as id")
    release = releases.approved("2", commit=commit("2"))
    releases.tables.drop(relation("prod", "payments"), kind="table")
    with pytest.raises(ApprovalStale, match=r"model\.tiny\.payments must be built as well"):
        build_release(releases.cd(), release, target="prod")
    request = releases.ask(release)
    assert releases.cd().log.state(release).phase == "waiting"
    releases.approve(request)
    assert built(releases, lambda: build_release(releases.cd(), release, target="prod")) == {
        "prod": ["payments", "people"]
    }


def test_a_build_that_failed_half_way_is_repaired_without_another_approval(releases: Releases) -> None:
    releases.model("orders", "select 2 as id -- fails in prod")
    releases.model("people", "select 2 as id")
    release = releases.approved("2", commit=commit("2"))
    with pytest.raises(DbtFailed):
        build_release(releases.cd(), release, target="prod")
    releases.tables.insert(RAW, 3)
    with pytest.raises(DbtFailed):
        build_release(releases.cd(), release, target="prod")
    assert releases.dbt.models.keys() == {"payments", "orders", "people"}
    releases.model("orders", "select 1 as id")
    releases.model("people", "select 1 as id")
    # What it has touched counts as changed, though its code is again what production's last good build had.
    assert built(releases, lambda: deployed(releases, "3"))["prod"] == ["orders", "payments", "people"]


def test_staging_is_compared_with_what_it_holds_a_rejected_release_included(releases: Releases) -> None:
    releases.model("people", "select 2 as id")
    assert built(releases, lambda: releases.staged("2", commit=commit("2"), ok=False)) == {"stg": ["people"]}
    assert built(releases, lambda: releases.staged("3", commit=commit("3"))) == {}
    releases.model("people", "select 1 as id")
    assert built(releases, lambda: deployed(releases, "4")) == {"stg": ["people"]}


def test_what_a_failed_staging_build_has_touched_counts_as_changed(releases: Releases) -> None:
    releases.model("people", "select 2 as id -- fails in stg")
    release = releases.open("2", commit=commit("2"))
    with pytest.raises(DbtFailed):
        releases.build(release)
    releases.model("people", "select 1 as id")
    assert built(releases, lambda: releases.staged("3", commit=commit("3"))) == {"stg": ["people"]}


def test_after_a_staging_build_that_was_killed_all_is_built(releases: Releases) -> None:
    """A process that is killed leaves nothing but that it had begun."""
    releases.cd().log.append(releases.open("2", commit=commit("2")), BuildBegun("stg"))
    assert built(releases, lambda: releases.staged("3", commit=commit("3"))) == {
        "stg": ["orders", "payments", "people"]
    }
    assert built(releases, lambda: releases.staged("4", commit=commit("4"))) == {}
    assert [e.kind for e in releases.cd().log.events() if e.kind == "build_begun"] == ["build_begun"] * 4


def test_what_any_attempt_of_a_failed_staging_build_has_touched_counts_as_changed(tmp_path: Path) -> None:
    releases = project(tmp_path, ", refresh: code_only")
    deployed(releases, "1")
    release = releases.open("2", commit=commit("2"))
    for name in ("payments", "people"):
        releases.model(name, "select 2 as id -- fails in stg")
        with pytest.raises(DbtFailed):
            build_release(releases.cd(), release, target="stg", select=exact(name), project_dir=releases.project)
    releases.model("payments", READS % "orders")
    releases.model("people")
    assert built(releases, lambda: releases.staged("3", commit=commit("3"))) == {"stg": ["payments", "people"]}


def test_after_a_staging_build_that_was_killed_and_repaired_in_vain_all_is_built(tmp_path: Path) -> None:
    releases = project(tmp_path, ", refresh: code_only")
    deployed(releases, "1")
    release = releases.open("2", commit=commit("2"))
    releases.cd().log.append(release, BuildBegun("stg"))
    releases.model("people", "select 2 as id -- fails in stg")
    with pytest.raises(DbtFailed):
        build_release(releases.cd(), release, target="stg", select=exact("people"), project_dir=releases.project)
    releases.model("people")
    assert built(releases, lambda: releases.staged("3", commit=commit("3"))) == {
        "stg": ["orders", "payments", "people"]
    }


def test_a_release_that_was_brought_back_is_built_again(releases: Releases) -> None:
    releases.model("people", "select 2 as id")
    release = deployed(releases, "2")
    roll_back(releases, release)
    assert releases.tables.rows(relation("prod", "people")) == ["select 1 as id"]
    assert built(releases, lambda: deployed(releases, "3")) == {"prod": ["people"]}
    assert releases.tables.rows(relation("prod", "people")) == ["select 2 as id"]


def test_what_is_selected_and_unchanged_is_read_in_production_whatever_the_rule(releases: Releases) -> None:
    releases.model("payments", READS % "orders" + " -- another")
    release = releases.approved("2", commit=commit("2"))
    found = {r.parent: (r.place, r.relation, r.reason) for r in plan_of(releases, release).resolutions}
    assert found == {"model.tiny.orders": ("target", "prod.shop.orders", "unchanged: prod has it")}
    states: list[set[str]] = []

    def look(_target: str, _relation: object) -> None:
        call = releases.dbt.calls[-1]
        state = json.loads((Path(call[call.index("--defer-state") + 1]) / "manifest.json").read_text())
        states.append(set(state["nodes"]))

    releases.dbt.before_statement = look
    build_release(releases.cd(), release, target="prod")
    assert states == [set()]


@pytest.mark.parametrize("code", ["select current_timestamp() as id", "select {{ env_var('X') }} as id"])
def test_what_may_give_other_rows_from_the_same_inputs_is_always_built(tmp_path: Path, code: str) -> None:
    releases = project(tmp_path)
    releases.model("people", code)
    releases.model("persons", READS % "people")
    deployed(releases, "1")
    assert built(releases, lambda: deployed(releases, "2"))["prod"] == ["people", "persons"]
    assert "it reads" in str(newest_plan(releases).nodes[0].reasons)


def test_another_dbt_builds_all(releases: Releases) -> None:
    releases.dbt.dbt_version = "1.11.1"
    assert built(releases, lambda: deployed(releases, "2"))["prod"] == ["orders", "payments", "people"]


@pytest.mark.parametrize("setting", ["flags: {use_materialization_v2: true}", "dispatch: [{macro_namespace: dbt}]"])
def test_another_setting_of_how_dbt_builds_any_node_builds_all(releases: Releases, setting: str) -> None:
    file = releases.project / "dbt_project.yml"
    file.write_text(file.read_text() + setting + "\n")
    assert built(releases, lambda: deployed(releases, "2"))["prod"] == ["orders", "payments", "people"]
    assert "dbt_project.yml: other" in str(newest_plan(releases).nodes)


def test_all_is_built_where_the_project_that_the_last_build_had_is_gone(releases: Releases) -> None:
    """Nobody can say any more which variables it had."""
    for target in ("stg", "prod"):
        (releases.cd().store.latest(target).path / "project.tar.gz").write_bytes(b"damaged")
    expected = ["orders", "payments", "people"]
    assert built(releases, lambda: deployed(releases, "2")) == {"stg": expected, "prod": expected}


def test_a_full_refresh_builds_all(releases: Releases) -> None:
    release = releases.staged("2", commit=commit("2"))
    request = releases.ask(release, full_refresh=True)
    releases.approve(request)
    done = built(releases, lambda: build_release(releases.cd(), release, target="prod", full_refresh=True))
    assert done == {"prod": ["orders", "payments", "people"]}


@pytest.mark.parametrize("folder", ["two words", "a,b", "[old]", "any*"])
def test_where_no_term_means_a_node_alone_all_is_built(releases: Releases, folder: str) -> None:
    releases.model("people", "select 2 as id")
    releases.dbt.alter_manifest = people_at(folder, "people")
    assert built(releases, lambda: deployed(releases, "2"))["prod"] == ["orders", "payments", "people"]
    assert "changed_only: the name or the path of model.tiny.people" in "; ".join(newest_plan(releases).mind)


def test_where_dbt_reads_a_term_for_something_else_all_is_built(releases: Releases) -> None:
    releases.model("people", "select 2 as id")
    releases.dbt.alter_manifest = people_at("orders")
    assert built(releases, lambda: deployed(releases, "2"))["prod"] == ["orders", "payments", "people"]
    assert "changed_only: dbt reads the terms for what must be built otherwise" in "; ".join(newest_plan(releases).mind)


def test_what_stands_unchanged_keeps_the_record_of_its_own_build(releases: Releases) -> None:
    before = BuiltInputs.of(releases.cd().store.latest("prod"))
    releases.model("people", "select 2 as id")
    deployed(releases, "2")
    after = BuiltInputs.of(releases.cd().store.latest("prod"))
    assert before is not None
    assert after is not None
    assert after.nodes["model.tiny.orders"] == before.nodes["model.tiny.orders"]
    assert after.kept == ("model.tiny.orders", "model.tiny.payments")
    assert [one.relation for one in after.nodes["model.tiny.orders"].inputs] == [RAW.key]


def exact(name: str) -> str:
    """A selection of one model, as the dbt in memory takes it."""
    return f"fqn:tiny.{name},file:{name}.sql"


def deployed_alone(releases: Releases, run_id: str, name: str) -> None:
    """A release of one model and nothing below it."""
    release = releases.open(run_id, commit=commit(run_id))
    build_release(releases.cd(), release, target="stg", select=exact(name), project_dir=releases.project)
    releases.smoke(release)
    request = releases.ask(release)
    if releases.cd().log.state(release).phase == "waiting":  # else an earlier approval still applies
        releases.approve(request)
    build_release(releases.cd(), release, target="prod")


def test_what_is_below_a_model_that_was_built_alone_is_built_by_the_next_release(releases: Releases) -> None:
    releases.model("orders", "select 2 as id")
    assert built(releases, lambda: deployed_alone(releases, "2", "orders")) == {"stg": ["orders"], "prod": ["orders"]}
    assert built(releases, lambda: deployed(releases, "3")) == {"stg": ["payments"], "prod": ["payments"]}
    assert built(releases, lambda: deployed(releases, "4")) == {}


def test_what_is_below_a_change_that_did_not_ship_is_built_once_it_does(releases: Releases) -> None:
    releases.model("orders", "select 2 as id")
    assert built(releases, lambda: deployed_alone(releases, "2", "people")) == {}
    expected = ["orders", "payments"]
    assert built(releases, lambda: deployed(releases, "3")) == {"stg": expected, "prod": expected}


def test_a_later_gate_builds_what_changed_there(tmp_path: Path) -> None:
    releases = project(tmp_path)
    releases.settings += (
        "targets: {stg: {}, uat: {gate: approval, defer_to: stg}, prod: {gate: approval, defer_to: uat}}\n"
    )

    def promoted(run_id: str) -> dict[str, list[str]]:
        release = releases.staged(run_id, commit=commit(run_id))
        done = built(releases, lambda: releases.promoted(release, "uat"))
        return done | (built(releases, lambda: releases.promoted(release, "prod")) if run_id != "2" else {})

    promoted("1")
    releases.model("people", "select 2 as id")
    assert promoted("2") == {"uat": ["people"]}
    releases.model("payments", READS % "orders" + " -- another")
    assert promoted("3") == {"uat": ["payments"], "prod": ["payments", "people"]}
    assert newest_plan(releases).asked.select == "tag:deploy"


EDIT = st.tuples(st.sampled_from(["orders", "payments", "people", "revenue"]), st.integers(1, 3))
STEP = st.one_of(
    st.tuples(st.just("edit"), EDIT),
    st.tuples(st.just("data"), st.integers(1, 9)),
    st.tuples(st.just("write"), st.tuples(st.sampled_from(["stg", "prod"]), st.sampled_from(["orders", "people"]))),
    st.tuples(st.just("deploy"), st.just(0)),
    st.tuples(st.just("alone"), st.sampled_from(["orders", "people"])),
    st.tuples(st.just("fail"), st.sampled_from(["stg", "prod"])),
    st.tuples(st.just("roll back"), st.just(0)),
)


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(st.lists(STEP, max_size=12))
def test_after_any_edits_production_is_what_a_full_build_makes(
    tmp_path_factory: pytest.TempPathFactory, steps: Any
) -> None:
    releases = project(tmp_path_factory.mktemp("any"))
    rows_read(releases)
    deployed(releases, "1")
    for number, (what, how) in enumerate(steps, start=2):
        run_step(releases, str(number), what, how)
    deployed(releases, "99")
    expected = project(tmp_path_factory.mktemp("full"))
    for path in (releases.project / "models").glob("*.sql"):
        expected.model(path.stem, path.read_text())
    expected.tables.create(RAW, *releases.tables.rows(RAW))
    rows_read(expected)
    expected.deployed("1")
    for name in ("orders", "payments", "people", "revenue"):
        at = relation("prod", name)
        if at.key in expected.tables.relations:
            assert releases.tables.rows(at) == expected.tables.rows(at), name


def run_step(releases: Releases, run_id: str, what: str, how: Any) -> None:
    if what == "edit":
        name, number = how
        reads = {"payments": "orders", "revenue": "payments"}.get(name)
        releases.model(name, f"select {number} as id" + (f" from {{{{ ref('{reads}') }}}}" if reads else ""))
    elif what == "data":
        releases.tables.insert(RAW, how)
    elif what == "write":
        releases.tables.insert(relation(*how), "by hand")
    elif what == "deploy":
        deployed(releases, run_id)
    elif what == "alone":
        deployed_alone(releases, run_id, how)
    elif what == "fail":
        was = (releases.project / "models" / "people.sql").read_text()
        releases.model("people", f"select 7 as id -- fails in {how}")
        with pytest.raises(DbtFailed):
            deployed(releases, run_id)
        releases.model("people", was)
    elif what == "roll back" and releases.cd().log.state(newest(releases)).of("prod").is_in_place:
        roll_back(releases, newest(releases))


def rows_read(releases: Releases) -> None:
    """Let tables hold what they read, in place of their text alone."""
    create = releases.tables.create

    def made(name: RelationName, *rows: object, **more: Any) -> None:
        if name.catalog in ("stg", "prod") and name.identifier in ("orders", "payments", "revenue"):
            above = {
                "orders": RAW,
                "payments": relation(name.catalog, "orders"),
                "revenue": relation(name.catalog, "payments"),
            }
            read = above[name.identifier]
            found = releases.tables.rows(read) if read.key in releases.tables.relations else []
            rows = (*rows, *map(str, found))
        create(name, *rows, **more)

    releases.tables.create = made  # type: ignore[method-assign]
