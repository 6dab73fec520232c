"""What of a plan must not be done, and the ways out that it names."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from dbx_cd.dbt.selection import Selection
from dbx_cd.plan.deploy_plan import DeployPlan
from dbx_cd.plan.leaks import Leak
from dbx_cd.plan.refusals import refusals
from dbx_cd.plan.resolution import Place, Resolution
from dbx_cd.policies import Policies, StagingLeak, UntaggedChanges

PARENT, READER, HOOK = "model.shop.parent", "model.shop.reader", "operation.shop.shop-on-run-end-0"
VIEW = Leak("prod.shop.v", "view", "view text", (), "stg.shop.parent")
KEY = Leak("prod.shop.t", "table", "foreign key", (), "stg.shop.parent")
FUNCTION = Leak("prod.shop.f", "function", "function", (), "stg.shop.parent")
UNREADABLE = Leak("prod.shop.v", "view", "cannot be read", (), "prod.shop.secret")


def refused(policies: Policies | None = None, **parts: Any) -> list[str]:
    selection = Selection(select="tag:deploy")
    given = {"target": "prod", "state_target": "stg", "state_timestamp": "1", "baseline": "", "asked": selection,
             "selection": selection, "nodes": (), "derived_state": ""}  # fmt: skip
    return list(refusals(DeployPlan(**(given | parts)), policies or Policies()))


def read(place: Place, *readers: str) -> tuple[Resolution, ...]:
    return (Resolution(PARENT, place, "stg.shop.parent", readers, "why"),)


@pytest.mark.parametrize("rule", get_args(UntaggedChanges))
def test_what_is_nowhere_is_refused_under_every_policy_with_the_ways_out(rule: UntaggedChanges) -> None:
    (line,) = refused(Policies(rule), resolutions=read("nowhere", READER, HOOK))
    assert line.startswith(f"{PARENT} is read by {READER}, {HOOK} and is in neither prod nor stg (stg.shop.parent): ")
    for way_out in ("select it", "let stg build it", "have prod build it once"):
        assert way_out in line


def test_what_is_somewhere_or_is_read_by_hooks_alone_is_not() -> None:
    assert refused(resolutions=read("target", READER) + read("state", READER) + read("nowhere", HOOK)) == []


def test_what_has_changed_and_does_not_ship_is_refused_by_one_policy_alone() -> None:
    parts = {"resolutions": read("state", READER), "untagged": (PARENT, "model.shop.above")}
    lines = refused(Policies("error"), **parts)
    assert [line.split(" (")[0] for line in lines] == [
        f"{PARENT} is not what prod has and does not ship", "model.shop.above is not what prod has and does not ship",
    ]  # fmt: skip
    assert f"{READER} would read it" in lines[0]
    assert "would read it" not in lines[1]
    for rule in ("read_staging", "read_existing", "build_in_prod"):
        assert refused(Policies(rule), **parts) == []  # type: ignore[arg-type]
        assert rule in lines[0]


@pytest.mark.parametrize("views", ["error", "warn", "allow"])
@pytest.mark.parametrize("tables", ["error", "warn", "allow"])
def test_leaks_of_views_and_of_all_else_are_refused_apart(views: Any, tables: Any) -> None:
    lines = refused(Policies(staging_leak=StagingLeak(views, tables)), leaks=(VIEW, KEY, FUNCTION, UNREADABLE))
    of_views = [f"{VIEW} (policies.staging_leak.views: error): "] if views == "error" else []
    of_tables = [f"{leak} (policies.staging_leak.tables: error): " for leak in (KEY, FUNCTION)]
    assert [line.split("select what")[0] for line in lines] == of_views + (of_tables if tables == "error" else [])
    assert all("build_in_prod, or to read_existing where prod has it already" in line for line in lines)


def test_by_default_views_may_read_staging_and_tables_may_not_refer_to_it() -> None:
    assert len(refused(leaks=(VIEW, KEY))) == 1
