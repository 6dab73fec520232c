from __future__ import annotations

from pathlib import Path

import pytest
from check_projects import BUNDLE, FILES, JOB, only, project, said, scene, statuses

from dbx_cd.errors import ConfigError
from dbx_cd.setup.bundle import bundle_text, job_text, production_job_text
from dbx_cd.setup.bundle_options import PRODUCTION_JOB_FILE, BundleOptions
from dbx_cd.setup.check import of_bundle
from dbx_cd.setup.check.written_job import written_job


def test_the_job_is_found_in_the_included_files_with_variables_filled_in(tmp_path: Path) -> None:
    found = scene(project(tmp_path))
    assert "ok resources/dbx_cd.job.yml: job dbx_cd, 3 tasks, runs as job-identity" in said(of_bundle.bundle, found)[0]
    assert [(b.target, b.select, b.exclude, b.with_parents) for b in found.bundled.builds()] == [
        ("stg", "tag:deploy", "tag:heavy", "all"),
        ("prod", "tag:deploy", "", "none"),
    ]


def test_a_variable_s_value_is_the_environment_s_then_the_target_s_then_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = BUNDLE.replace("main: {default: true}", "main: {default: true, variables: {run_as: of-target}}")
    folder = project(tmp_path, databricks_yml=text)
    assert written_job(folder).run_as == "of-target"
    monkeypatch.setenv("BUNDLE_VAR_run_as", "of-environment")
    assert written_job(folder).run_as == "of-environment"


def test_a_variable_that_is_a_whole_value_keeps_its_type(tmp_path: Path) -> None:
    text = BUNDLE.replace("variables:", "variables:\n  runs: {default: 1}")
    job = JOB.replace("name: dbx_cd\n", "name: dbx_cd\n      max_concurrent_runs: ${var.runs}\n", 1)
    assert (
        written_job(project(tmp_path, databricks_yml=text, resources__dbx_cd_job_yml=job)).settings[
            "max_concurrent_runs"
        ]
        == 1
    )


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"databricks_yml": None}, "no databricks.yml"),
        ({"databricks_yml": "a: [\n"}, "cannot be read as YAML"),
        ({"resources__dbx_cd_job_yml": None}, "no job that is the Workflow's among no jobs at all"),
        (
            {"resources__dbx_cd_job_yml": JOB.replace("dbx_cd:", "etl:").replace("notebooks/", "jobs/my_")},
            "no job that is the Workflow's among etl",
        ),
    ],
)
def test_a_bundle_without_the_job_says_what_is_missing(
    tmp_path: Path, changed: dict[str, str | None], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        list(of_bundle.bundle(scene(project(tmp_path, **changed))))


def test_what_the_linter_finds_is_a_line_with_its_place(tmp_path: Path) -> None:
    """The job of these tests is a short one, of which the linter has much to say; here it is told, and counted."""
    job = JOB.replace("depends_on: [{task_key: approval_gate}]", "depends_on: [{task_key: stg_build}]")
    lines = list(of_bundle.linter(scene(project(tmp_path / "a", resources__dbx_cd_job_yml=job))))
    assert any(line.status == "fail" and "prod_build" in f"{line.subject} {line.message}" for line in lines)
    assert all(line.next_step for line in lines if line.status != "ok")
    assert not any(line.status == "ok" for line in lines)


def test_two_jobs_of_one_workflow_are_read_as_one(tmp_path: Path) -> None:
    """With two identities what has a gate is a job of its own."""
    options = BundleOptions(identities=2)
    folder = project(tmp_path, databricks_yml=bundle_text(options), resources__dbx_cd_job_yml=job_text(options))
    (folder / PRODUCTION_JOB_FILE).write_text(production_job_text(options))
    found = scene(folder)
    assert [other.name for other in found.bundled.others] == ["dbx_cd_production"]
    assert {build.target for build in found.bundled.builds()} == {"stg", "prod"}
    assert found.definition.gates == ("prod",)
    assert "fail" not in statuses(of_bundle.job_targets(found))


def test_values_that_init_writes_and_nobody_has_set_are_named(tmp_path: Path) -> None:
    text = BUNDLE.replace("variables:\n", "variables:\n  notify: {default: data-owners@example.org}\n", 1)
    lines = list(of_bundle.bundle(scene(project(tmp_path, databricks_yml=text))))
    assert statuses(lines) == ["ok", "warn"]
    assert "BUNDLE_VAR_notify" in str(lines[1].next_step)


def test_the_job_builds_the_project_s_targets_where_the_project_is(tmp_path: Path) -> None:
    assert statuses(of_bundle.job_targets(scene(project(tmp_path / "a")))) == ["ok"]
    with pytest.raises(ConfigError, match="the job builds stg, prod, and the project's targets are qa"):
        list(of_bundle.job_targets(scene(project(tmp_path / "b", dbx_cd_yml="targets: {qa: {}}\n"))))
    third = "targets: {stg: {}, uat: {gate: approval, defer_to: stg}, prod: {gate: approval, defer_to: stg}}\n"
    assert statuses(of_bundle.job_targets(scene(project(tmp_path / "c", dbx_cd_yml=third)))) == ["ok", "warn"]
    moved = FILES["resources/dbx_cd.job.yml"].replace(
        "parameters:\n", "parameters:\n        - {name: project_dir, default: dbt}\n", 1
    )
    lines = list(of_bundle.job_targets(scene(project(tmp_path / "d", resources__dbx_cd_job_yml=moved))))
    assert statuses(lines) == ["ok", "fail"]
    assert "looks for the project in 'dbt'" in lines[1].message


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("run: python -m dbx_cd trigger --commit $SHA\n", "ok"),
        ("run: |\n  python -m dbx_cd trigger \\\n    --commit $SHA --job dbx_cd\n", "ok"),
        ("run: python -m dbx_cd trigger --commit $SHA --job shop_cd\n", "fail"),
        ("run: dbt build\n", "fail"),
        (None, "warn"),
    ],
)
def test_a_merge_starts_this_very_job(tmp_path: Path, text: str | None, expected: str) -> None:
    found = scene(project(tmp_path, github__workflows__cd_yml=text))
    assert statuses(of_bundle.ci(found)) == [expected]


HASH = "    --hash=sha256:" + "a" * 64 + "\n"
PINS = f"dbt-core==1.11.0 \\\n{HASH}dbt-databricks==1.12.7 \\\n{HASH}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, "warn"),
        (PINS, "ok"),
        (PINS.replace("dbt-databricks", "dbt-postgres"), "fail"),
        (PINS.replace("dbt-core", "dbt-bore"), "raises"),
        (PINS.removesuffix(HASH), "raises"),
    ],
)
def test_dbt_s_packages_are_locked_with_hashes(tmp_path: Path, text: str | None, expected: str) -> None:
    found = scene(project(tmp_path))
    if text is not None:
        (found.project / "requirements-dbt.txt").write_text(text)
    if expected == "raises":  # what a check raises is a failure of it
        with pytest.raises(ConfigError, match="lock-dbt"):
            list(of_bundle.dbt_requirements(found))
    else:
        assert only(of_bundle.dbt_requirements(found)).status == expected
