"""What dbt makes of a project: planted manifests, and once dbt's own arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from artifact_folders import manifest, node, write
from check_projects import only, plant, planted, project, said, scene, statuses

from dbx_cd import DbtOutcome
from dbx_cd.setup.check import of_parse
from dbx_cd.setup.check.project_lists import list_target
from dbx_cd.setup.check.written_job import BuildTask

Json = dict[str, Any]
SUITE = """
domain: sales
tables:
  - model: {model}
    expectations:
      - expect_column_values_to_not_be_null: {{column: {column}}}
"""


def model(name: str, *parents: str, catalog: str = "stg", **more: Any) -> Json:
    return node(f"model.shop.{name}", relation=f"{catalog}.shop.{name}", depends_on=parents, **more)


def data_test(name: str, of: str) -> Json:
    return node(f"test.shop.{name}", depends_on=[of])


ORDERS = model("orders")
CONTRACT: Json = {"config": {"contract": {"enforced": True}}, "columns": {"id": {"name": "id"}}}


def test_an_empty_selection_fails_and_says_what_was_selected(tmp_path: Path) -> None:
    found = planted(project(tmp_path), "stg", ORDERS)
    assert said(of_parse.parses, found, "stg") == [
        "ok stg: dbt 1.11.0 parses the project: 1 models, seeds and snapshots -> None"
    ]
    assert statuses(of_parse.selection(found, "stg")) == ["ok"]
    empty = planted(found.project, "stg", ORDERS, built=[])
    line = only(of_parse.selection(empty, "stg"))
    assert (line.status, line.message) == ("fail", "`tag:deploy` without `tag:heavy` selects nothing to build")


def test_a_relation_that_two_targets_build_fails_whatever_the_profile_says(tmp_path: Path) -> None:
    found = planted(project(tmp_path), "stg", ORDERS)
    plant(found, "prod", model("orders", catalog="prod"))
    assert statuses(of_parse.relations_apart(found)) == ["ok"]
    plant(found, "prod", model("orders", catalog="STG"))
    line = only(of_parse.relations_apart(found))
    assert (line.status, line.subject) == ("fail", "stg.shop.orders")


def test_what_is_left_out_is_not_what_is_read(tmp_path: Path) -> None:
    folder = project(tmp_path / "a")
    heavy, reader = model("events"), model("orders", "model.shop.events")
    assert statuses(of_parse.heavy(planted(folder, "stg", heavy, reader), "stg")) == ["ok"]
    left_out = planted(folder, "stg", heavy, reader, built=["model.shop.orders"])
    line = only(of_parse.heavy(left_out, "stg"))
    assert line.status == "warn"
    assert line.message.startswith("events (by orders) is left out and read")
    from_prod = project(tmp_path / "b", dbx_cd_yml="policies: {heavy_from: prod}\n")
    assert statuses(of_parse.heavy(planted(from_prod, "stg", heavy, reader, built=["model.shop.orders"]), "stg")) == [
        "ok"
    ]
    assert statuses(of_parse.heavy(left_out, "prod")) == []


@pytest.mark.parametrize(
    ("name", "column", "expected"),
    [
        ("orders", "id", "ok smoke: 1 checks in 1 suites"),
        ("ordres", "id", "did you mean `orders`?"),
        ("orders", "idd", "orders has no column 'idd', by its contract"),
    ],
)
def test_a_suite_names_models_and_columns_that_there_are(tmp_path: Path, name: str, column: str, expected: str) -> None:
    found = planted(project(tmp_path), "stg", model("orders", **CONTRACT))
    (found.project / "smoke").mkdir()
    (found.project / "smoke" / "sales.yml").write_text(SUITE.format(model=name, column=column))
    lines = said(of_parse.smoke, found)
    assert len(lines) == 1
    assert expected in lines[0]


def test_a_suite_that_cannot_be_read_fails_and_none_at_all_does_not(tmp_path: Path) -> None:
    found = planted(project(tmp_path), "stg", ORDERS)
    assert statuses(of_parse.smoke(found)) == ["ok"]
    (found.project / "smoke").mkdir()
    (found.project / "smoke" / "sales.yml").write_text("tables: 3\n")
    assert "fail" in statuses(of_parse.smoke(found))


def test_a_release_of_which_nothing_is_tested_fails(tmp_path: Path) -> None:
    folder = project(tmp_path)
    assert statuses(of_parse.tested(planted(folder, "stg", ORDERS), "stg")) == ["fail"]
    for tests in ([data_test("unique_id", "model.shop.orders")], []):
        orders = ORDERS if tests else model("orders", **CONTRACT)
        assert statuses(of_parse.tested(planted(folder, "stg", orders, *tests), "stg")) == ["ok"]
    assert statuses(of_parse.tested(planted(folder, "stg", ORDERS), "prod")) == []


def test_models_that_no_test_looks_at_are_named(tmp_path: Path) -> None:
    found = planted(project(tmp_path), "stg", ORDERS, model("lines"), data_test("t", "model.shop.orders"))
    lines = list(of_parse.tested(found, "stg"))
    assert [(line.status, line.message) for line in lines][1] == ("warn", "no test looks at lines")
    (found.project / "smoke").mkdir()
    (found.project / "smoke" / "sales.yml").write_text(SUITE.format(model="lines", column="id"))
    assert statuses(of_parse.tested(found, "stg")) == ["ok"]


class Listing:
    """Takes the place of dbt: leaves a manifest, lists what it is told, and remembers how it was called."""

    def __init__(self, *listed: tuple[str, ...]) -> None:
        self.calls: list[list[str]] = []
        self.profiles = ""
        self._listed = list(listed)

    def __call__(self, args: list[str]) -> DbtOutcome:
        self.calls.append(args)
        target = Path(args[args.index("--target-path") + 1])
        target.mkdir(parents=True, exist_ok=True)
        write(target / "manifest.json", manifest(ORDERS, model("events")))
        self.profiles = (Path(args[args.index("--profiles-dir") + 1]) / "profiles.yml").read_text()
        return DbtOutcome(True, listed=self._listed.pop(0))


def test_dbt_lists_what_the_job_s_task_builds_and_is_given_no_way_to_log_in(tmp_path: Path) -> None:
    folder = project(tmp_path)
    dbt = Listing(("model.shop.orders", "test.shop.t"), ("model.shop.orders", "model.shop.events", "test.shop.u"))
    task = BuildTask("stg_build", "stg", "tag:deploy", "tag:heavy", "all")
    lists = list_target(folder, task, profiles=folder, runner=dbt)
    assert lists.built == ("model.shop.orders", "test.shop.t")
    assert lists.left_out == {"model.shop.events"}
    assert dbt.calls[0][dbt.calls[0].index("--select") + 1] == "+tag:deploy"
    assert "--exclude" in dbt.calls[0]
    assert "--exclude" not in dbt.calls[1]
    assert "SHOP_SECRET" not in dbt.profiles
    assert "nowhere.invalid" in dbt.profiles
    assert "catalog: stg" in dbt.profiles


def test_a_target_without_an_output_is_not_parsed(tmp_path: Path) -> None:
    found = scene(
        project(tmp_path, dbx_cd_yml="targets: {qa: {}, prod: {gate: approval, defer_to: qa}}\n", databricks_yml=None)
    )
    with pytest.raises(Exception, match="no output of this name"):
        list(of_parse.parses(found, "qa"))
