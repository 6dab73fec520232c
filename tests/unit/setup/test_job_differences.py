from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from check_projects import JOB

from dbx_cd.release.job import as_the_api_writes
from dbx_cd.setup.check.job_differences import differences
from dbx_cd.yaml_text import load_yaml

WRITTEN: dict[str, Any] = as_the_api_writes(
    {k: v for k, v in load_yaml(JOB)["resources"]["jobs"]["dbx_cd"].items() if k != "permissions"}
)


def changed(**more: Any) -> dict[str, Any]:
    return deepcopy(WRITTEN) | more


def task(key: str, **more: Any) -> list[dict[str, Any]]:
    return [{**t, **more} if t["task_key"] == key else t for t in deepcopy(WRITTEN["tasks"])]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"format": "MULTI_TASK", "max_concurrent_runs": 1, "timeout_seconds": 0, "email_notifications": {}},
        {"git_source": {**WRITTEN["git_source"], "git_branch": None, "git_commit": "a" * 40}},
        {"deployment": {"kind": "BUNDLE", "metadata_file_path": "/x"}, "edit_mode": "UI_LOCKED"},
        {"tasks": task("stg_build", run_if="ALL_SUCCESS", timeout_seconds=0)},
        {"tasks": list(reversed(WRITTEN["tasks"]))},
        {"run_as": {"service_principal_name": "${var.run_as}"}},
    ],
)
def test_what_a_trigger_pins_and_the_platform_fills_in_is_no_difference(more: dict[str, Any]) -> None:
    assert differences(WRITTEN, changed(**more)) == []


WITHOUT_GATE = [{"task_key": "stg_build"}]
ELSEWHERE = {**WRITTEN["git_source"], "git_url": "https://elsewhere"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({"max_concurrent_runs": 5}, "max_concurrent_runs is 5, of which the bundle says nothing"),
        (
            {"tasks": task("prod_build", depends_on=WITHOUT_GATE)},
            "tasks[prod_build].depends_on[approval_gate] is not there",
        ),
        ({"tasks": task("prod_build", run_if="ALL_DONE")}, "tasks[prod_build].run_if is ALL_DONE"),
        ({"tasks": task("approval_gate", disabled=True)}, "tasks[approval_gate].disabled is True"),
        ({"tasks": WRITTEN["tasks"][:2]}, "tasks[prod_build] is not there, and the bundle has it"),
        ({"tasks": [*WRITTEN["tasks"], {"task_key": "more"}]}, "tasks[more] is there"),
        ({"parameters": [{"name": "artifacts_root", "default": "/x"}]}, "parameters[artifacts_root].default is /x"),
        ({"git_source": ELSEWHERE}, "git_source.git_url is https://elsewhere"),
        ({"schedule": {"quartz_cron_expression": "0 0 * * * ?"}}, "schedule is "),
        ({"continuous": {"pause_status": "UNPAUSED"}}, "continuous is "),
    ],
)
def test_whatever_else_differs_is_named_by_its_path(more: dict[str, Any], expected: str) -> None:
    found = [str(difference) for difference in differences(WRITTEN, changed(**more))]
    assert any(text.startswith(expected) for text in found), found


def test_a_variable_of_the_environment_that_somebody_added_is_a_difference_and_the_platform_s_own_is_not() -> None:
    cluster = {"job_cluster_key": "release", "new_cluster": {"spark_version": "16.4.x"}}
    written = changed(job_clusters=[cluster])
    python = {"PYSPARK_PYTHON": "/databricks/python3/bin/python3"}
    for own, expected in ((python, 0), ({"DBT_FULL_REFRESH": "1"}, 1)):
        there = changed(job_clusters=[{**cluster, "new_cluster": {**cluster["new_cluster"], "spark_env_vars": own}}])
        assert len(differences(written, there)) == expected


def test_what_only_a_deploy_knows_is_not_compared() -> None:
    written = changed(name="${bundle.name}")
    assert differences(written, changed(name="shop")) == []
