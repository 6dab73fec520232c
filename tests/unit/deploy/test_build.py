"""`build_release` on tables in memory: what it does, in which order, and what it refuses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dbx_cd import (
    ApprovalPending,
    ApprovalStale,
    ApprovalSuperseded,
    ArtifactNotFound,
    ConfigError,
    DbtFailed,
    DbtRun,
    DbxCdError,
    Release,
    ReleaseError,
    ReleaseSuperseded,
    RestorePoint,
    RestoreRefused,
    build_release,
    plan_restore,
    reject,
    request_approval,
    restore,
    rollback_readiness,
)
from dbx_cd.policies import Policies
from dbx_cd.release.events import Deploying, Failed
from dbx_cd.rollback.capture import capture_restore_point
from dbx_cd.rollback.plan import RestorePlan
from memory.releases import BOT, DEVELOPER, OWNER, Releases, relation, smoke_of

ORDERS, PAYMENTS = relation("prod", "orders"), relation("prod", "payments")


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def kinds(releases: Releases, *, after: str = "approved") -> list[str]:
    """The events of the newest release after the first one of a kind."""
    cd = releases.cd()
    newest = next(iter(cd.log.history()))[0]
    found = [e.kind for e in cd.log.events(newest.id)]
    return found[found.index(after) + 1 :]


def test_a_deploy_writes_down_every_step_in_order(releases: Releases) -> None:
    release = releases.deployed()
    assert kinds(releases) == ["deploying", "restore_point", "built_versions", "built", "deployed"]
    assert releases.tables.rows(ORDERS) == ["select 1 as id"]
    assert releases.cd().log.state(release).deployed_to == ("prod",)
    assert releases.cd().store.latest("prod").release_id == release.id


@pytest.mark.parametrize("how", ["publishing fails", "the task is cancelled"])
def test_where_a_build_left_its_relations_is_recorded_although(releases: Releases, how: str) -> None:
    releases.deployed("1")
    releases.model("orders", "select 2 as id")
    release = releases.approved("2", commit="b" * 40)
    cd = releases.cd()
    if how == "publishing fails":
        folder = releases.root / "prod"

        def unwritable(*_: object) -> None:
            folder.rename(releases.root / "away")
            folder.write_text("no folder")

        releases.dbt.before_statement = unwritable
    else:

        def cancelled(*_: object) -> None:
            releases.tables.insert(ORDERS, "by the build")
            raise KeyboardInterrupt

        releases.dbt.before_statement = cancelled
    with pytest.raises((OSError, DbxCdError, KeyboardInterrupt)):
        build_release(cd, release, target="prod")
    assert cd.log.state(release).phase == "failed"
    plan = plan_restore(cd, release)
    assert [(i.action, i.later_writes) for i in plan.items] == [("restore", ())]
    restore(cd, plan, seal=plan.seal)
    assert releases.tables.rows(ORDERS) == ["select 1 as id"]


def test_a_build_killed_half_way_and_repaired_needs_no_second_approval_and_goes_back_to_before_it(
    releases: Releases,
) -> None:
    releases.deployed("1")
    releases.tables.age(ORDERS, days=8)
    releases.model("orders", "select 2 as id")
    release, cd = releases.approved("2", commit="b" * 40), releases.cd()
    appended = releases.log_table.append

    def killed(*_: object) -> None:
        """As by SIGKILL: nothing reaches the log any more."""
        releases.tables.insert(ORDERS, "half of it")
        releases.log_table.append = dead  # type: ignore[method-assign]
        raise KeyboardInterrupt

    def dead(_rows: object) -> None:
        raise KeyboardInterrupt

    releases.dbt.before_statement = killed
    with pytest.raises(KeyboardInterrupt):
        build_release(cd, release, target="prod")
    releases.log_table.append = appended  # type: ignore[method-assign]
    releases.dbt.before_statement = lambda *_: None
    assert cd.log.state(release).phase == "deploying"
    build_release(cd, release, target="prod")
    assert len(cd.log.all(release, RestorePoint)) == 2
    assert releases.tables.rows(ORDERS) == ["select 2 as id"]
    plan = plan_restore(cd, release)
    restore(cd, plan, seal=plan.seal, discard_later_writes=True)
    assert releases.tables.rows(ORDERS) == ["select 1 as id"]


def dbt_is_killed(releases: Releases) -> Release:
    """A release that changes a table and a view and creates another table, and then the system kills its dbt."""
    releases.model("daily", "view of ref('orders')")
    releases.model("payments")
    releases.deployed("1")
    releases.model("daily", "view of ref('payments')")
    for name in ("new", "orders", "payments"):
        releases.model(name, "select 2 as id")
    release = releases.approved("2", commit="b" * 40)
    releases.dbt.killed_after = ORDERS
    with pytest.raises(DbtFailed) as raised:
        build_release(releases.cd(), release, target="prod")
    assert isinstance(raised.value.result, DbtRun)
    assert not (raised.value.result.files_dir / "run_results.json").exists()
    assert releases.cd().log.state(release).phase == "failed"
    return release


def test_tables_of_a_build_whose_dbt_the_system_killed_are_brought_back(releases: Releases) -> None:
    release, cd = dbt_is_killed(releases), releases.cd()
    assert [releases.tables.rows(t) for t in (ORDERS, PAYMENTS)] == [["select 2 as id"], ["select 1 as id"]]
    plan = plan_restore(cd, release, only=["orders", "payments"])
    assert {i.name: (i.action, i.later_writes) for i in plan.items} == {
        str(ORDERS): ("restore", ()),
        str(PAYMENTS): ("none", ()),
    }
    restore(cd, plan, seal=plan.seal)
    assert releases.tables.rows(ORDERS) == ["select 1 as id"]


def test_what_a_dbt_that_the_system_killed_has_built_is_the_release_s_although_it_could_not_say_so(
    releases: Releases,
) -> None:
    release, cd = dbt_is_killed(releases), releases.cd()
    plan = plan_restore(cd, release, only=["daily", "new"], new_tables="drop")
    assert {i.relation.identifier: i.action for i in plan.items} == {"daily": "recreate_view", "new": "drop"}


def test_a_version_of_today_that_another_release_made_leaves_an_approval_valid(releases: Releases) -> None:
    releases.deployed("1")
    releases.tables.age(ORDERS, days=8)
    release = releases.approved("2", commit="b" * 40)
    before = len(releases.tables.table(ORDERS).commits)
    capture_restore_point(releases.cd(), releases.open("0"), [ORDERS])
    assert len(releases.tables.table(ORDERS).commits) == before + 2
    build_release(releases.cd(), release, target="prod")
    assert releases.cd().log.state(release).deployed_to == ("prod",)


def test_commits_of_somebody_else_during_a_build_need_consent_unless_the_config_names_them(
    releases: Releases,
) -> None:
    releases.deployed("1")
    releases.model("orders", "select 2 as id")
    first = releases.approved("2", commit="b" * 40)
    releases.tables.user = "dbt"
    build_release(releases.cd(), first, target="prod")
    (item,) = plan_restore(releases.cd(), first).items
    assert item.action == "restore"
    assert "by dbt (during the build, but not by bot;" in item.later_writes[0]
    releases.settings = "targets: {stg: {}, prod: {gate: approval, defer_to: stg, writers: [dbt]}}"
    releases.model("orders", "select 3 as id")
    second = releases.approved("3", commit="c" * 40)
    build_release(releases.cd(), second, target="prod")
    assert [(i.action, i.later_writes) for i in plan_restore(releases.cd(), second).items] == [("restore", ())]


def test_the_restore_point_is_in_the_log_before_dbt_s_first_statement(releases: Releases) -> None:
    seen: list[list[str]] = []
    releases.deployed("1")
    second = releases.approved("2", commit="b" * 40)
    releases.dbt.before_statement = lambda *_: seen.append(kinds(releases))
    build_release(releases.cd(), second, target="prod")
    assert seen == [["deploying", "restore_point"]]
    point = releases.cd().log.last(second, RestorePoint)
    assert point is not None
    assert [(s.name, s.version) for s in point.relations] == [("prod.shop.orders", 0)]


def test_a_gated_target_is_built_from_the_archive_and_not_from_the_checkout(releases: Releases) -> None:
    release = releases.approved()
    releases.model("orders", "select 'not approved' as id")
    releases.model("customers")
    build_release(releases.cd(), release, target="prod", project_dir=releases.project)
    assert releases.tables.rows(ORDERS) == ["select 1 as id"]
    assert relation("prod", "customers").key not in releases.tables.relations


def test_production_defers_to_the_release_s_own_artifacts_while_latest_has_moved_on(releases: Releases) -> None:
    release = releases.approved("1")
    mine = releases.cd().store.find("stg", release.id).path
    other = releases.staged("2", commit="b" * 40)
    assert releases.cd().store.latest("stg").release_id == other.id
    build_release(releases.cd(), release, target="prod")
    deferring = [call for call in releases.dbt.calls if "--defer" in call]
    assert [call[call.index("--state") + 1] for call in deferring] == [str(mine)]
    assert {call[0] for call in deferring} == {"build"}
    (build,) = deferring
    assert "--favor-state" in build
    assert Path(build[build.index("--defer-state") + 1]).name == "deferred"


@pytest.mark.parametrize(
    ("other", "changed"),
    [
        ({"select": "tag:everything"}, "select"),
        ({"exclude": "orders"}, "exclude"),
        ({"full_refresh": True}, "full_refresh"),
        ({"with_parents": "all"}, "with_parents"),
        ({"cmd": "run"}, "cmd"),
    ],
)
def test_parameters_other_than_those_approved_are_refused(
    releases: Releases, other: dict[str, Any], changed: str
) -> None:
    release = releases.approved()
    with pytest.raises(ApprovalStale, match="not those that were approved") as refused:
        build_release(releases.cd(), release, target="prod", **other)
    assert refused.value.changed == (changed,)
    assert kinds(releases) == []


@pytest.mark.parametrize("cmd", ["build --select everything", "run-operation drop_all", "seed", "ls", "retry"])
def test_nothing_but_build_and_run_changes_a_gated_target(releases: Releases, cmd: str) -> None:
    release = releases.approved()
    with pytest.raises(ConfigError, match="is built by build or run"):
        build_release(releases.cd(), release, target="prod", cmd=cmd)
    with pytest.raises(ConfigError, match="is built by build or run"):
        request_approval(releases.cd(), release, target="prod", cmd=cmd)
    assert kinds(releases) == []


@pytest.mark.parametrize(
    "cmd", ["build --target prod", "run-operation drop_it", "build --vars {a:1}", "seed", " build"]
)
def test_nothing_but_build_and_run_builds_staging(releases: Releases, cmd: str) -> None:
    with pytest.raises(ConfigError, match="is built by build or run"):
        build_release(releases.cd(), releases.open(), target="stg", cmd=cmd, project_dir=releases.project)
    assert releases.dbt.calls == []


@pytest.mark.parametrize(
    "given", [{"select": "tag:deploy --full-refresh"}, {"exclude": "orders --vars {a:1} --empty"}], ids=["sel", "excl"]
)
def test_a_flag_in_the_selection_is_refused_before_anybody_is_asked(releases: Releases, given: dict[str, Any]) -> None:
    release = releases.staged()
    calls = list(releases.dbt.calls)
    with pytest.raises(ConfigError, match="would take for a flag"):
        request_approval(releases.cd(), release, target="prod", **given)
    assert kinds(releases, after="smoked") == []
    for target in ("stg", "prod"):
        with pytest.raises(ConfigError, match="would take for a flag"):
            build_release(releases.cd(), release, target=target, project_dir=releases.project, **given)
    assert releases.dbt.calls == calls


@pytest.mark.parametrize("name", ["DBT_FULL_REFRESH", "DBT_ENGINE_FULL_REFRESH", "DBT_EMPTY", "DBT_ENGINE_DEFER_STATE"])
@pytest.mark.parametrize("target", ["stg", "prod"])
def test_an_environment_variable_cannot_change_what_a_release_builds(
    releases: Releases, target: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = releases.approved()
    calls = list(releases.dbt.calls)
    monkeypatch.setenv(name, "true")
    with pytest.raises(ConfigError, match=f"{name} would change what dbt builds"):
        build_release(releases.cd(), release, target=target, project_dir=releases.project)
    assert releases.dbt.calls == calls
    monkeypatch.setenv(name, "")
    build_release(releases.cd(), release, target=target, project_dir=releases.project)


def test_a_profile_of_the_checkout_is_not_what_was_approved(releases: Releases) -> None:
    release = releases.approved()
    with pytest.raises(ConfigError, match="profiles_dir 'conf' lies in the checkout"):
        build_release(releases.cd(), release, target="prod", profiles_dir="conf")


def test_what_was_approved_as_run_is_built_by_run(releases: Releases) -> None:
    release = releases.staged()
    releases.approve(releases.ask(release, cmd="run"))
    with pytest.raises(ApprovalStale):
        build_release(releases.cd(), release, target="prod", cmd="build", select="orders")
    build_release(releases.cd(), release, target="prod", cmd="run")
    assert releases.dbt.calls[-1][0] == "run"


def test_without_an_approval_nothing_happens(releases: Releases) -> None:
    release = releases.staged()
    with pytest.raises(ApprovalPending):
        build_release(releases.cd(), release, target="prod")
    assert "deploying" not in [e.kind for e in releases.cd().log.events()]


def test_a_commit_cannot_take_the_gate_of_a_target_away(releases: Releases) -> None:
    releases.deployed("1")
    releases.settings = "targets: {stg: {}, prod: {}}\n"
    with pytest.raises(ApprovalPending, match="nobody has been asked"):
        build_release(releases.cd(), releases.open("2"), target="prod", project_dir=releases.project)


def test_a_build_that_fails_halfway_is_published_and_latest_stays(releases: Releases) -> None:
    first = releases.deployed("1")
    releases.model("payments", "select 1 as id -- fails in prod")
    releases.model("orders", "select 2 as id")
    second = releases.approved("2", commit="b" * 40)
    with pytest.raises(DbtFailed, match="payments fails in prod"):
        build_release(releases.cd(), second, target="prod")
    cd = releases.cd()
    assert kinds(releases)[-3:] == ["built_versions", "built", "failed"]
    assert (cd.log.state(second).phase, cd.log.state(second).deployed_to) == ("failed", ())
    assert cd.log.last_good("prod") == first
    assert cd.store.latest("prod").release_id == first.id
    (left,) = [v for v in cd.store.list("prod") if v.release_id == second.id]
    assert not left.ok
    plan = plan_restore(cd, second)
    assert not plan.later_writes, "the versions after the failed build are recorded as well"
    assert restore(cd, plan, seal=plan.seal).ok
    assert releases.tables.rows(ORDERS) == ["select 1 as id"]


def test_a_staging_build_that_fails_is_published_and_latest_stays(releases: Releases) -> None:
    first = releases.staged("1")
    releases.model("orders", "fails in stg")
    second = releases.open("2")
    with pytest.raises(DbtFailed):
        releases.build(second)
    cd = releases.cd()
    assert cd.store.latest("stg").release_id == first.id
    assert [v.ok for v in cd.store.list("stg") if v.release_id == second.id] == [False]
    assert cd.log.state(second).phase == "failed"


def test_without_staging_artifacts_nothing_can_be_deferred_to(releases: Releases) -> None:
    state = releases.root / "dev" / "latest"
    with pytest.raises(ArtifactNotFound, match="no artifacts of target 'dev'"):
        build_release(releases.cd(), releases.open(), target="stg", defer=True, state_path=state)


def test_a_superseded_release_is_not_built_any_more(releases: Releases) -> None:
    older = releases.staged("1")
    releases.open("2")
    with pytest.raises(ReleaseSuperseded):
        releases.build(older)


def test_two_releases_do_not_deploy_at_once(releases: Releases) -> None:
    cd, other = releases.cd(), releases.open("other", commit="d" * 40)
    cd.log.append(other, Deploying("prod"))
    release = releases.approved("1")
    with pytest.raises(ReleaseError, match="is deploying to prod"):
        build_release(cd, release, target="prod")
    assert kinds(releases) == ["deploying", "claim_withdrawn"]
    assert cd.log.state(release).phase == "approved", "a claim that was withdrawn changes nothing"
    assert relation("prod", "orders").key not in releases.tables.relations
    cd.log.append(other, Failed("prod", "stopped"))
    build_release(cd, release, target="prod")


def test_of_two_claims_at_once_the_earlier_commit_has_the_target(releases: Releases) -> None:
    older = releases.approved("1")
    newer = releases.approved("2", commit="b" * 40)
    _while_claiming(releases, older, lambda: releases.cd().log.append(newer, Deploying("prod")))
    build_release(releases.cd(), older, target="prod")
    assert releases.cd().log.state(older).deployed_to == ("prod",)


def test_a_newer_release_deployed_between_approval_and_claim_is_not_overwritten(releases: Releases) -> None:
    older = releases.approved("1")
    releases.model("orders", "select 2 as id")
    newer = releases.approved("2", commit="b" * 40)
    _when_claiming(releases, older, lambda: build_release(releases.cd(), newer, target="prod"))
    with pytest.raises(ApprovalSuperseded, match="which is deployed in prod"):
        build_release(releases.cd(), older, target="prod")
    assert releases.tables.rows(ORDERS) == ["select 2 as id"]
    assert releases.cd().log.last_good("prod") == newer


@pytest.mark.parametrize(("who", "goes_in"), [(BOT, True), (OWNER, True), (DEVELOPER, False)])
def test_an_older_approved_release_goes_in_after_a_rollback_by_the_workflow_or_an_approver_alone(
    releases: Releases, who: str, goes_in: bool
) -> None:
    older = releases.approved("1")
    releases.model("orders", "select 2 as id")
    newer = releases.deployed("2", commit="b" * 40)
    plan = plan_restore(releases.cd(), newer, new_tables="drop")
    restore(releases.cd(who), plan, seal=plan.seal)
    if goes_in:
        build_release(releases.cd(), older, target="prod")
    else:
        for step in (lambda: build_release(releases.cd(), older, target="prod"), lambda: releases.ask(older)):
            with pytest.raises(ApprovalSuperseded, match=f"somebody outside .* lets no older release in: {newer.id}"):
                step()
    assert (ORDERS.key in releases.tables.relations) == goes_in


def test_a_release_rolled_back_between_approval_and_claim_is_not_built(releases: Releases) -> None:
    release = releases.deployed("1")

    def roll_back() -> None:
        plan = plan_restore(releases.cd(), release, new_tables="drop")
        restore(releases.cd(OWNER), plan, seal=plan.seal)

    _when_claiming(releases, release, roll_back)
    with pytest.raises(Exception, match="was rolled back"):
        build_release(releases.cd(), release, target="prod")
    assert relation("prod", "orders").key not in releases.tables.relations
    assert releases.cd().log.state(release).phase == "rolled_back"


@pytest.mark.parametrize("moment", ["after the look at the approval", "before the claim"])
def test_a_release_that_is_asked_about_anew_between_approval_and_claim_is_not_built(
    releases: Releases, moment: str
) -> None:
    release, table = releases.approved(), releases.log_table
    first = [lambda: releases.ask(release, full_refresh=True)]

    def ask_anew() -> None:
        if first:
            first.pop()()

    if moment == "before the claim":
        table.before_append = lambda rows: ask_anew() if rows[0].kind == "deploying" else None
    else:
        table.after_read = ask_anew
    with pytest.raises(ApprovalStale, match="asked about anew"):
        build_release(releases.cd(), release, target="prod")
    assert ORDERS.key not in releases.tables.relations
    assert releases.cd().log.state(release).phase == "waiting"


def test_a_staging_build_reads_the_log_once(releases: Releases) -> None:
    release = releases.open()
    reads: list[None] = []
    releases.log_table.after_read = lambda: reads.append(None)
    releases.build(release)
    assert len(reads) == 1


def test_a_refused_claim_does_not_take_a_deployed_release_from_its_target(releases: Releases) -> None:
    release = releases.deployed("1")
    cd, other = releases.cd(), releases.open("2", commit="b" * 40)
    cd.log.append(other, RestorePlan(other.id, release.opened_at, ()))
    with pytest.raises(ReleaseError, match="is being rolled back"):
        build_release(cd, release, target="prod")
    assert cd.log.state(release).deployed_to == ("prod",)
    assert cd.log.last_good("prod") == release


def test_a_deploy_that_would_lose_a_table_for_good_is_refused_where_the_policy_says_so(releases: Releases) -> None:
    releases.deployed("1")
    releases.model("orders", "view of ref('base')")
    releases.model("base")
    release = releases.approved("2", commit="b" * 40)
    strict = replace(
        releases.cd(), config=replace(releases.cd().config, policies=Policies(require_rollback_ready="error"))
    )
    with pytest.raises(RestoreRefused, match=r"orders \(the build drops it for a view, with its history"):
        build_release(strict, release, target="prod")
    assert releases.tables.rows(ORDERS) == ["select 1 as id"]
    assert strict.log.state(release).phase == "failed"
    found = rollback_readiness(strict, release, target="prod")
    assert [r.reason.split(",")[0] for r in found.point.readiness if r.is_lost] == ["the build drops it for a view"]


def test_a_repair_after_which_the_first_attempt_could_not_be_undone_is_refused_where_the_policy_says_so(
    releases: Releases,
) -> None:
    releases.deployed("1")
    releases.model("orders", "select 2 as id")
    releases.model("payments", "fails in prod")
    release, cd = releases.approved("2", commit="b" * 40), releases.cd()
    with pytest.raises(DbtFailed):
        build_release(cd, release, target="prod")
    releases.tables.age(ORDERS, days=9)
    releases.log_table.move_back({str(ORDERS): timedelta(days=9)})
    strict = replace(cd, config=replace(cd.config, policies=Policies(require_rollback_ready="error")))
    with pytest.raises(RestoreRefused, match=r"1 relations could not be .* prod\.shop\.orders .* Delta went back to"):
        build_release(strict, release, target="prod")


def test_a_rejected_release_is_not_built_although_it_was_approved_under_another_seal(releases: Releases) -> None:
    release = releases.approved("1")
    again = releases.ask(release, full_refresh=True)
    reject(releases.cd(OWNER), again, reason="not twice")
    with pytest.raises(Exception, match="was rejected"):
        build_release(releases.cd(BOT), release, target="prod")


@pytest.mark.parametrize("repair", ["build", "smoke", "failed smoke", "failed build"])
def test_repairing_staging_does_not_undeploy_a_release(releases: Releases, repair: str) -> None:
    release = releases.deployed("1")
    if repair == "failed build":
        releases.model("orders", "fails in stg")
        with pytest.raises(DbtFailed):
            releases.build(release)
    elif repair == "build":
        releases.build(release)
    else:
        releases.cd().log.append(release, smoke_of(release, ok=repair == "smoke"))
    state = releases.cd().log.state(release)
    assert (state.phase, state.deployed_to) == ("deployed", ("prod",))
    assert releases.cd().log.last_good("prod") == release


def _when_claiming(releases: Releases, release: Any, act: Callable[[], object]) -> None:
    """Let something happen right before a release's claim is in the log."""
    _once(releases, "before_append", release, act)


def _while_claiming(releases: Releases, release: Any, act: Callable[[], object]) -> None:
    """Let something happen right after a release's claim is in the log."""
    _once(releases, "after_append", release, act)


def _once(releases: Releases, hook: str, release: Any, act: Callable[[], object]) -> None:
    todo = [act]

    def watch(rows: Any) -> None:
        if todo and (rows[0].kind, rows[0].release_id) == (Deploying.KIND, release.id):
            todo.pop()()

    setattr(releases.log_table, hook, watch)
