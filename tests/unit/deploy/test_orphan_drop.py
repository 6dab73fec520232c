"""Relations that nothing makes any more: told, or dropped once somebody has agreed to it by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx_cd import ConsentMissing, DbtFailed, Release, approve, build_release, plan_restore, request_approval, restore
from dbx_cd.approval.request import ApprovalRequest
from memory.releases import OWNER, Releases, relation
from memory.tables import MemoryTables

OLD = relation("prod", "payments")
LOSS = "prod.shop.payments: orphan"


def releases_in(folder: Path, settings: str) -> Releases:
    made = Releases(folder, settings, tables=MemoryTables(has_undrop=True))
    made.model("payments", "select 5 as id")
    made.deployed("1")
    return made


def without_payments(releases: Releases) -> tuple[Release, ApprovalRequest]:
    (releases.project / "models" / "payments.sql").unlink()
    release = releases.staged("2", commit="b" * 40)
    return release, request_approval(releases.cd(), release, target="prod")


def test_an_orphan_is_told_and_stays(tmp_path: Path) -> None:
    releases = releases_in(tmp_path, "")
    release, request = without_payments(releases)
    assert request.consent == ()
    assert any(line.startswith(LOSS) for line in request.losses)
    releases.approve(request)
    build_release(releases.cd(), release, target="prod")
    assert releases.tables.rows(OLD) == ["select 5 as id"]


@pytest.mark.parametrize("changes", ["consent", "warn"])
def test_an_orphan_is_dropped_only_by_consent(tmp_path: Path, changes: str) -> None:
    releases = releases_in(tmp_path, f"policies: {{orphans: drop, destructive_changes: {changes}}}")
    release, request = without_payments(releases)
    assert request.consent == (LOSS,)
    with pytest.raises(ConsentMissing):
        approve(releases.cd(OWNER), request, seal=request.seal)
    releases.approve(request)
    assert releases.tables.rows(OLD) == ["select 5 as id"], "an approval drops nothing by itself"
    build_release(releases.cd(), release, target="prod")
    assert OLD.key not in releases.tables.relations


@pytest.mark.parametrize("orphans", ["tell", "drop"])
def test_what_a_failed_release_has_left_is_told_and_never_dropped(tmp_path: Path, orphans: str) -> None:
    releases = releases_in(tmp_path, f"policies: {{orphans: {orphans}}}")
    releases.model("invoices", "select 8 as id")
    releases.model("orders", "select 1 as id -- fails in prod")
    with pytest.raises(DbtFailed):
        releases.deployed("2", commit="b" * 40)
    left = relation("prod", "invoices")
    assert left.key in releases.tables.relations
    (releases.project / "models" / "invoices.sql").unlink()
    releases.model("orders", "select 2 as id")
    release = releases.staged("3", commit="c" * 40)
    request = request_approval(releases.cd(), release, target="prod")
    assert [line for line in request.losses if "orphan" in line] == [
        "prod.shop.invoices: orphan: the table stays as it is: a release that failed left it, and nothing makes it"
    ]
    assert request.consent == ()
    releases.approve(request)
    build_release(releases.cd(), release, target="prod")
    assert left.key in releases.tables.relations


def test_a_failed_build_drops_nothing(tmp_path: Path) -> None:
    releases = releases_in(tmp_path, "policies: {orphans: drop}")
    releases.model("orders", "select 1 as id -- fails in prod")
    release, request = without_payments(releases)
    releases.approve(request)
    with pytest.raises(Exception, match="fails in prod"):
        build_release(releases.cd(), release, target="prod")
    assert releases.tables.rows(OLD) == ["select 5 as id"]


def test_a_rollback_brings_a_dropped_orphan_back(tmp_path: Path) -> None:
    releases = releases_in(tmp_path, "policies: {orphans: drop}")
    release, request = without_payments(releases)
    releases.approve(request)
    build_release(releases.cd(), release, target="prod")
    plan = plan_restore(releases.cd(), release)
    assert {item.name: item.action for item in plan.items}["prod.shop.payments"] == "undrop"
    restore(releases.cd(), plan, seal=plan.seal)
    assert releases.tables.rows(OLD) == ["select 5 as id"]


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_the_build_has_put_in_an_orphan_s_place_is_not_dropped(tmp_path: Path, is_killed: bool) -> None:
    releases = releases_in(tmp_path, "policies: {orphans: drop}")
    release, request = without_payments(releases)
    releases.approve(request)

    def give_its_name_to_a_view(target: str, _relation: object) -> None:
        if target == "prod" and releases.tables.entries([OLD])[OLD.key].kind == "table":
            releases.tables.drop(OLD, kind="table")
            releases.tables.view(OLD, relation("prod", "orders"))

    releases.dbt.before_statement = give_its_name_to_a_view
    if is_killed:
        releases.dbt.killed_after = relation("prod", "orders")
        with pytest.raises(DbtFailed):
            build_release(releases.cd(), release, target="prod")
        releases.dbt.killed_after = None
    build_release(releases.cd(), release, target="prod")
    assert releases.tables.entries([OLD])[OLD.key].kind == "view"


def test_what_only_has_the_name_of_a_model_that_was_never_built_is_not_dropped(tmp_path: Path) -> None:
    releases = Releases(tmp_path, "policies: {orphans: drop}")
    releases.model("payments")
    asked = request_approval(releases.cd(), releases.staged(), target="prod", exclude="payments")
    releases.approve(asked)
    build_release(releases.cd(), asked.release, target="prod", exclude="payments")
    releases.tables.create(OLD, "of somebody else")
    _, request = without_payments(releases)
    assert request.consent == ()
    assert [line for line in request.losses if line.startswith(LOSS)]
