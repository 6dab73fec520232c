"""Deploy plans, made on tables and a dbt in memory: what they say, when they are made again, what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dbx_cd import (
    ApprovalRequest,
    ApprovalStale,
    DbtFailed,
    DbtOutcome,
    DeployRefused,
    approve,
    build_release,
    plan_deploy,
    request_approval,
)
from dbx_cd.dbt.selection import Selection
from dbx_cd.plan.deploy_plan import DeployPlan
from memory.releases import OWNER, Releases, relation

READS = "select id from {{ ref('untagged') }}"


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    """A project of which production builds all but `untagged`, which `orders` reads."""
    made = Releases(tmp_path)
    made.model("untagged")
    made.model("orders", READS)
    return made


def asked(releases: Releases, run_id: str = "1", **more: str) -> ApprovalRequest:
    release = releases.staged(run_id, **more)
    return request_approval(releases.cd(), release, target="prod", exclude="untagged")


def places(plan: DeployPlan) -> dict[str, tuple[str, str]]:
    return {r.parent: (r.place, r.relation) for r in plan.resolutions}


def plan_of(releases: Releases, request: ApprovalRequest) -> DeployPlan:
    plan = releases.cd().log.last(request.release, DeployPlan)
    assert plan is not None
    return plan


def test_what_is_read_and_not_built_is_named_with_its_readers(releases: Releases) -> None:
    plan = plan_of(releases, asked(releases))
    assert places(plan) == {"model.tiny.untagged": ("state", "stg.shop.untagged")}
    assert plan.resolutions[0].readers == ("model.tiny.orders",)
    assert [node.unique_id for node in plan.nodes] == ["model.tiny.orders"]
    assert plan.untagged == ("model.tiny.untagged",)


def test_dbt_is_given_a_state_of_nothing_but_what_resolves_to_it(releases: Releases) -> None:
    request = asked(releases)
    releases.approve(request)
    states: list[set[str]] = []

    def look(_target: str, _relation: object) -> None:
        build = releases.dbt.calls[-1]
        state = Path(build[build.index("--defer-state") + 1]) / "manifest.json"
        states.append(set(json.loads(state.read_text())["nodes"]))

    releases.dbt.before_statement = look
    assert build_release(releases.cd(), request.release, target="prod").ok
    assert states == [{"model.tiny.untagged"}]


def test_a_plan_is_written_once_however_often_it_is_asked_for(releases: Releases) -> None:
    request = asked(releases)
    again = request_approval(releases.cd(), request.release, target="prod", exclude="untagged")
    assert again == request
    assert len(releases.cd().log.all(request.release, DeployPlan)) == 1


def test_looking_at_a_plan_writes_nothing(releases: Releases) -> None:
    release = releases.staged()
    before, tables = len(releases.cd().log.events()), dict(releases.tables.relations)
    plan_deploy(releases.cd(), release, target="prod", selection=Selection(exclude="untagged"))
    assert len(releases.cd().log.events()) == before
    assert releases.tables.relations == tables


def test_how_long_builds_took_changes_no_seal(releases: Releases) -> None:
    releases.approve(first := asked(releases))
    build_release(releases.cd(), first.release, target="prod")
    plan = plan_of(releases, asked(releases, "2", commit="b" * 40))
    assert plan.estimate is not None
    assert plan.estimate.seconds is not None
    assert replace(plan, estimate=None).digest == plan.digest
    assert replace(plan, derived_state="other").digest != plan.digest


def test_what_has_changed_in_the_catalog_since_makes_an_approval_stale_by_name(releases: Releases) -> None:
    releases.approve(request := asked(releases))
    releases.tables.drop(relation("stg", "untagged"), kind="table")
    releases.tables.create(relation("prod", "untagged"), "of old")
    with pytest.raises(ApprovalStale, match=r"model\.tiny\.untagged would be read as prod\.shop\.untagged") as stale:
        build_release(releases.cd(), request.release, target="prod")
    assert stale.value.changed == ("deploy plan",)
    assert relation("prod", "orders").key not in releases.tables.relations


def test_a_parent_that_is_nowhere_is_refused_before_anybody_is_asked(releases: Releases) -> None:
    release = releases.staged()
    releases.tables.drop(relation("stg", "untagged"), kind="table")
    with pytest.raises(DeployRefused, match=r"model\.tiny\.untagged is read by model\.tiny\.orders") as refused:
        request_approval(releases.cd(), release, target="prod", exclude="untagged")
    assert isinstance(refused.value.plan, DeployPlan)
    assert releases.cd().log.last(release, ApprovalRequest) is None
    written = releases.cd().log.last(release, DeployPlan)
    assert written is not None
    assert not written.ok


def test_read_existing_prefers_what_production_has(releases: Releases) -> None:
    releases.settings = "policies: {untagged_changes: read_existing}"
    releases.tables.create(relation("prod", "untagged"), "of old")
    plan = plan_of(releases, asked(releases))
    assert places(plan) == {"model.tiny.untagged": ("target", "prod.shop.untagged")}


def test_where_untagged_changes_are_an_error_the_model_is_named(releases: Releases) -> None:
    releases.settings = "policies: {untagged_changes: error}"
    release = releases.staged()
    with pytest.raises(DeployRefused, match=r"model\.tiny\.untagged is not what prod has and does not ship"):
        request_approval(releases.cd(), release, target="prod", exclude="untagged")


def test_a_plan_of_another_staging_build_is_refused(releases: Releases) -> None:
    release = releases.staged()
    plan = plan_deploy(releases.cd(), release, target="prod", selection=Selection(exclude="untagged"))
    releases.build(release)
    releases.smoke(release)
    with pytest.raises(Exception, match="make the plan anew"):
        request_approval(releases.cd(), release, target="prod", plan=plan)


def test_a_later_build_of_staging_says_nothing_of_the_columns_of_an_approved_release(releases: Releases) -> None:
    releases.deployed("1")
    releases.model("orders", "select 2 as id")
    release = releases.approved("2", commit="b" * 40)
    releases.staged("3", commit="c" * 40)
    of_another = relation("stg", "orders")
    releases.tables.drop(of_another, kind="table")
    releases.tables.create(of_another, columns=("other",))
    plan = plan_deploy(releases.cd(), release, target="prod")
    assert plan.losses == ()
    assert any(line.startswith("another release has built stg since") for line in plan.mind)
    assert build_release(releases.cd(), release, target="prod").ok


def test_a_selection_of_nothing_is_no_plan(releases: Releases) -> None:
    release = releases.staged()
    with pytest.raises(DbtFailed, match="matched no node"):
        plan_deploy(releases.cd(), release, target="prod", selection=Selection(exclude="orders untagged"))


def test_what_differs_from_production_is_told_from_what_does_not(releases: Releases) -> None:
    releases.approve(first := asked(releases))
    build_release(releases.cd(), first.release, target="prod")
    releases.model("orders", f"{READS} where id > 0")
    releases.model("payments")
    plan = plan_of(releases, asked(releases, "2", commit="b" * 40))
    found = {node.unique_id: node.change for node in plan.nodes}
    assert found == {"model.tiny.orders": "modified", "model.tiny.payments": "new"}
    assert plan.untagged == ()


def test_a_model_whose_later_release_has_failed_counts_as_changed(releases: Releases) -> None:
    releases.approve(first := asked(releases))
    build_release(releases.cd(), first.release, target="prod")
    releases.model("orders", f"{READS} -- fails in prod")
    releases.approve(second := asked(releases, "2", commit="b" * 40))
    with pytest.raises(DbtFailed):
        build_release(releases.cd(), second.release, target="prod")
    releases.model("orders", READS)
    plan = plan_of(releases, asked(releases, "3", commit="c" * 40))
    assert [(n.unique_id, n.change) for n in plan.nodes] == [("model.tiny.orders", "modified")]


def test_the_plan_reads_back_as_it_was_written(releases: Releases) -> None:
    plan = plan_of(releases, asked(releases))
    assert DeployPlan.read(json.loads(json.dumps(plan.to_dict()))) == plan


def test_the_page_says_where_refs_resolve(releases: Releases) -> None:
    page = plan_of(releases, asked(releases)).to_page()
    for words in ("stg.shop.untagged", "model.tiny.orders", "prod loses nothing"):
        assert words in page


def test_a_view_that_would_read_staging_is_refused_where_the_policy_says_so(releases: Releases) -> None:
    releases.settings = "policies: {staging_leak: error}"
    releases.model("orders", f"{READS} -- a view")
    release = releases.staged()
    with pytest.raises(DeployRefused, match=r"prod\.shop\.orders reads stg\.shop\.untagged"):
        request_approval(releases.cd(), release, target="prod", exclude="untagged")


@pytest.mark.parametrize("rule", ["error", "warn", "allow"])
def test_the_guard_looks_at_what_was_really_built(releases: Releases, rule: str) -> None:
    """What a macro makes of a ref is in no manifest: the plan does not see it, and the catalog shows it afterwards."""
    releases.settings = f"policies: {{staging_leak: {rule}}}"
    releases.approve(request := asked(releases))

    def by_a_macro(args: list[str]) -> DbtOutcome:
        outcome = releases.dbt(args)
        if args[0] == "build":
            releases.tables.drop(relation("prod", "orders"), kind="table")
            releases.tables.view(relation("prod", "orders"), relation("stg", "untagged"))
        return outcome

    cd = replace(releases.cd(), dbt=by_a_macro)
    if rule == "error":
        with pytest.raises(DbtFailed, match=r"prod\.shop\.orders reads stg\.shop\.untagged \(view text\)"):
            build_release(cd, request.release, target="prod")
        assert cd.log.state(request.release).of("prod").deployment == "failed"
        assert not cd.store.list("prod")[-1].ok
        return
    leaks = build_release(cd, request.release, target="prod").leaks
    assert [leak.refers_to for leak in leaks] == (["stg.shop.untagged"] if rule == "warn" else [])
    assert cd.store.latest("prod").ok


def test_people_decide_on_what_the_plan_seals(releases: Releases) -> None:
    request = asked(releases)
    assert request.sealed["deploy plan"] == plan_of(releases, request).digest
    decision = approve(releases.cd(OWNER), request, seal=request.seal)
    assert decision.seal == request.seal
