"""The picture of what a release touches, on the page of its plan."""

from __future__ import annotations

import re

from dbx_cd.dbt.changes import NodeChange
from dbx_cd.plan.plan_page import lineage_part
from dbx_cd.plan.resolution import Place, Resolution

PLACES: dict[Place, str] = {"target": "prod", "state": "stg", "nowhere": "nowhere"}
ORDERS, PEOPLE, EVENTS, SITES = (
    "model.shop.orders",
    "model.shop.people.v2",
    "source.shop.web.events",
    "model.shop.sites",
)
EDGES = [(EVENTS, ORDERS), (SITES, ORDERS), (PEOPLE, ORDERS)]


def resolution(parent: str, place: Place) -> Resolution:
    return Resolution(parent, place, "", readers=(ORDERS,), reason="", changed=False)


def titles() -> set[str]:
    nodes = [NodeChange(ORDERS, "modified", ()), NodeChange(PEOPLE, "environment", ())]
    picture = lineage_part(EDGES, nodes, [resolution(SITES, "state")], PLACES)
    return set(re.findall(r"<g><title>(.*?)</title>", picture))


def test_nodes_have_their_names_with_source_and_version_what_changes_and_where_they_are_read() -> None:
    read = {"web.events, source", "sites, model, stg"}
    assert titles() == {"orders, model, modified", "people.v2, model, unchanged"} | read


def test_what_is_read_from_elsewhere_has_a_dashed_border() -> None:
    picture = lineage_part(EDGES, [], [resolution(SITES, "state"), resolution(PEOPLE, "target")], PLACES)
    assert picture.count('class="elsewhere"') == 1


def test_release_that_touches_nothing_has_no_picture() -> None:
    assert lineage_part([], [], [], PLACES) == ""
