"""A bundle is read with its includes, for one of its targets, with variables filled in and lines kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from git_repositories import fill

from dbx_cd import ConfigError
from dbx_cd.setup.bundle_reading import Bundle, read_bundle

OWN = """\
bundle: {name: shop}
include:
  - resources/*.yml
variables:
  node: {default: small}
  size: {default: 2}
  cluster:
    type: complex
    default: {spark_version: 16.4.x, node_type_id: "${var.node}"}
  asked: {description: who}
targets:
  dev:
    variables: {node: tiny}
  live:
    default: true
    variables:
      node: {default: big}
"""
JOB = """\
resources:
  jobs:
    a:
      name: "${bundle.name} in ${bundle.target} at ${workspace.host}"
      max_concurrent_runs: ${var.size}
      job_clusters:
        - job_cluster_key: one
          new_cluster: ${var.cluster}
      tasks:
        - task_key: first
          max_retries: 1
        - &second
          task_key: second
          description: ${var.asked} and ${var.nobody}
"""


def read(folder: Path, files: Mapping[str, str] = {}, **options: Any) -> Bundle:
    fill(folder, {"databricks.yml": OWN, "resources/a.yml": JOB, **files})
    return read_bundle(folder, **options)


def test_files_are_included_and_variables_filled_in(tmp_path: Path) -> None:
    job = read(tmp_path).defined_jobs["a"]
    assert job["name"] == "shop in live at ${workspace.host}"
    assert job["max_concurrent_runs"] == 2
    assert job["job_clusters"][0]["new_cluster"] == {"spark_version": "16.4.x", "node_type_id": "big"}


def test_each_target_has_its_own_values(tmp_path: Path) -> None:
    bundle = read(tmp_path, target="dev")
    assert bundle.defined_jobs["a"]["job_clusters"][0]["new_cluster"]["node_type_id"] == "tiny"
    assert bundle.targets == ("dev", "live")


def test_values_that_are_given_count_first(tmp_path: Path) -> None:
    bundle = read(tmp_path, variables={"node": "given", "asked": "me", "nobody": "you"})
    assert bundle.defined_jobs["a"]["job_clusters"][0]["new_cluster"]["node_type_id"] == "given"
    assert bundle.defined_jobs["a"]["tasks"][1]["description"] == "me and you"
    assert (bundle.undeclared, bundle.valueless) == ((), ())


def test_variables_without_a_value_are_known_with_their_places(tmp_path: Path) -> None:
    bundle = read(tmp_path)
    place = ("resources", "jobs", "a", "tasks", 1, "description")
    assert (bundle.undeclared, bundle.valueless) == (((place, "nobody"),), ((place, "asked"),))
    assert bundle.where(place) == "resources/a.yml:14"


def test_a_place_without_a_line_has_that_of_what_it_is_in(tmp_path: Path) -> None:
    bundle = read(tmp_path)
    assert (
        bundle.where(("resources", "jobs", "a", "job_clusters", 0, "new_cluster", "num_workers")) == "resources/a.yml:8"
    )
    assert bundle.where(("resources", "jobs", "a", "queue")) == "resources/a.yml:3"
    assert bundle.where(("presets",)) == "databricks.yml"


def test_what_a_target_says_is_put_into_the_task_of_the_same_key_with_its_line(tmp_path: Path) -> None:
    over = OWN + (
        "    resources:\n      jobs:\n        a:\n          tasks:\n            - task_key: second\n"
        "              max_retries: 3\n            - task_key: third\n          tags: {x: y}\n"
    )
    bundle = read(tmp_path, {"databricks.yml": over})
    job = bundle.defined_jobs["a"]
    assert [task["task_key"] for task in job["tasks"]] == ["first", "second", "third"]
    assert (job["tasks"][1]["max_retries"], job["tags"]) == (3, {"x": "y"})
    assert bundle.where(("resources", "jobs", "a", "tasks", 1, "max_retries")) == "databricks.yml:23"
    assert bundle.where(("resources", "jobs", "a", "tasks", 1, "description")) == "resources/a.yml:14"
    assert bundle.where(("resources", "jobs", "a", "tasks", 2, "task_key")) == "databricks.yml:24"
    assert "max_retries" not in read_bundle(tmp_path, target="dev").defined_jobs["a"]["tasks"][1]


def test_tasks_of_one_key_in_one_file_stay_two(tmp_path: Path) -> None:
    bundle = read(tmp_path, {"resources/a.yml": JOB + "        - *second\n"})
    assert [task["task_key"] for task in bundle.defined_jobs["a"]["tasks"]] == ["first", "second", "second"]


@pytest.mark.parametrize(
    ("job", "line", "message"),
    [
        (JOB + "      name: twice\n", 15, "the key 'name' is there twice"),
        (JOB + "    b: *second\n    b: *second\n", 16, "the key 'b' is there twice"),
        (JOB.replace("max_retries: 1", "max_retries: ["), 12, "expected"),
        (JOB + "    b: &b {again: *b}\n", 15, "an alias .* stands within what it means"),
        (JOB.replace("max_retries: 1", "max_retries: 2024-02-30"), 11, "is no timestamp"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path: Path, job: str, line: int, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as raised:
        read(tmp_path, {"resources/a.yml": job})
    assert raised.value.where == f"{tmp_path / 'resources/a.yml'}:{line}"


def test_a_few_lines_that_mean_millions_of_values_are_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="more than 100,000 values"):
        read(tmp_path, {"resources/a.yml": "\n".join(lines)})


def test_keys_that_a_merge_brings_may_be_overridden(tmp_path: Path) -> None:
    job = JOB + "        - <<: *second\n          task_key: third\n        - <<: *second\n          task_key: fourth\n"
    tasks = read(tmp_path, {"resources/a.yml": job}).defined_jobs["a"]["tasks"]
    assert [task["task_key"] for task in tasks] == ["first", "second", "third", "fourth"]
    assert tasks[3]["description"] == tasks[1]["description"]


def test_a_variable_that_is_made_of_itself_ends_somewhere(tmp_path: Path) -> None:
    own = OWN.replace("{default: small}", '{default: "${var.size}x"}').replace(
        "{default: 2}", '{default: "${var.node}y"}'
    )
    assert read(tmp_path, {"databricks.yml": own}, target="dev").defined_jobs["a"]["max_concurrent_runs"] == "tinyy"
    own = own.replace("      node: {default: big}", "      size: {default: 1}").replace(
        '"${var.node}y"', '"${var.size}y"'
    )
    assert read(tmp_path, {"databricks.yml": own.replace("size: {default: 1}", "x: 1")}) is not None


def test_what_is_included_and_matches_nothing_is_known(tmp_path: Path) -> None:
    bundle = read(tmp_path, {"databricks.yml": OWN.replace("  - resources", "  - jobs/*.yml\n  - resources")})
    assert bundle.unmatched == ((("include", 0), "jobs/*.yml"),)


def test_a_file_may_belong_to_it_without_being_included(tmp_path: Path) -> None:
    own = OWN.replace("include:\n  - resources/*.yml\n", "")
    assert read(tmp_path, {"databricks.yml": own}).defined_jobs == {}
    assert set(read_bundle(tmp_path, also=("resources/a.yml",)).defined_jobs) == {"a"}


def test_texts_stand_in_place_of_files(tmp_path: Path) -> None:
    fill(tmp_path, {"resources/a.yml": ""})
    assert set(read_bundle(tmp_path, texts={"databricks.yml": OWN, "resources/a.yml": JOB}).defined_jobs) == {"a"}


@pytest.mark.parametrize("name", ["databricks.yaml", "bundle.yml", "bundle.yaml"])
def test_its_own_file_may_have_another_name(tmp_path: Path, name: str) -> None:
    fill(tmp_path, {name: OWN, "resources/a.yml": JOB})
    assert read_bundle(tmp_path).file == tmp_path / name


def test_the_only_target_is_the_one_and_of_several_none_without_a_default(tmp_path: Path) -> None:
    only = OWN.replace("  live:\n    default: true\n    variables:\n      node: {default: big}\n", "")
    assert read(tmp_path, {"databricks.yml": only}).target == "dev"
    assert read(tmp_path, {"databricks.yml": OWN.replace("default: true", "mode: production")}).target is None


def test_what_is_no_bundle_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no databricks.yml.*python -m dbx_cd init"):
        read_bundle(tmp_path)
    with pytest.raises(ConfigError, match=r"no target 'prod'.*dev, live"):
        read(tmp_path, target="prod")
    for include in ("include: x", "include: [1]", "include: ['/etc/*.yml']"):
        with pytest.raises(ConfigError, match="`include`"):
            read(tmp_path, {"databricks.yml": include})
