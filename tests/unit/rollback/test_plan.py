"""Consent, order and records of a restore, without Spark."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dbx_cd.delta.tables import Column
from dbx_cd.delta.views import create_view_sql, dependency_levels, dependency_order, with_other_relations
from dbx_cd.errors import RestoreRefused
from dbx_cd.relations import RelationName
from dbx_cd.release.state import Event
from dbx_cd.rollback.consent import agreed, require_consent
from dbx_cd.rollback.journal import unfinished
from dbx_cd.rollback.plan import RestorePlan
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.point import RestorePoint
from dbx_cd.rollback.relation_state import RelationState, written

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDERS = PlanItem("prod.s.orders", "restore", "1 commit", "table content version 2", "table", "table", 2, 1)
TOTALS = PlanItem("prod.s.totals", "recreate_view", "another definition", "view abc", "view", "view")


def plan(*items: PlanItem) -> RestorePlan:
    return RestorePlan("20260101T000000Z-abcdef0", NOW, items)


def agree(planned: RestorePlan, now: RestorePlan, *, seal: str | None = None, discard: bool = False) -> list[PlanItem]:
    require_consent(planned, seal=planned.seal if seal is None else seal, discard_later_writes=discard)
    return agreed(planned, now)


def test_seal_is_the_same_for_the_same_plan_made_again() -> None:
    again = RestorePlan("20260101T000000Z-abcdef0", datetime(2026, 1, 2, tzinfo=UTC), (TOTALS, ORDERS))
    assert again.seal == plan(ORDERS, TOTALS).seal
    assert RestorePlan.from_dict(again.to_dict()).seal == again.seal


def test_seal_changes_with_what_a_relation_is_or_becomes() -> None:
    seals = {
        plan(item).seal
        for item in (
            ORDERS,
            replace(ORDERS, now="table content version 3"),
            replace(ORDERS, to_version=0),
            replace(ORDERS, action="keep"),
            replace(ORDERS, later_writes=("version 3",)),
        )
    }
    assert len(seals) == 5


def test_wrong_seal_is_refused() -> None:
    with pytest.raises(RestoreRefused, match="the seal is not this plan's"):
        agree(plan(ORDERS), plan(ORDERS), seal="0" * 64)


def test_relation_that_moved_since_the_plan_is_refused() -> None:
    with pytest.raises(RestoreRefused, match=r"changed since the plan: prod\.s\.orders"):
        agree(plan(ORDERS), plan(replace(ORDERS, now="table content version 3")))


def test_relation_that_the_plan_leaves_alone_must_not_have_moved_either() -> None:
    kept = replace(ORDERS, action="none")
    with pytest.raises(RestoreRefused, match="changed since the plan"):
        agree(plan(kept), plan(replace(kept, now="table content version 3")))


def test_what_an_earlier_attempt_has_done_is_no_movement() -> None:
    done = replace(ORDERS, action="none", now="table content version 1")
    assert agree(plan(ORDERS, TOTALS), plan(done, TOTALS)) == [done, TOTALS]
    moved_away = replace(TOTALS, kind_now="missing", now="missing")
    assert agree(plan(TOTALS), plan(moved_away)) == [moved_away]


def test_blocked_items_are_refused_and_named() -> None:
    lost = replace(ORDERS, action="rebuild", reason="its files are gone")
    with pytest.raises(RestoreRefused, match=r"prod\.s\.orders \(its files are gone\).*skip="):
        agree(plan(lost), plan(lost))


def test_later_writes_need_the_flag() -> None:
    written_to = replace(ORDERS, later_writes=("version 3: WRITE by somebody",))
    with pytest.raises(RestoreRefused, match="by somebody"):
        agree(plan(written_to), plan(written_to))
    assert agree(plan(written_to), plan(written_to), discard=True) == [written_to]


def test_views_come_after_the_views_they_read() -> None:
    texts = {
        "prod.s.top": "select * from `prod`.`s`.`middle` join prod.s.orders using (id)",
        "prod.s.middle": "select * from PROD.S.Base",
        "prod.s.base": "select 'prod.s.top is not read' x",
        "prod.s.orders": "",
    }
    order = dependency_order({k: v for k, v in texts.items() if k != "prod.s.base"} | {"prod.s.base": "select 1"}, {})
    assert order.index("prod.s.base") < order.index("prod.s.middle") < order.index("prod.s.top")
    assert sorted(dependency_order(texts, {})) == sorted(texts), "a name in a string may only cost the order"


def test_view_is_written_with_its_columns_comment_and_properties() -> None:
    sql = create_view_sql(
        RelationName("prod", "s", "v"),
        text="select 1",
        columns=(Column("id", "int", comment="it's"), Column("other one", "int")),
        comment="a view",
        properties={"k": "v"},
    )
    assert sql == (
        "CREATE OR REPLACE VIEW `prod`.`s`.`v` (`id` COMMENT 'it\\'s', `other one`) COMMENT 'a view' "
        "TBLPROPERTIES ('k' = 'v') AS select 1"
    )


def test_names_are_recorded_so_that_they_read_back() -> None:
    for name in (RelationName("prod", "s", "orders"), RelationName("prod", "s", "größe.mit punkt")):
        assert RelationName.parse(written(name)) == name
    assert written(RelationName("prod", "s", "orders")) == "prod.s.orders"


def test_readiness_says_until_when_and_why_not() -> None:
    kinds = (
        RelationState("prod.s.new", "missing"),
        RelationState("prod.s.secret", "view", table_type="VIEW"),
        RelationState("prod.s.mv", "other", table_type="MATERIALIZED_VIEW"),
        RelationState("prod.s.stream", "other", table_type="STREAMING_TABLE"),
        RelationState("prod.s.lost", "table", version=3, unreadable="version 3 cannot be read"),
    )
    point = RestorePoint("20260101T000000Z-abcdef0", NOW, kinds)
    assert [r.status for r in point.readiness] == ["restorable", "rebuild", "rebuild", "impossible", "rebuild"]
    assert not point.ok
    assert "prod.s.stream" in str(point)
    assert RestorePoint.from_dict(point.to_dict()) == point
    assert "prod.s.lost" in point.to_html()


def test_plan_names_what_stands_in_its_way_first() -> None:
    lost = replace(ORDERS, name="prod.s.zzz", action="impossible", reason="<b>gone</b>")
    page = plan(ORDERS, lost).to_html()
    assert page.index("prod.s.zzz") < page.index("prod.s.orders")
    assert "<b>gone</b>" not in page
    assert "1 restore, 1 impossible" in str(plan(ORDERS, lost))


def test_plan_for_a_terminal_ends_with_its_seal_and_tells_what_would_be_lost() -> None:
    written_since = replace(ORDERS, later_writes=("version 3: WRITE by somebody",), warnings=("readers fail",))
    lost = replace(TOTALS, action="impossible", reason="gone")
    lines = plan(written_since, lost).text.splitlines()
    assert lines[1:] == [
        "  impossible    prod.s.totals: gone",
        "  restore       prod.s.orders, version 2 -> 1: 1 commit",
        "    written by others: version 3: WRITE by somebody",
        "    mind: readers fail",
        f"seal: {plan(written_since, lost).seal}",
    ]


def test_view_is_read_over_other_relations() -> None:
    others = {"prod.s.orders": RelationName("ops", "scratch", "r0_orders")}
    text = "SELECT o.id, `prod`.`S`.`orders`.v FROM prod . s . orders o JOIN prod.s.orders_2 JOIN x.prod.s.orders"
    assert with_other_relations(text, others) == (
        "SELECT o.id, `ops`.`scratch`.`r0_orders`.v FROM `ops`.`scratch`.`r0_orders` o JOIN prod.s.orders_2 "
        "JOIN x.prod.s.orders"
    )


def restoring(*events: tuple[str, str, str, list[str]], withdrawn: int | None = None) -> dict[str, list[str]]:
    """What is unfinished after events, each with its release, kind, seal and `only`."""
    return unfinished(
        Event(str(n), release_id, kind, NOW, "", {"seal": seal, "only": only, "withdrawn": n == withdrawn}, n)
        for n, (release_id, kind, seal, only) in enumerate(events)
    )


def test_a_restore_is_unfinished_until_it_says_how_it_ended() -> None:
    one, two = ("r1", "restore_planned", "s", []), ("r2", "restore_planned", "t", [])
    assert restoring(one, two) == {"r1": ["s"], "r2": ["t"]}
    ended = (one, two, ("r1", "restored_relation", "s", []), ("r1", "rolled_back", "s", []))
    assert restoring(*ended) == {"r2": ["t"]}
    assert list(restoring(*ended, one)) == ["r2", "r1"], "it goes on after a failure"
    erased = ("r2", "rolled_back", "s", [])
    assert restoring(one, two, erased) == {"r1": ["s"], "r2": ["t"]}, "another restore erased what r2 wrote"


def test_a_restore_that_stepped_back_does_not_end_the_one_that_runs() -> None:
    begun, ended = ("r1", "restore_planned", "s", []), ("r1", "rolled_back", "s", [])
    assert restoring(begun, begun, ended, withdrawn=2) == {"r1": ["s"]}
    assert restoring(begun, begun, ended, ended, withdrawn=2) == {}
    assert restoring(begun, ended, withdrawn=1) == {}, "the only one has stepped back"


@pytest.mark.parametrize(
    ("earlier", "later", "goes_on"),
    [
        ([], [], False),
        (["a"], [], False),
        (["a"], ["a", "b"], False),
        (["a"], ["b"], True),
        (["a", "b"], ["a"], True),
        ([], ["a"], True),
    ],
)
def test_a_restore_ends_what_is_within_it(earlier: list[str], later: list[str], goes_on: bool) -> None:
    events = [("r1", "restore_planned", "s", earlier), ("r1", "restore_planned", "t", later)]
    assert restoring(*events, ("r1", "rolled_back", "t", [])) == ({"r1": ["s"]} if goes_on else {})


def test_the_log_of_an_earlier_wheel_does_not_say_which_plan_a_restore_ended() -> None:
    planned = Event("1", "r1", "restore_planned", NOW, "", {}, 1)
    ended = Event("2", "r1", "rolled_back", NOW, "", {"seal": "s"}, 2)
    assert (list(unfinished([planned])), unfinished([planned, ended])) == (["r1"], {})


def test_a_plan_of_an_earlier_wheel_is_not_taken_for_one_whose_seal_is_known() -> None:
    old = Event("1", "r1", "restore_planned", NOW, "", {}, 1)
    new = Event("2", "r1", "restore_planned", NOW, "", {"seal": "s", "only": ["a"]}, 2)
    stepped_back = Event("3", "r1", "rolled_back", NOW, "", {"seal": "s", "withdrawn": True}, 3)
    assert unfinished([old, new, stepped_back]) == {"r1": [""]}


def test_a_restore_does_not_end_one_that_began_after_it() -> None:
    whole, one = ("r1", "restore_planned", "s", []), ("r1", "restore_planned", "t", ["a"])
    assert restoring(whole, one, ("r1", "rolled_back", "s", [])) == {"r1": ["t"]}
    assert restoring(whole, one, whole, ("r1", "rolled_back", "s", [])) == {}, "it was begun again"


def test_views_that_do_not_read_one_another_are_of_one_level() -> None:
    texts = {
        "c.s.top": "select * from c.s.b join c.s.a",
        "c.s.b": "select * from c.s.t",
        "c.s.a": "",
        "c.s.z": "select 1",
    }
    assert dependency_levels(texts, {}) == [["c.s.b", "c.s.a", "c.s.z"], ["c.s.top"]]
    circle = {"c.s.a": "select * from c.s.b", "c.s.b": "select * from c.s.a"}
    assert dependency_levels(circle, {}) == [["c.s.a"], ["c.s.b"]]


def test_names_of_fewer_parts_are_completed_by_the_schema_that_a_view_is_read_in() -> None:
    texts = {"c.s.top": "select v from mid", "c.s.mid": "select v from s.low", "c.s.low": "select 1 v"}
    assert dependency_levels(texts, dict.fromkeys(texts, ("C", "S"))) == [["c.s.low"], ["c.s.mid"], ["c.s.top"]]
    elsewhere = dict.fromkeys(texts, ("c", "other"))  # `mid` is another relation there, and `s.low` the same
    assert dependency_levels(texts, elsewhere) == [["c.s.top", "c.s.low"], ["c.s.mid"]]


def test_a_column_with_a_view_s_name_does_not_take_the_order_from_all_views() -> None:
    texts = {"c.s.a_top": "select x from c.s.v", "c.s.v": "select a_top as x from c.s.base"}
    namespaces = dict.fromkeys(texts, ("c", "s"))
    assert dependency_levels(texts, namespaces) == [["c.s.v"], ["c.s.a_top"]]
