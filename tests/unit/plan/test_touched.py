"""What of a project a release touches: the edges of its picture, and the dashboards that show what changes."""

from __future__ import annotations

from artifact_folders import manifest, node

from dbx_cd import Manifest
from dbx_cd.plan.changed_columns import changed_exposures
from dbx_cd.plan.readers import Readers
from dbx_cd.plan.touched import edges_touched

EVENTS, ORDERS, PEOPLE, TOTALS, PAGE, APART = (
    *("source.shop.web.events", "model.shop.orders", "model.shop.people"),
    *("model.shop.totals", "exposure.shop.page", "model.shop.apart"),
)
SHOP = Manifest.from_json(
    manifest(
        node(EVENTS),
        node(ORDERS, depends_on=[EVENTS]),
        node(PEOPLE, depends_on=[EVENTS]),
        node(APART, depends_on=[EVENTS]),
        node(TOTALS, depends_on=[ORDERS, PEOPLE]),
        node("test.shop.unique", depends_on=[ORDERS]),
        node(PAGE, depends_on=[TOTALS]),
    )
)


def test_edges_lead_to_what_changes_and_on_to_what_shows_it() -> None:
    assert edges_touched(SHOP, [ORDERS], []) == (
        (ORDERS, TOTALS),
        (PEOPLE, TOTALS),
        (TOTALS, PAGE),
        (EVENTS, ORDERS),
    )


def test_what_is_read_and_not_built_has_its_edges_too() -> None:
    assert edges_touched(SHOP, [], [PEOPLE]) == ((PEOPLE, TOTALS),)


def test_what_is_below_several_nodes_is_found_once_and_is_none_of_them() -> None:
    assert Readers(SHOP).below([ORDERS, TOTALS]) == {PAGE, "test.shop.unique"}


def test_exposures_of_what_changes_are_named_through_others() -> None:
    assert changed_exposures(SHOP, [ORDERS, PEOPLE]) == ("exposure page",)
    assert changed_exposures(SHOP, [APART]) == ()
