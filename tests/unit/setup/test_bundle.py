from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.sdk.service.jobs import JobSettings

from dbx_cd import ConfigError
from dbx_cd.local.job_bundle import BundledJob, load_bundled_job
from dbx_cd.release.job import JobDefinition
from dbx_cd.release.second_half import require_second_half
from dbx_cd.setup.bundle import bundle_text, ci_text, job_text, production_job_text
from dbx_cd.setup.bundle_options import BUNDLE_FILE, CI_FILE, JOB_FILE, NODE_TYPES, WHEEL, BundleOptions, TargetNames
from dbx_cd.setup.own_bundle import own_job_name

REPOSITORY = Path(__file__).parents[3]
THREE = TargetNames("qa", "production", ("uat",))


def written(folder: Path, options: BundleOptions, *, theirs: str = "bundle: {name: theirs}\n") -> Path:
    """A repository with these files; with a bundle of its own where the options say so."""
    (folder / JOB_FILE).parent.mkdir(parents=True, exist_ok=True)
    (folder / JOB_FILE).write_text(job_text(options))
    (folder / BUNDLE_FILE).write_text(bundle_text(options) if options.is_bundle_ours else theirs)
    return folder


def loaded(folder: Path, options: BundleOptions, **variables: str) -> BundledJob:
    return load_bundled_job(written(folder, options), variables=variables)


def test_the_repository_s_own_files_are_what_the_templates_give() -> None:
    assert (REPOSITORY / BUNDLE_FILE).read_text() == bundle_text(BundleOptions())
    assert (REPOSITORY / JOB_FILE).read_text() == job_text(BundleOptions())
    assert (REPOSITORY / CI_FILE).read_text() == ci_text(BundleOptions())


def test_the_wheel_in_the_variables_is_of_this_version() -> None:
    setup = (REPOSITORY / "setup.cfg").read_text()
    assert f"version = {WHEEL.split('-')[1]}\n" in setup
    older = BundleOptions(values={"wheel": "/Volumes/a/b/c/dbx_cd-0.1.0-py3-none-any.whl"})
    assert f"default: /Volumes/a/b/c/{WHEEL}\n" in bundle_text(older)
    other = BundleOptions(values={"wheel": "/Volumes/a/b/c/ours.whl"})
    assert "default: /Volumes/a/b/c/ours.whl\n" in bundle_text(other)


VARIANTS = [
    BundleOptions(targets=targets, compute=compute, sres=sres, is_bundle_ours=ours, project=project)  # type: ignore[arg-type]
    for targets, compute, sres, ours, project in itertools.product(
        (TargetNames(), THREE), ("cluster", "serverless"), (None, "sres"), (True, False), (None, "shop")
    )
]


@pytest.mark.parametrize("options", VARIANTS, ids=lambda o: f"{len(o.targets.all)}-{o.compute}-{o.sres}-{o.job_name}")
def test_every_variant_is_a_job_that_the_api_takes_with_the_same_tasks(tmp_path: Path, options: BundleOptions) -> None:
    """`load_bundled_job` refuses what the Jobs API does not know, and variables that nobody declares."""
    job = loaded(tmp_path, options)
    settings = job.settings
    assert "${" not in str(settings.as_dict())
    assert settings.name == options.job_name
    definition = JobDefinition.of(settings)
    assert definition.open_targets == (options.targets.staging,)
    assert definition.gates == (*options.targets.between, options.targets.production)
    declared = yaml.safe_load(bundle_text(options) if options.is_bundle_ours else job_text(options))["variables"]
    text = bundle_text(options) + job_text(options)
    assert [name for name in declared if f"${{var.{name}}}" not in text] == []
    assert [line.group_name for line in job.permissions if line.group_name] == [
        "dbx_cd_approvers", *([options.sres] if options.sres else [])
    ]  # fmt: skip


def tasks_of(settings: JobSettings) -> list[dict[str, Any]]:
    where = ("job_cluster_key", "libraries", "environment_key", "max_retries", "disable_auto_optimization")
    return [{k: v for k, v in task.as_dict().items() if k not in where} for task in settings.tasks or ()]


def test_on_serverless_compute_the_tasks_do_the_same_without_a_cluster(tmp_path: Path) -> None:
    cluster = loaded(tmp_path, BundleOptions(targets=THREE)).settings
    serverless = loaded(tmp_path, BundleOptions(targets=THREE, compute="serverless")).settings
    assert tasks_of(serverless) == tasks_of(cluster)
    assert not serverless.job_clusters
    tasks = serverless.tasks or []
    assert [t.task_key for t in tasks if t.libraries or t.job_cluster_key] == []
    (environment,) = serverless.environments or ()
    assert {t.environment_key for t in tasks} == {environment.environment_key}
    assert environment.spec is not None
    assert environment.spec.dependencies == ["-r /Volumes/ops/dbt_meta/wheels/dbx_cd-serverless-v4.txt"]


def test_serverless_compute_never_tries_a_failed_task_again_by_itself(tmp_path: Path) -> None:
    """It would ask for an approval again and again, and build what has failed (documentation on auto-optimization)."""
    tasks = loaded(tmp_path, BundleOptions(compute="serverless")).settings.as_dict()["tasks"]
    assert {(task["disable_auto_optimization"], task["max_retries"]) for task in tasks} == {(True, 0)}


@pytest.mark.parametrize("cloud", NODE_TYPES)
def test_runtime_and_node_type_are_variables_with_values_per_cloud(tmp_path: Path, cloud: str) -> None:
    options = BundleOptions(cloud=cloud)  # type: ignore[arg-type]
    (shared,) = loaded(tmp_path, options).settings.job_clusters or ()
    assert shared.new_cluster.node_type_id == NODE_TYPES[cloud]  # type: ignore[index]
    (shared,) = (
        loaded(tmp_path, options, node_type_id="x", spark_version="17.3.x-scala2.13").settings.job_clusters or ()
    )
    assert (shared.new_cluster.node_type_id, shared.new_cluster.spark_version) == ("x", "17.3.x-scala2.13")


def test_there_is_one_deployment_in_a_folder_of_ci_s_own() -> None:
    """As `mode: production` asks for; /Workspace/Shared is warned of (databricks/cli, permissions/validate.go)."""
    (target,) = yaml.safe_load(bundle_text(BundleOptions()))["targets"].values()
    assert target["mode"] == "production"
    assert target["workspace"]["root_path"].startswith("/Workspace/Users/${var.ci}/")


def test_two_projects_have_a_job_and_a_bundle_each_under_one_key() -> None:
    texts = [
        yaml.safe_load(bundle_text(BundleOptions(project=name)) + job_text(BundleOptions(project=name)))
        for name in "ab"
    ]
    assert [t["bundle"]["name"] for t in texts] == ["dbx_cd_a", "dbx_cd_b"]
    assert [{k: job["name"] for k, job in t["resources"]["jobs"].items()} for t in texts] == [
        {"dbx_cd": "dbx_cd_a"}, {"dbx_cd": "dbx_cd_b"}
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value", ["a: b", "@x", "*", "yes", "1.0", "", "x #y", 'say "no"', "-r /a", "${var.x}/y", "é", "~"]
)
def test_any_text_is_written_so_that_yaml_reads_the_same(value: str) -> None:
    text = bundle_text(BundleOptions(values={"notify": value, "git_url": value}))
    assert {n: v["default"] for n, v in yaml.safe_load(text)["variables"].items() if n in ("notify", "git_url")} == {
        "notify": value, "git_url": value
    }  # fmt: skip


@pytest.mark.parametrize("ours", [True, False])
def test_the_job_s_name_is_found_from_any_folder_of_the_repository(tmp_path: Path, ours: bool) -> None:
    written(tmp_path, BundleOptions(project="shop", is_bundle_ours=ours))
    (tmp_path / "dbt" / "models").mkdir(parents=True)
    assert own_job_name(tmp_path / "dbt" / "models") == "dbx_cd_shop"


def test_a_job_that_a_variable_names_is_found_and_one_that_nothing_names_is_not(tmp_path: Path) -> None:
    options = BundleOptions(is_bundle_ours=False, values={"notify": "x"})
    written(tmp_path, options)
    job = tmp_path / JOB_FILE
    job.write_text(job.read_text().replace("      name: dbx_cd\n", "      name: ${var.notify}-release\n"))
    assert own_job_name(tmp_path) == "x-release"
    job.write_text(job.read_text().replace("${var.notify}", "${bundle.name}"))
    assert own_job_name(tmp_path) == "theirs-release"
    job.write_text(job.read_text().replace("${bundle.name}", "${workspace.current_user.short_name}"))
    assert own_job_name(tmp_path) is None
    job.write_text("resources: [\n")
    assert own_job_name(tmp_path) is None


def test_no_job_is_found_beyond_the_repository(tmp_path: Path) -> None:
    written(tmp_path, BundleOptions(project="shop"))
    (tmp_path / "other" / ".git").mkdir(parents=True)
    assert own_job_name(tmp_path / "other") is None


def test_a_project_whose_name_no_job_can_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="no name for a job"):
        BundleOptions(project="a: b")


def second_half(options: BundleOptions) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(production_job_text(options))["resources"]["jobs"]["dbx_cd_production"]
    return found


@pytest.mark.parametrize("targets", [TargetNames(), THREE])
def test_two_jobs_have_the_tasks_of_one(targets: TargetNames) -> None:
    """What has a gate is built by the second job alone, in the same order, and by no notebook of the commit."""
    whole = yaml.safe_load(job_text(BundleOptions(targets=targets)))["resources"]["jobs"]["dbx_cd"]["tasks"]
    two = BundleOptions(targets=targets, identities=2)
    first = yaml.safe_load(job_text(two))["resources"]["jobs"]["dbx_cd"]["tasks"]
    *staging, production = first
    assert staging == whole[:2]
    assert production["run_job_task"]["job_id"] == "${resources.jobs.dbx_cd_production.id}"
    assert production["run_job_task"]["job_parameters"]["release_run_id"] == "{{job.run_id}}"
    gated = second_half(two)["tasks"]
    assert [t["task_key"] for t in gated] == [t["task_key"] for t in whole[2:]]
    assert "depends_on" not in gated[0]
    assert [t["depends_on"] for t in gated[1:]] == [t["depends_on"] for t in whole[3:]]
    for task, same in zip(gated, whole[2:], strict=True):
        notebook, other = task["notebook_task"], same["notebook_task"]
        assert notebook["base_parameters"] == other["base_parameters"]
        assert (notebook["source"], notebook["notebook_path"]) == ("WORKSPACE", f"../{other['notebook_path']}.py")
        assert (REPOSITORY / "resources" / notebook["notebook_path"]).is_file()


def test_each_job_runs_as_its_own_identity_and_may_be_seen_by_the_other() -> None:
    two = BundleOptions(identities=2)
    first = yaml.safe_load(job_text(two))["resources"]["jobs"]["dbx_cd"]
    second = second_half(two)
    assert first["run_as"] == {"service_principal_name": "${var.run_as}"}
    assert second["run_as"] == {"service_principal_name": "${var.production_run_as}"}
    assert {"service_principal_name": "${var.production_run_as}", "level": "CAN_VIEW"} in first["permissions"]
    assert {"service_principal_name": "${var.run_as}", "level": "CAN_MANAGE_RUN"} in second["permissions"]
    given = {p["name"]: p["default"] for p in second["parameters"]}
    assert given["staging_identity"] == "${var.run_as}"
    assert "git_source" not in second


def test_the_second_job_is_one_that_tasks_accept() -> None:
    """`require_second_half` refuses a definition that leaves something to the first job."""
    settings = JobSettings.from_dict(second_half(BundleOptions(identities=2, targets=THREE)))
    definition = JobDefinition.of(settings)
    assert require_second_half(definition) == "${var.run_as}"
    assert definition.gates == ("uat", "${var.production}")


@pytest.mark.parametrize("compute", ["cluster", "serverless"])
def test_variables_of_two_identities_are_declared(compute: Any) -> None:
    options = BundleOptions(identities=2, compute=compute, sres="sres")
    declared = set(yaml.safe_load(bundle_text(options))["variables"])
    used = set(re.findall(r"\$\{var\.(\w+)\}", bundle_text(options) + job_text(options) + production_job_text(options)))
    assert used == declared
