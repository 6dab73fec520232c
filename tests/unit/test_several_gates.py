"""Releases that pass several gates: in their order, and each target on its own."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

import dbx_cd
from dbx_cd import (
    ApprovalPending,
    ApprovalRequired,
    ApprovalSuperseded,
    ArtifactStore,
    Cd,
    ConfigError,
    DbtFailed,
    NotRolledBack,
    Release,
    ReleaseError,
    RestoreRefused,
    RestoreResult,
    approve,
    auto_rollback,
    baseline_for,
    build_release,
    pending_approvals,
    plan_restore,
    reject,
    require_approval,
    restore,
    rollback_readiness,
    smoke_after_restore,
)
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.delta.log_table import LogRow
from dbx_cd.deploy.retention import prune_artifacts
from dbx_cd.policies import Policies
from dbx_cd.release.events import Deployed, Deploying
from dbx_cd.rollback.capture import capture_restore_point, record_versions_after
from dbx_cd.rollback.journal import RestoredRelation, unfinished
from dbx_cd.rollback.of_target import points_of
from dbx_cd.rollback.plan import RestorePlan
from dbx_cd.rollback.point import RestorePoint, VersionsAfter
from dbx_cd.smoke.baseline import TimeTravelBaseline
from memory.releases import OWNER, Releases, relation, smoke_of

GATED = "targets: {{stg: {{}}, uat: {{gate: approval, defer_to: stg}}, prod: {{gate: approval, defer_to: {}}}}}"
UAT, PROD = relation("uat", "orders"), relation("prod", "orders")


@pytest.fixture(params=["stg", "uat"], ids=["prod defers to stg", "prod defers to uat"])
def releases(request: pytest.FixtureRequest, tmp_path: Path) -> Releases:
    return Releases(tmp_path, GATED.format(request.param))


@pytest.fixture
def chained(tmp_path: Path) -> Releases:
    """Production defers to the gated target before it."""
    return Releases(tmp_path, GATED.format("uat"))


def staged(releases: Releases, number: int) -> Release:
    releases.model("orders", f"select {number} as id")
    return releases.staged(str(number), commit=str(number) * 40)


def in_uat(releases: Releases, number: int) -> Release:
    return releases.promoted(staged(releases, number), "uat")


def in_both(releases: Releases, number: int) -> Release:
    return releases.promoted(in_uat(releases, number), "prod")


def undone(releases: Releases, release: Release, target: str | None = None, **how: object) -> RestoreResult:
    plan = plan_restore(releases.cd(), release, target=target, **how)  # type: ignore[arg-type]
    return restore(releases.cd(), plan, seal=plan.seal)


def rows(releases: Releases) -> tuple[list[object], list[object]]:
    """What is in the two gated targets."""
    return releases.tables.rows(UAT), releases.tables.rows(PROD)


def text(number: int) -> list[object]:
    return [f"select {number} as id"]


def latest(releases: Releases, target: str) -> str | None:
    return releases.cd().store.latest(target).release_id


def deployments(releases: Releases, release: Release) -> tuple[str | None, str | None]:
    state = releases.cd().log.state(release)
    return state.of("uat").deployment, state.of("prod").deployment


# The order of promotion


def test_a_release_goes_through_its_gates_one_after_the_other(releases: Releases) -> None:
    release = in_both(releases, 1)
    assert rows(releases) == (text(1), text(1))
    state = releases.cd().log.state(release)
    assert (state.phase, state.deployed_to, state.where) == (
        "deployed",
        ("uat", "prod"),
        "uat: deployed, prod: deployed",
    )


def test_nobody_is_asked_about_the_second_target_before_the_release_is_in_the_first(releases: Releases) -> None:
    release = staged(releases, 1)
    with pytest.raises(ApprovalRequired, match=r"uat comes before prod, and .* is not deployed there"):
        releases.ask(release)
    releases.approve(releases.ask(release, target="uat"))
    with pytest.raises(ApprovalRequired, match="uat comes before prod"):
        releases.ask(release)


def test_an_open_target_is_asked_about_by_nobody(releases: Releases) -> None:
    with pytest.raises(ConfigError, match="'stg' defers to nothing"):
        releases.ask(staged(releases, 1), target="stg")


def test_a_release_that_failed_in_the_first_target_is_not_promoted(releases: Releases) -> None:
    releases.model("payments", "fails in uat")
    release = staged(releases, 1)
    releases.approve(releases.ask(release, target="uat"))
    with pytest.raises(DbtFailed):
        build_release(releases.cd(), release, target="uat")
    with pytest.raises(ApprovalRequired, match=r"uat comes before prod, and .* is failed there"):
        releases.ask(release)


def test_a_failed_smoke_test_in_the_first_target_stops_the_promotion_until_it_passes(releases: Releases) -> None:
    release, log = in_uat(releases, 1), releases.cd().log
    log.append(release, smoke_of(release, target="uat", ok=False))
    with pytest.raises(ApprovalRequired, match="is failed there"):
        releases.ask(release)
    log.append(release, smoke_of(release, target="uat"))
    assert releases.ask(release).target == "prod"


def test_an_approval_of_the_second_target_counts_only_while_the_release_is_in_the_first(releases: Releases) -> None:
    in_both(releases, 1)
    release = in_uat(releases, 2)
    request = releases.ask(release)
    part = plan_restore(releases.cd(), release, only=["orders"])
    restore(releases.cd(), part, seal=part.seal)
    assert pending_approvals(releases.cd()) == [], "nobody is shown what may not be decided"
    with pytest.raises(ApprovalRequired, match="is deployed there, but for what was rolled back"):
        approve(releases.cd(OWNER), request, seal=request.seal)


def test_an_approved_release_is_not_built_once_it_was_rolled_back_before(releases: Releases) -> None:
    in_both(releases, 1)
    release = in_uat(releases, 2)
    releases.approve(releases.ask(release))
    part = plan_restore(releases.cd(), release, only=["orders"])
    restore(releases.cd(), part, seal=part.seal)
    with pytest.raises(ApprovalRequired, match="uat comes before prod"):
        build_release(releases.cd(), release, target="prod")
    assert rows(releases) == (text(1), text(1))


def test_the_order_is_looked_at_once_more_after_the_claim(releases: Releases) -> None:
    in_both(releases, 1)
    release = in_uat(releases, 2)
    releases.approve(releases.ask(release))

    def smoke_fails_meanwhile(written: Sequence[LogRow]) -> None:
        if written[0].kind == Deploying.KIND:
            releases.log_table.before_append = lambda _rows: None
            releases.cd().log.append(release, smoke_of(release, target="uat", ok=False))

    releases.log_table.before_append = smoke_fails_meanwhile
    with pytest.raises(ApprovalRequired, match="uat comes before prod"):
        build_release(releases.cd(), release, target="prod")
    assert releases.tables.rows(PROD) == text(1)
    assert deployments(releases, release) == ("failed", None), "the claim was withdrawn"


def test_a_target_whose_gate_the_commit_took_away_has_all_others_before_it(releases: Releases) -> None:
    in_both(releases, 1)
    release = staged(releases, 2)
    releases.settings = "targets: {stg: {}, uat: {gate: approval, defer_to: stg}, prod: {defer_to: stg}}"
    with pytest.raises(ApprovalRequired, match="uat comes before prod"):
        build_release(releases.cd(), release, target="prod")
    assert rows(releases) == (text(1), text(1))


# A gated target that another one defers to


def test_what_is_asked_about_is_what_was_built_into_the_gated_target_before(chained: Releases) -> None:
    release = in_uat(chained, 1)
    request = chained.ask(release)
    built = chained.cd().store.find("uat", release.id)
    assert (request.state_target, request.state_timestamp) == ("uat", built.timestamp)
    chained.approve(request)
    build_release(chained.cd(), release, target="prod")
    state = chained.dbt.calls[-1][chained.dbt.calls[-1].index("--state") + 1]
    assert Path(state) == built.path


def test_the_gated_target_before_must_have_passed_its_own_smoke_test(chained: Releases) -> None:
    release = staged(chained, 1)
    chained.approve(chained.ask(release, target="uat"))
    build_release(chained.cd(), release, target="uat")
    with pytest.raises(ApprovalRequired, match="uat was not smoke-tested"):
        chained.ask(release)
    chained.smoke(release, target="uat")
    request = chained.ask(release)
    build_release(chained.cd(), release, target="uat")  # a repair, of which nothing is known yet
    with pytest.raises(ApprovalRequired, match="the smoke report is of the build uat/"):
        chained.ask(release)
    assert pending_approvals(chained.cd()) == [], "the question is void"
    assert chained.cd().log.last(release, type(request)) == request


def test_readiness_of_production_goes_by_what_was_built_into_the_gated_target_before(chained: Releases) -> None:
    in_both(chained, 1)
    release = in_uat(chained, 2)
    ready = rollback_readiness(chained.cd(), release, target="prod")
    assert [state.name for state in ready.point.relations] == ["prod.shop.orders"]
    assert "judged by uat/" in ready.note


# Each target is rolled back on its own


def test_a_rollback_of_the_last_target_leaves_the_first(releases: Releases) -> None:
    first, second = in_both(releases, 1), in_both(releases, 2)
    result = undone(releases, second, "prod")
    assert (result.target, result.complete) == ("prod", True)
    assert rows(releases) == (text(2), text(1))
    assert deployments(releases, second) == ("deployed", "rolled_back")
    assert releases.cd().log.state(second).phase == "deployed", "it is in uat"
    assert "uat: deployed, prod: rolled back" in str(releases.cd().log.history())
    assert (latest(releases, "uat"), latest(releases, "prod")) == (second.id, first.id)
    assert (releases.cd().log.last_good("uat"), releases.cd().log.last_good("prod")) == (second, first)
    assert (releases.cd().log.newest_in("uat"), releases.cd().log.newest_in("prod")) == (second, first)


def test_latest_passes_over_what_was_rolled_back_in_its_own_target_alone(releases: Releases) -> None:
    first, second, third = (in_both(releases, n) for n in (1, 2, 3))
    undone(releases, third, "prod")
    undone(releases, second, "prod")
    assert (latest(releases, "uat"), latest(releases, "prod")) == (third.id, first.id)
    fourth = in_both(releases, 4)
    undone(releases, fourth, "prod")
    assert (latest(releases, "uat"), latest(releases, "prod")) == (fourth.id, first.id)


def test_a_rollback_of_the_first_target_leaves_the_last(releases: Releases) -> None:
    first, second = in_both(releases, 1), in_both(releases, 2)
    undone(releases, second, "uat")
    assert rows(releases) == (text(1), text(2))
    assert deployments(releases, second) == ("rolled_back", "deployed")
    assert releases.cd().log.state(second).phase == "deployed", "it is in production"
    assert (latest(releases, "uat"), latest(releases, "prod")) == (first.id, second.id)
    assert (releases.cd().log.last_good("uat"), releases.cd().log.last_good("prod")) == (first, second)


def test_a_release_is_rolled_back_when_it_is_in_every_target_that_it_has_changed(releases: Releases) -> None:
    in_both(releases, 1)
    release = in_both(releases, 2)
    undone(releases, release, "prod")
    assert not releases.cd().log.state(release).ended
    undone(releases, release, "uat")
    assert rows(releases) == (text(1), text(1))
    assert releases.cd().log.state(release).phase == "rolled_back"


def test_a_release_that_was_rolled_back_in_a_target_is_not_built_into_it_again(releases: Releases) -> None:
    in_both(releases, 1)
    release = in_both(releases, 2)
    undone(releases, release, "prod")
    with pytest.raises(ApprovalRequired, match="was rolled back in prod"):
        build_release(releases.cd(), release, target="prod")
    with pytest.raises(ApprovalRequired, match="was rolled back in prod"):
        releases.ask(release)
    build_release(releases.cd(), release, target="uat")  # a repair where it is in place
    assert rows(releases) == (text(2), text(1))


def test_of_several_targets_one_has_to_be_named(releases: Releases) -> None:
    release = in_both(releases, 1)
    with pytest.raises(RestoreRefused, match="has changed uat, prod, and a rollback is of one of them"):
        plan_restore(releases.cd(), release)
    with pytest.raises(RestoreRefused, match="never began to change stg"):
        plan_restore(releases.cd(), release, target="stg")
    assert plan_restore(releases.cd(), in_uat(releases, 2)).target == "uat", "the only one needs no name"


def test_a_plan_holds_the_relations_of_its_own_target_alone(releases: Releases) -> None:
    release = in_both(releases, 1)
    plans = [plan_restore(releases.cd(), release, target=target) for target in ("uat", "prod")]
    assert [[item.name for item in plan.items] for plan in plans] == [["uat.shop.orders"], ["prod.shop.orders"]]
    assert [" in uat; " in str(plan) or " in prod; " in str(plan) for plan in plans] == [True, True]
    assert plans[0].seal != plans[1].seal


def test_plans_of_two_targets_have_two_seals_also_where_there_is_nothing_to_do() -> None:
    plans = [RestorePlan("r", datetime(2026, 1, 1, tzinfo=UTC), (), target=target) for target in ("uat", "prod")]
    assert plans[0].seal != plans[1].seal


def test_a_release_that_has_failed_in_one_target_is_not_over_when_it_is_rolled_back_in_another(
    releases: Releases,
) -> None:
    release = in_both(releases, 1)
    releases.cd().log.append(release, smoke_of(release, target="uat", ok=False))
    undone(releases, release, "prod", new_tables="drop")
    assert releases.cd().log.state(release).phase == "failed"


def test_every_record_of_a_rollback_names_its_target(releases: Releases) -> None:
    in_both(releases, 1)
    release = in_both(releases, 2)
    undone(releases, release, "uat")
    log = releases.cd().log
    assert [point.target for point in log.all(release, RestorePoint)] == ["uat", "prod"]
    assert [after.target for after in log.all(release, VersionsAfter)] == ["uat", "prod"]
    for record_type in (RestorePlan, RestoredRelation, RestoreResult):
        assert {record.target for record in log.all(release, record_type)} == {"uat"}
    assert f"release {release.id} in uat: 1 relations restored" in str(log.last(release, RestoreResult))


def test_what_a_rollback_erased_of_a_newer_release_is_said_of_its_target_alone(releases: Releases) -> None:
    older, newer = in_both(releases, 1), in_both(releases, 2)
    plan = plan_restore(releases.cd(), older, target="uat", new_tables="drop")
    restore(releases.cd(), plan, seal=plan.seal, discard_later_writes=True)
    assert releases.cd().log.state(newer).partly_rolled_back == ("uat",)
    assert releases.cd().log.last_good("prod") == newer


def test_nothing_is_erased_of_a_newer_release_that_was_rolled_back_in_that_target(releases: Releases) -> None:
    older, newer = in_both(releases, 1), in_both(releases, 2)
    undone(releases, newer, "uat")
    releases.tables.insert(UAT, "somebody else")
    plan = plan_restore(releases.cd(), older, target="uat", new_tables="drop")
    assert plan.later_writes
    restore(releases.cd(), plan, seal=plan.seal, discard_later_writes=True)
    assert releases.cd().log.state(newer).partly_rolled_back == ()


def test_the_smoke_test_after_a_rollback_is_of_the_target_that_was_rolled_back(releases: Releases) -> None:
    in_both(releases, 1)
    release = in_both(releases, 2)
    result = undone(releases, release, "uat")
    assert smoke_after_restore(releases.cd(), release, result).target == "uat"
    assert deployments(releases, release) == ("rolled_back", "deployed")


def test_a_second_rollback_of_one_target_gives_the_result_of_the_first(releases: Releases) -> None:
    in_both(releases, 1)
    release = in_both(releases, 2)
    first = undone(releases, release, "prod")
    undone(releases, release, "uat")
    assert undone(releases, release, "prod").seal == first.seal
    assert len(releases.cd().log.all(release, RestoreResult)) == 2


# Work in two targets at the same time


def killed_in(releases: Releases, release: Release, target: str, kind: str = RestoredRelation.KIND) -> None:
    """A rollback of a target is killed before it can write an event of that kind."""

    def kill(written: Sequence[LogRow]) -> None:
        if written[0].kind == kind:
            raise KeyboardInterrupt

    releases.log_table.before_append = kill
    with pytest.raises(KeyboardInterrupt):
        undone(releases, release, target)
    releases.log_table.before_append = lambda _rows: None


def test_a_rollback_of_one_target_holds_back_no_deploy_of_another_release_to_the_other(releases: Releases) -> None:
    first = in_both(releases, 1)
    second = in_uat(releases, 2)
    releases.approve(releases.ask(second))
    third = in_uat(releases, 3)
    killed_in(releases, third, "uat")
    assert list(unfinished(releases.cd().log.events(), target="uat")) == [third.id]
    assert unfinished(releases.cd().log.events(), target="prod") == {}
    build_release(releases.cd(), second, target="prod")
    assert releases.tables.rows(PROD) == text(2)
    undone(releases, second, "prod")
    assert releases.tables.rows(PROD) == text(1)
    undone(releases, third, "uat")
    assert unfinished(releases.cd().log.events()) == {}
    assert releases.cd().log.last_good("prod") == first


def test_a_release_is_not_built_into_a_target_while_it_is_rolled_back_in_one_before(releases: Releases) -> None:
    in_both(releases, 1)
    release = in_uat(releases, 2)
    releases.approve(releases.ask(release))
    plan = plan_restore(releases.cd(), release, target="uat")

    def begins_meanwhile(written: Sequence[LogRow]) -> None:
        if written[0].kind == Deploying.KIND:
            releases.log_table.before_append = lambda _rows: None
            releases.cd().log.append(release, plan)

    releases.log_table.before_append = begins_meanwhile
    with pytest.raises(ReleaseError, match="is being rolled back in uat"):
        build_release(releases.cd(), release, target="prod")
    assert releases.tables.rows(PROD) == text(1)


def killed_deploy(releases: Releases, release: Release, target: str) -> None:
    def kill(_target: str, _relation: object) -> None:
        raise KeyboardInterrupt

    def and_before_it_says_so(written: Sequence[LogRow]) -> None:
        if written[0].kind in ("failed", "built_versions"):
            raise KeyboardInterrupt

    releases.dbt.before_statement = kill
    releases.log_table.before_append = and_before_it_says_so
    with pytest.raises(KeyboardInterrupt):
        build_release(releases.cd(), release, target=target)
    releases.dbt.before_statement = lambda _target, _relation: None
    releases.log_table.before_append = lambda _rows: None


def test_a_release_is_rolled_back_in_the_later_target_first_while_its_deploy_there_is_not_over(
    releases: Releases,
) -> None:
    in_both(releases, 1)
    release = in_uat(releases, 2)
    releases.approve(releases.ask(release))
    killed_deploy(releases, release, "prod")
    plan = plan_restore(releases.cd(), release, target="uat")
    with pytest.raises(RestoreRefused, match=r"is still deploying to prod, .*, and prod comes after uat"):
        restore(releases.cd(), plan, seal=plan.seal, discard_later_writes=True)
    there = plan_restore(releases.cd(), release, target="prod")
    restore(releases.cd(), there, seal=there.seal, discard_later_writes=True)
    undone(releases, release, "uat")
    assert rows(releases) == (text(1), text(1))


def test_production_is_rolled_back_while_a_release_is_being_deployed_to_the_target_before(releases: Releases) -> None:
    in_both(releases, 1)
    bad = in_both(releases, 2)
    killed_deploy(releases, bad, "uat")
    undone(releases, bad, "prod")
    assert releases.tables.rows(PROD) == text(1)
    newer = staged(releases, 3)
    with pytest.raises(ReleaseError, match="is deploying to uat"):
        releases.promoted(newer, "uat")


def test_production_is_rolled_back_while_another_release_is_being_deployed_to_the_target_before(
    releases: Releases,
) -> None:
    in_both(releases, 1)
    bad = in_both(releases, 2)
    newer = staged(releases, 3)
    releases.approve(releases.ask(newer, target="uat"))
    killed_deploy(releases, newer, "uat")
    with pytest.raises(RestoreRefused, match="is deploying to uat"):
        undone(releases, bad, "uat")
    undone(releases, bad, "prod")
    assert releases.tables.rows(PROD) == text(1)


# Overtaken in one target


def test_a_release_that_waits_for_the_second_target_is_not_superseded_as_a_whole(releases: Releases) -> None:
    first = in_uat(releases, 1)
    request = releases.ask(first)
    staged(releases, 2)
    assert releases.cd().log.state(first).phase == "deployed"
    assert pending_approvals(releases.cd()) == [request]
    releases.approve(request)
    build_release(releases.cd(), first, target="prod")
    assert releases.tables.rows(PROD) == text(1)


def test_a_release_is_overtaken_in_the_second_target_when_a_newer_one_is_asked_about(releases: Releases) -> None:
    first = in_uat(releases, 1)
    request = releases.ask(first)
    second = in_uat(releases, 2)
    assert pending_approvals(releases.cd()) == [request], "the newer one is not asked about yet"
    newer = releases.ask(second)
    assert pending_approvals(releases.cd()) == [newer]
    for act in (
        lambda: approve(releases.cd(OWNER), request, seal=request.seal),
        lambda: releases.ask(first),
        lambda: require_approval(releases.cd(), first, target="prod"),
    ):
        with pytest.raises(ApprovalSuperseded, match=f"was overtaken by {second.id}, about which prod was asked"):
            act()
    reject(releases.cd(OWNER), newer, reason="wrong")
    assert pending_approvals(releases.cd()) == [request], "that one does not come"


def test_an_approved_release_is_overtaken_in_a_target_when_a_newer_one_has_changed_it(releases: Releases) -> None:
    first = in_uat(releases, 1)
    releases.approve(releases.ask(first))
    second = in_uat(releases, 2)
    releases.approve(releases.ask(second))
    assert require_approval(releases.cd(), first, target="prod").outcome == "approved"
    build_release(releases.cd(), second, target="prod")
    with pytest.raises(ApprovalSuperseded, match="which is deployed in prod"):
        build_release(releases.cd(), first, target="prod")
    assert rows(releases) == (text(2), text(2))


def test_a_release_that_failed_in_production_and_is_asked_about_anew_is_not_superseded_in_the_first_target(
    releases: Releases,
) -> None:
    releases.model("payments", "fails in prod")
    first = in_uat(releases, 1)
    releases.approve(releases.ask(first))
    with pytest.raises(DbtFailed):
        build_release(releases.cd(), first, target="prod")
    releases.ask(first, full_refresh=True)
    staged(releases, 2)
    assert not releases.cd().log.state(first).ended
    assert deployments(releases, first) == ("deployed", "failed")


def test_requests_of_two_targets_are_kept_apart(releases: Releases) -> None:
    first = in_uat(releases, 1)
    of_prod = releases.ask(first)
    of_uat = releases.ask(first, target="uat", full_refresh=True)
    assert {request.target for request in pending_approvals(releases.cd())} == {"uat", "prod"}
    releases.approve(of_uat)
    with pytest.raises(ApprovalPending, match="for prod"):
        require_approval(releases.cd(), first, target="prod")
    assert pending_approvals(releases.cd()) == [of_prod]


# The notebooks of people


@dataclass
class Notebook:
    """A notebook of the repository in a context that is given to it, as `open_cd` would."""

    name: str
    shown: list[str] = field(default_factory=list)

    def run(self, cd: Cd, monkeypatch: pytest.MonkeyPatch, **widgets: str) -> str:
        """What it prints."""
        printed = io.StringIO()
        monkeypatch.setattr(dbx_cd, "open_cd", lambda *_args, **_how: cd)
        monkeypatch.setattr(
            dbx_cd, "resume", lambda _workspace, release, target, after: f"resumed {release.id} at {target}"
        )
        names = {name: lambda *_declared: None for name in ("text", "dropdown", "combobox")} | {
            "get": lambda name: widgets.get(name, DEFAULTS.get(name, ""))
        }
        dbutils = SimpleNamespace(widgets=SimpleNamespace(**names), notebook=SimpleNamespace(exit=lambda _text: None))
        source = (Path(__file__).parents[2] / "notebooks" / f"{self.name}.py").read_text()
        with redirect_stdout(printed):
            exec(source, {"spark": None, "dbutils": dbutils, "displayHTML": self.shown.append})
        return printed.getvalue()


DEFAULTS = {"new_tables": "keep", "discard_later_writes": "false", "rehearse": "false"}


def test_the_notebook_approve_decides_about_one_target_at_a_time(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = in_uat(releases, 1)
    of_prod = releases.ask(first)
    of_uat = releases.ask(first, target="uat", full_refresh=True)
    cd, notebook = releases.cd(OWNER), Notebook("approve")
    assert "Nothing decided" in notebook.run(cd, monkeypatch)
    assert len(notebook.shown) == 2
    for decision in ({"seal": of_prod.seal}, {"reject_because": "wrong"}):
        with pytest.raises(SystemExit, match=f"{first.id} waits for (uat and prod|prod and uat): fill in target"):
            notebook.run(cd, monkeypatch, release_id=first.id, **decision)
    with pytest.raises(SystemExit, match=rf"does not wait for a decision for stg; these do: {first.id} for "):
        notebook.run(cd, monkeypatch, release_id=first.id, target="stg", seal=of_prod.seal)
    printed = notebook.run(cd, monkeypatch, release_id=first.id, target="prod", seal=of_prod.seal)
    assert f"resumed {first.id} at prod" in printed
    assert pending_approvals(releases.cd()) == [of_uat]
    assert "rejected" in notebook.run(cd, monkeypatch, release_id=first.id, reject_because="wrong"), "one is left"


def test_the_notebook_rollback_plans_for_the_target_in_its_widget(
    releases: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = in_both(releases, 1)
    cd, notebook = releases.cd(OWNER), Notebook("rollback")
    with pytest.raises(RestoreRefused, match="has changed uat, prod"):
        notebook.run(cd, monkeypatch, release_id=release.id)
    printed = notebook.run(cd, monkeypatch, release_id=release.id, target="uat")
    assert "uat.shop.orders" in printed
    assert "prod.shop.orders" not in printed


# What a gated target is compared with, and what latest names


def test_production_is_compared_with_itself_and_not_with_the_restore_point_of_the_target_before(
    releases: Releases,
) -> None:
    in_both(releases, 1)
    release = in_uat(releases, 2)
    releases.approve(releases.ask(release))
    none_yet = baseline_for(releases.cd(), release, "prod")
    assert str(getattr(none_yet, "reason", "")).endswith("has no restore point")
    build_release(releases.cd(), release, target="prod")
    for target, table in (("uat", UAT), ("prod", PROD)):
        found = baseline_for(releases.cd(), release, target)
        assert isinstance(found, TimeTravelBaseline)
        assert found.source("orders", table) == f"`{target}`.`shop`.`orders` VERSION AS OF 0"
        other = PROD if table == UAT else UAT
        assert found.source("orders", other) != f"`{other.catalog}`.`shop`.`orders` VERSION AS OF 0"


def test_staging_is_compared_with_the_first_target_that_defers_to_it(releases: Releases) -> None:
    release = in_both(releases, 1)
    found = baseline_for(releases.cd(), release, "stg")
    assert isinstance(found, ArtifactVersion)
    assert found.target == "uat"


def test_what_waits_for_the_second_target_is_not_pruned(releases: Releases) -> None:
    releases.settings += "\nkeep: {versions: 1, days: 1}"
    waiting = in_uat(releases, 1)
    releases.ask(waiting)
    in_uat(releases, 2)
    cd = releases.cd()
    cd = replace(cd, store=ArtifactStore(releases.root, clock=lambda: datetime(2030, 1, 1, tzinfo=UTC)))
    kept = prune_artifacts(cd)["stg"].kept
    assert cd.store.find("stg", waiting.id).timestamp in kept


# Automatic rollback


def under_any(releases: Releases) -> Cd:
    cd = releases.cd()
    return replace(cd, config=replace(cd.config, policies=Policies(auto_rollback="any")))


def test_an_automatic_rollback_of_production_leaves_the_target_before(releases: Releases) -> None:
    in_both(releases, 1)
    release = in_both(releases, 2)
    releases.cd().log.append(release, smoke_of(release, target="prod", ok=False))
    outcome = auto_rollback(under_any(releases), release, target="prod")
    assert isinstance(outcome, RestoreResult)
    assert rows(releases) == (text(2), text(1))
    assert deployments(releases, release) == ("deployed", "rolled_back")


def test_an_automatic_rollback_does_nothing_in_the_target_that_did_not_fail(releases: Releases) -> None:
    release = in_both(releases, 1)
    releases.cd().log.append(release, smoke_of(release, target="prod", ok=False))
    outcome = auto_rollback(under_any(releases), release, target="uat")
    assert isinstance(outcome, NotRolledBack)
    assert outcome.reason.endswith("is deployed in uat")


def test_an_automatic_rollback_after_a_kill_goes_by_the_restore_point_of_its_own_target(releases: Releases) -> None:
    in_both(releases, 1)
    release = in_uat(releases, 2)
    releases.approve(releases.ask(release))
    killed_deploy(releases, release, "prod")
    outcome = auto_rollback(under_any(releases), release, target="prod")
    assert isinstance(outcome, NotRolledBack), "nothing had been written"
    after = releases.cd().log.all(release, VersionsAfter)[-1]
    assert (after.target, [relation.name for relation in after.relations]) == ("prod", ["prod.shop.orders"])
    assert deployments(releases, release) == ("deployed", "failed")


# Records of earlier wheels


def as_by_an_earlier_wheel(releases: Releases) -> None:
    """The log as it would be had a wheel written it whose records do not name the target."""
    kinds = ("restore_point", "built_versions", "restore_planned", "restored_relation", "rolled_back")
    for n, (version, row) in enumerate(releases.log_table._rows):
        if row.kind in kinds:
            payload = json.loads(row.payload or "{}")
            for part in (payload, *payload.get("relations", ())):
                part.pop("target", None)
            releases.log_table._rows[n] = (version, replace(row, payload=json.dumps(payload)))
    releases.log_table._briefs.clear()


def test_a_restore_point_without_a_target_is_of_the_target_that_was_claimed_before_it(releases: Releases) -> None:
    in_both(releases, 1)
    release = in_both(releases, 2)
    as_by_an_earlier_wheel(releases)
    assert {point.target for point in releases.cd().log.all(release, RestorePoint)} == {""}
    log = releases.cd().log.read(release)
    names = {target: [s.name for p in points_of(log, target) for s in p.relations] for target in ("uat", "prod", "")}
    assert names == {
        "uat": ["uat.shop.orders"],
        "prod": ["prod.shop.orders"],
        "": ["uat.shop.orders", "prod.shop.orders"],
    }
    undone(releases, release, "prod")
    assert rows(releases) == (text(2), text(1))


def test_a_rollback_without_a_target_is_of_all_that_the_release_changed(releases: Releases) -> None:
    release = in_both(releases, 1)
    undone(releases, release, "prod", new_tables="drop")
    assert deployments(releases, release) == ("deployed", "rolled_back")
    as_by_an_earlier_wheel(releases)
    assert deployments(releases, release) == ("rolled_back", "rolled_back")
    assert releases.cd().log.state(release).phase == "rolled_back"


def test_a_restore_without_a_target_that_was_killed_goes_on_in_each_target_until_it_ends_there(
    releases: Releases,
) -> None:
    in_both(releases, 1)
    release = in_both(releases, 2)
    killed_in(releases, release, "prod")
    as_by_an_earlier_wheel(releases)
    events = releases.cd().log.events
    assert [list(unfinished(events(), target=target)) for target in ("uat", "prod")] == [[release.id], [release.id]]
    undone(releases, release, "prod")
    assert [list(unfinished(events(), target=target)) for target in ("uat", "prod")] == [[release.id], []]
    undone(releases, release, "uat")
    assert unfinished(events()) == {}
    assert rows(releases) == (text(1), text(1))


def test_records_of_a_single_target_need_no_name(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    releases.tables.create(PROD, 1)
    cd, release = releases.cd(), releases.open()
    cd.log.append(release, Deploying("prod"))
    point = capture_restore_point(cd, release, [PROD])
    releases.tables.create(PROD, 2)
    record_versions_after(cd, release, point, built=[PROD])
    cd.log.append(release, Deployed("prod", ""))
    assert (point.target, plan_restore(cd, release).target) == ("", "prod")
    undone(releases, release)
    assert releases.tables.rows(PROD) == [1]
