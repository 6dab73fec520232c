"""Which node a name means: by dbt's rules, never by the order of the manifest."""

from __future__ import annotations

from typing import Any

import pytest
from artifact_folders import manifest, node

from dbx_cd import DbxCdError, Manifest


def version(of: str, number: int | str, latest: int | str = 1) -> dict[str, Any]:
    package, name = of.split(".")
    found = node(f"model.{package}.{name}.v{number}", relation=f"stg.shop.{name}_v{number}")
    return found | {"name": name, "version": number, "latest_version": latest, "package_name": package}


PEOPLE = [version("shop.people", 1), version("shop.people", 2)]
OTHERS = [
    node("model.shop.orders", relation="stg.shop.orders"),
    node("model.lib.orders", relation="stg.lib.orders"),
    node("model.lib.dates", relation="stg.lib.dates"),
    node("model.other.dates", relation="stg.other.dates"),
    node("snapshot.shop.history", relation="stg.shop.history"),
    node("test.shop.unique_orders_id"),
]


def events(package: str) -> dict[str, Any]:
    found = node(f"source.{package}.web.events", relation=f"land.{package}.events")
    return found | {"name": "events", "source_name": "web", "package_name": package}


def project(*nodes: dict[str, Any], sources: list[dict[str, Any]] | None = None, backwards: bool = False) -> Manifest:
    found = [*(nodes or (*PEOPLE, *OTHERS))]
    return Manifest.from_json(manifest(*(reversed(found) if backwards else found), sources=sources or [events("shop")]))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize(
    ("name", "unique_id"),
    [
        ("people", "model.shop.people.v1"),
        ("people.v1", "model.shop.people.v1"),
        ("people.v2", "model.shop.people.v2"),
        ("people_v2", "model.shop.people.v2"),
        ("shop.people", "model.shop.people.v1"),
        ("shop.people.v2", "model.shop.people.v2"),
        ("shop.people_v2", "model.shop.people.v2"),
        ("model.shop.people.v2", "model.shop.people.v2"),
        ("orders", "model.shop.orders"),
        ("lib.orders", "model.lib.orders"),
        ("other.dates", "model.other.dates"),
        ("history", "snapshot.shop.history"),
    ],
)
def test_a_name_means_what_dbt_means_by_it(name: str, unique_id: str, backwards: bool) -> None:
    found = project(backwards=backwards).by_name(name)
    assert found is not None
    assert found.unique_id == unique_id


@pytest.mark.parametrize("name", ["people.v3", "lib.people", "events", "unique_orders_id", "nothing", ""])
def test_a_name_that_nothing_has_means_nothing(name: str) -> None:
    assert project().by_name(name) is None


def test_package_and_version_can_be_given_by_themselves() -> None:
    found = [
        project().by_name("orders", package="lib"),
        project().by_name("people", version=2),
        project().by_name("people", package="shop", version="2"),
        project().by_name("people", package="lib"),
    ]
    assert [n and n.unique_id for n in found] == [
        "model.lib.orders",
        "model.shop.people.v2",
        "model.shop.people.v2",
        None,
    ]


def test_a_name_of_two_packages_that_the_project_itself_does_not_have_is_refused_with_both() -> None:
    with pytest.raises(DbxCdError, match=r"ambiguous: it may mean model\.lib\.dates, model\.other\.dates"):
        project().by_name("dates")


def test_a_model_and_a_seed_of_one_name_are_told_apart_by_their_ids_alone() -> None:
    """dbt-core 1.11 warns of that, and takes the last of its manifest."""
    both = project(node("seed.shop.rates", relation="stg.raw.rates"), node("model.shop.rates", relation="stg.a.rates"))
    with pytest.raises(DbxCdError, match=r"ambiguous: it may mean model\.shop\.rates, seed\.shop\.rates"):
        both.by_name("rates")
    assert both.by_name("seed.shop.rates") is both.nodes["seed.shop.rates"]


def test_a_model_that_is_called_like_a_version_is_meant_by_its_own_name() -> None:
    found = project(*PEOPLE, node("model.shop.people_v2", relation="stg.shop.other")).by_name("people_v2")
    assert found is not None
    assert found.unique_id == "model.shop.people_v2"


def test_without_its_latest_version_a_name_means_nothing() -> None:
    """As where the latest version is disabled: dbt's `ref` does not find it either."""
    assert project(version("shop.people", 1, latest=2)).by_name("people") is None


def test_the_latest_version_need_not_be_the_highest_nor_a_number() -> None:
    found = project(version("shop.people", "new", latest="new"), version("shop.people", 2, latest="new"))
    assert [n and n.version for n in (found.by_name("people"), found.by_name("people.v2"))] == ["new", "2"]


def test_a_source_of_two_packages_is_the_projects_own_or_refused() -> None:
    found = project(sources=[events("lib"), events("shop")]).source("web", "events")
    assert found is not None
    assert found.unique_id == "source.shop.web.events"
    with pytest.raises(DbxCdError, match=r"may mean source\.lib\.web\.events, source\.other\.web\.events"):
        project(sources=[events("lib"), events("other")]).source("web", "events")
    assert project().source("web", "visits") is None
