"""What `setup` takes from a bundle: values that are known before a deploy, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbx_cd import ConfigError
from dbx_cd.setup.bundle_options import NOBODY
from dbx_cd.setup.own_bundle import own_variables

PACKAGED = Path(__file__).parents[3]


def written(folder: Path, text: str) -> dict[str, str]:
    (folder / "databricks.yml").write_text(text)
    return own_variables(folder)


def test_the_packaged_bundle_names_what_setup_asks_for() -> None:
    found = own_variables(PACKAGED)
    assert {"artifacts_root", "release_log", "approvers", "wheel", "requirements"} <= set(found)
    assert found["run_as"] == NOBODY


def test_the_bundle_is_found_above_the_project_but_not_above_its_repository(tmp_path: Path) -> None:
    project = tmp_path / "repository" / "dbt" / "shop"
    project.mkdir(parents=True)
    (tmp_path / "databricks.yml").write_text("variables: {run_as: {default: stranger}}")
    (tmp_path / "repository" / ".git").mkdir()
    assert own_variables(project) == {}
    (tmp_path / "repository" / "databricks.yml").write_text("variables: {run_as: {default: bot}}")
    assert own_variables(project) == {"run_as": "bot"}


def test_the_default_target_s_value_wins(tmp_path: Path) -> None:
    text = """
variables: {a: {default: one}, b: {default: one}, c: {default: one}}
targets:
  dev: {variables: {a: dev}}
  main: {default: true, variables: {a: two, b: {default: three}}}
"""
    assert written(tmp_path, text) == {"a": "two", "b": "three", "c": "one"}


@pytest.mark.parametrize(
    "text",
    [
        "variables: {a: {default: '${workspace.current_user.userName}'}}",
        "variables: {a: {description: without a value}}",
        "variables: {a: {type: complex, default: {x: 1}}}",
        "variables: {a: }",
        "targets: {dev: {variables: {a: dev}}, main: {variables: {a: main}}}",
    ],
)
def test_what_is_known_at_the_deploy_alone_is_left_out(tmp_path: Path, text: str) -> None:
    assert written(tmp_path, text) == {}


def test_a_bundle_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"databricks\.yml"):
        written(tmp_path, "variables: {")
