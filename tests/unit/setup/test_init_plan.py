"""`init` in repositories that are not the example: with a bundle, with the project in a folder, with other names."""

from __future__ import annotations

import json
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from git_repositories import commit, fill, git

from dbx_cd import CdConfig, ConfigError, SmokeSuite
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.local.job_bundle import load_bundled_job
from dbx_cd.release.job import JobDefinition
from dbx_cd.release.standing import require_targets
from dbx_cd.setup.bundle import job_text
from dbx_cd.setup.bundle_options import BUNDLE_FILE, JOB_FILE, WHEEL, BundleOptions, TargetNames
from dbx_cd.setup.first_suite import shipped_of
from dbx_cd.setup.init import Asked, InitPlan, init, plan_init
from dbx_cd.setup.init_targets import AskedNames
from dbx_cd.setup.planned_files import PlannedFile, write_files
from dbx_cd.setup.present_bundle import present_bundle
from dbx_cd.setup.repository import remote_of

RECORDED = Path(__file__).parents[2] / "fixtures" / "recorded_dbt" / "recorded"


def recorded(project: Path, target: str) -> Manifest:
    """What dbt has left of a project with models that are tagged `deploy`."""
    return Manifest.load(RECORDED / "compared" / "manifest.json")


def no_dbt(project: Path, target: str) -> Manifest:
    raise ConfigError("dbt is not installed")


def planned(repository: Path, *, parse: object = no_dbt, names: AskedNames | None = None, **asked: object) -> InitPlan:
    options = {"names": names} if names is not None else {}
    return plan_init(Asked(repository, **options, **asked), parse=parse)  # type: ignore[arg-type]


def carried_out(repository: Path, **asked: object) -> list[str]:
    """What `init` says, having written."""
    messages: list[str] = []
    init(planned(repository, **asked), say=messages.append)  # type: ignore[arg-type]
    return messages


def definition_of(repository: Path, **variables: str) -> JobDefinition:
    return JobDefinition.of(load_bundled_job(repository, variables=variables).settings)


def files_of(repository: Path) -> dict[str, str]:
    found = (
        path for path in repository.rglob("*") if path.is_file() and ".git" not in path.relative_to(repository).parts
    )
    return {path.relative_to(repository).as_posix(): path.read_text() for path in found}


def profiles(*outputs: str, name: str = "shop") -> str:
    return yaml.safe_dump(
        {name: {"target": outputs[0], "outputs": {output: {"type": "databricks"} for output in outputs}}}
    )


THEIR_BUNDLE = """\
# The platform team's: hands off.
bundle: {name: lakehouse}
include: [jobs/*.yml]
variables:
  wheel: {default: /Volumes/theirs/x.whl}
targets:
  dev: {mode: development}
  live: {mode: production, default: true, variables: {run_as: live-bot}}
"""
EXISTING = {
    "dbt_project.yml": "name: finance\nprofile: finance\n",
    "profiles.yml": profiles("stg", "prod", name="finance"),
    BUNDLE_FILE: THEIR_BUNDLE,
    "jobs/nightly.yml": "variables: {node_type_id: {default: theirs}}\nresources: {jobs: {nightly: {name: nightly}}}\n",
    ".github/workflows/ci.yml": "name: ci\n",
}
SUBFOLDER = {
    "README.md": "a monorepo\n",
    "transform/shop/dbt_project.yml": "name: shop\nprofile: shop\n",
    "transform/shop/profiles.yml": profiles("stg", "prod"),
    "transform/shop/dbt_packages/utils/dbt_project.yml": "name: utils\n",
}
OTHER_NAMES = {
    "dbt_project.yml": "name: sales\nprofile: sales\n",
    "profiles.yml": profiles("dev", "qa", "production", name="sales"),
}


@pytest.fixture(params=[EXISTING, SUBFOLDER, OTHER_NAMES], ids=["existing bundle", "subfolder", "dev, qa, production"])
def repository(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return commit(fill(tmp_path / "repository", request.param))


@pytest.fixture
def existing(tmp_path: Path) -> Path:
    return commit(fill(tmp_path / "repository", EXISTING))


def project_of(repository: Path) -> Path:
    return next(path.parent for path in repository.rglob("dbt_project.yml") if "dbt_packages" not in path.parts)


def test_nothing_has_to_be_edited_for_the_job_to_build_the_project_s_targets(repository: Path) -> None:
    before = files_of(repository)
    carried_out(repository)
    after = files_of(repository)
    assert {name: after[name] for name in before} == before
    definition = definition_of(repository)
    require_targets(CdConfig.load(project_of(repository)), definition.standing)
    assert (repository / definition.parameters["project_dir"]).resolve() == project_of(repository)


@pytest.mark.parametrize("compute", ["cluster", "serverless"])
def test_a_second_run_changes_nothing_and_has_no_difference(repository: Path, compute: str) -> None:
    carried_out(repository, compute=compute, sres="sres")
    before = files_of(repository)
    plan = planned(repository)
    assert plan.diff == ""
    assert carried_out(repository)[0] == "nothing to do: every file is as this version writes it"
    assert files_of(repository) == before


def test_a_diff_writes_nothing_and_applied_is_what_init_writes(repository: Path, tmp_path: Path) -> None:
    before = files_of(repository)
    (tmp_path / "init.diff").write_text(planned(repository).diff)
    assert files_of(repository) == before
    git(repository, "apply", str(tmp_path / "init.diff"))
    applied = files_of(repository)
    git(repository, "clean", "-qfd")
    carried_out(repository)
    assert files_of(repository) == applied


def test_what_a_team_has_set_is_no_difference_and_a_newer_version_s_change_is(existing: Path) -> None:
    """As after an upgrade of the wheel: the file of the job was written by an older version."""
    carried_out(existing)
    job = existing / JOB_FILE
    text = job.read_text().replace("default: ops.dbt_meta.release_log", "default: theirs.log.releases")
    text = text.replace(WHEEL, "dbx_cd-0.1.0-py3-none-any.whl").replace(
        "max_concurrent_runs: 1", "max_concurrent_runs: 4"
    )
    job.write_text(text)
    diff = planned(existing).diff
    changed = [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert changed == ["-      max_concurrent_runs: 4", "+      max_concurrent_runs: 1"]
    assert f"differs from what this version writes (see --diff): {JOB_FILE}" in carried_out(existing)[0]
    assert job.read_text() == text


def test_the_wheel_of_an_older_version_is_a_difference_but_not_its_folder(tmp_path: Path) -> None:
    repository = fill(tmp_path, SUBFOLDER)
    carried_out(repository)
    bundle = repository / BUNDLE_FILE
    older = "default: /Volumes/theirs/w/dbx_cd-0.1.0-py3-none-any.whl"
    bundle.write_text(bundle.read_text().replace(f"default: /Volumes/ops/dbt_meta/wheels/{WHEEL}", older))
    assert f"-    {older}\n+    default: /Volumes/theirs/w/{WHEEL}\n" in planned(repository).diff


def test_a_bundle_that_is_there_stays_and_what_it_lacks_is_said(existing: Path) -> None:
    messages = carried_out(existing)
    assert (existing / BUNDLE_FILE).read_text() == THEIR_BUNDLE
    assert f"add to {BUNDLE_FILE}, which stays as it is:\ninclude:\n  - {JOB_FILE}" in messages
    written = {Path(m).relative_to(existing).as_posix() for m in messages if m.startswith(str(existing))}
    assert written == {JOB_FILE, ".github/workflows/cd.yml", "requirements-dbt.txt"} | {
        name for name in written if name.startswith(("notebooks/", "requirements/"))
    }


def test_a_bundle_that_includes_the_job_s_file_lacks_nothing(existing: Path) -> None:
    for patterns in ("resources/*.yml", "./resources/*.yml", "**/*.job.yml", JOB_FILE, "resources/**/*.yml"):
        (existing / BUNDLE_FILE).write_text(THEIR_BUNDLE.replace("jobs/*.yml", f'"{patterns}"'))
        assert not any("add to" in remark for remark in planned(existing).remarks), patterns
    for patterns in ("*.yml", "resources/*.yaml", "resource?/x.yml"):
        (existing / BUNDLE_FILE).write_text(THEIR_BUNDLE.replace("jobs/*.yml", f'"{patterns}"'))
        assert any("add to" in remark for remark in planned(existing).remarks), patterns


def test_variables_that_the_bundle_has_already_are_taken_and_not_declared_again(existing: Path) -> None:
    """Declared twice, the included file's would take the place of the team's own."""
    messages = carried_out(existing)
    declared = yaml.safe_load((existing / JOB_FILE).read_text())["variables"]
    assert {"wheel", "node_type_id"} & declared.keys() == set()
    theirs = "your bundle declares these variables itself, and the Workflow takes them as they are: node_type_id, wheel"
    assert theirs in messages
    settings = load_bundled_job(existing, variables={}).settings
    assert [cluster.new_cluster.node_type_id for cluster in settings.job_clusters or ()] == ["theirs"]
    assert {library.whl for t in settings.tasks or () for library in t.libraries or () if library.whl} == {
        "/Volumes/theirs/x.whl"
    }
    assert settings.run_as is not None
    assert settings.run_as.service_principal_name == "live-bot"


@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        (("stg", "prod", "qa"), TargetNames()),
        (("dev", "qa", "production"), TargetNames("qa", "production")),
        (("dev", "staging", "prod"), TargetNames("staging", "prod")),
        (("ci", "PRE-PROD", "live"), TargetNames("PRE-PROD", "live")),
    ],
)
def test_names_are_found_where_one_output_alone_can_be_meant(
    tmp_path: Path, outputs: tuple[str, ...], names: TargetNames
) -> None:
    fill(tmp_path, {**OTHER_NAMES, "profiles.yml": profiles(*outputs, name="sales")})
    messages = carried_out(tmp_path)
    definition = definition_of(tmp_path)
    assert (definition.open_targets, definition.gates) == ((names.staging,), (names.production,))
    found = f"by the outputs of profiles.yml, {names.staging} is built and tested first"
    assert any(found in message for message in messages) == (names != TargetNames())


@pytest.mark.parametrize(
    ("outputs", "asked", "message"),
    [
        (("dev", "qa", "uat", "prod"), AskedNames(), "any of qa, uat may be the target that is built and tested first"),
        (("qa", "prod", "live"), AskedNames(), "any of live, prod may be the target that is built last"),
        (("dev", "prod"), AskedNames(), "no output stg; it has dev, prod"),
        (("a", "b"), AskedNames(staging="a"), "no output prod; it has a, b"),
    ],
)
def test_names_that_are_not_clear_are_asked_for_and_nothing_is_written(
    tmp_path: Path, outputs: tuple[str, ...], asked: AskedNames, message: str
) -> None:
    fill(tmp_path, {**OTHER_NAMES, "profiles.yml": profiles(*outputs, name="sales")})
    before = files_of(tmp_path)
    with pytest.raises(ConfigError, match=message) as raised:
        planned(tmp_path, names=asked)
    assert "--staging TARGET and --production TARGET" in str(raised.value)
    assert files_of(tmp_path) == before


def test_what_is_asked_for_settles_what_is_open(tmp_path: Path) -> None:
    fill(tmp_path, {**OTHER_NAMES, "profiles.yml": profiles("dev", "qa", "uat", "prod", name="sales")})
    carried_out(tmp_path, names=AskedNames(gates=("uat",)))
    assert CdConfig.load(tmp_path).gates == ("uat", "prod")
    assert definition_of(tmp_path).open_targets == ("qa",)


def test_the_job_has_the_project_s_name_and_one_that_is_there_keeps_its_own(tmp_path: Path) -> None:
    fill(tmp_path / "new", SUBFOLDER)
    carried_out(tmp_path / "new")
    assert load_bundled_job(tmp_path / "new", variables={}).settings.name == "dbx_cd_shop"
    older = fill(tmp_path / "older", {**SUBFOLDER, JOB_FILE: job_text(BundleOptions(project_dir="transform/shop"))})
    carried_out(older)
    assert load_bundled_job(older, variables={}).settings.name == "dbx_cd"
    assert "--job dbx_cd --commit" in (older / ".github" / "workflows" / "cd.yml").read_text()


def test_on_serverless_compute_notebooks_say_their_environment_below_the_first_line(tmp_path: Path) -> None:
    fill(tmp_path, OTHER_NAMES)
    carried_out(tmp_path, compute="serverless")
    lines = (tmp_path / "notebooks" / "approve.py").read_text().splitlines()
    assert lines[0] == "# Databricks notebook source"
    header = lines[1 : lines.index("# ///") + 1]
    assert header[:2] == ["# /// script", "# [tool.databricks.environment]"]
    environment = tomllib.loads("\n".join(line.removeprefix("#").strip() for line in header[1:-1]))
    assert environment["tool"]["databricks"]["environment"] == {
        "environment_version": "4",
        "dependencies": ["-r /Volumes/ops/dbt_meta/wheels/dbx_cd-serverless-v4.txt"],
    }
    assert lines[len(header) + 1].startswith("# MAGIC %md")


@pytest.mark.parametrize(
    ("remote", "found"),
    [
        ("git@github.com:acme/shop.git", ("https://github.com/acme/shop", "gitHub")),
        ("https://user:token@github.com/acme/shop.git", ("https://github.com/acme/shop", "gitHub")),
        ("ssh://git@gitlab.com/acme/data/shop.git", ("https://gitlab.com/acme/data/shop", "gitLab")),
        (
            "https://dev.azure.com/acme/data/_git/shop",
            ("https://dev.azure.com/acme/data/_git/shop", "azureDevOpsServices"),
        ),
        ("https://git.acme.example:8443/shop", ("https://git.acme.example:8443/shop", None)),
        ("/srv/git/shop.git", None),
        (None, None),
    ],
)
def test_where_the_repository_is_pushed_to_is_what_the_job_checks_out(
    tmp_path: Path, remote: str | None, found: tuple[str, str | None] | None
) -> None:
    repository = commit(fill(tmp_path, OTHER_NAMES))
    if remote is not None:
        git(repository, "remote", "add", "origin", remote)
    assert remote_of(repository) == found
    carried_out(repository)
    source = load_bundled_job(repository, variables={}).settings.git_source
    assert source is not None
    url, provider = found or ("https://github.com/example-org/shop", "gitHub")
    assert (source.git_url, source.git_provider.value) == (url, provider or "gitHub")
    assert planned(repository).diff == ""


def test_a_first_suite_is_drafted_for_what_ships_and_read_by_the_smoke_test(tmp_path: Path) -> None:
    fill(tmp_path, SUBFOLDER)
    messages = carried_out(tmp_path, parse=recorded)
    drafted = sorted((tmp_path / "transform" / "shop" / "smoke").iterdir())
    suites = [SmokeSuite.from_yaml(path) for path in drafted]
    checks = [check for suite in suites for check in suite]
    shipped = shipped_of(tmp_path, "stg", parse=recorded)
    assert {check.model for check in checks} <= set(shipped.models)
    assert all(any(c.model == model and c.KIND == "metric" for c in checks) for model in {c.model for c in checks})
    assert any(f"tagged deploy, so that they ship: {', '.join(shipped.models)}" in message for message in messages)


def test_of_a_model_with_versions_the_latest_is_checked_once(tmp_path: Path) -> None:
    """A suite names a model without its version, and means the latest."""
    shipped = shipped_of(tmp_path, "stg", parse=lambda *_: Manifest.load(RECORDED / "versions" / "manifest.json"))
    (suite,) = shipped.suites.values()
    assert [table["model"] for table in yaml.safe_load(suite)["tables"]] == ["customers", "regions"]
    assert shipped.models == ("customers", "regions")


def test_amounts_of_a_tagged_model_get_a_guardrail(tmp_path: Path) -> None:
    columns = {"net_amount": "decimal(18,2)", "amount_text": "string", "revenue": "", "id": "int", "taxonomy": ""}
    node = {
        "resource_type": "model", "name": "orders", "package_name": "shop", "tags": ["deploy"], "columns": {
            name: {"name": name, "data_type": data_type or None} for name, data_type in columns.items()
        }, "config": {"materialized": "table"}, "original_file_path": "models/marts/sales/orders.sql", "path": "x",
    }  # fmt: skip
    manifest = manifest_with({"model.shop.orders": node})
    shipped = shipped_of(tmp_path, "stg", parse=lambda *_: manifest)
    (table,) = yaml.safe_load(shipped.suites["sales"])["tables"]
    assert table == {
        "model": "orders",
        "expectations": [
            {"expect_column_sum_to_be_between": {"column": column, "min_value": 0}, "guardrail": True}
            for column in ("net_amount", "revenue")
        ],
        "compare": [{"row_count": {"within_pct": 20, "min_baseline": 100}}],
    }


def manifest_with(nodes: Mapping[str, Mapping[str, object]]) -> Manifest:
    document = json.loads((RECORDED / "compared" / "manifest.json").read_text())
    template = next(node for node in document["nodes"].values() if node["resource_type"] == "model")
    document |= {part: {} for part in ("macros", "sources", "exposures", "parent_map", "child_map")}
    document["nodes"] = {name: {**template, "unique_id": name, **node} for name, node in nodes.items()}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "manifest.json").write_text(json.dumps(document))
        return Manifest.load(Path(folder) / "manifest.json")


def test_suites_that_are_there_are_the_team_s(tmp_path: Path) -> None:
    fill(tmp_path, {**OTHER_NAMES, "smoke/ours.yml": "domain: ours\n"})
    carried_out(tmp_path, parse=recorded)
    assert [path.name for path in (tmp_path / "smoke").iterdir()] == ["ours.yml"]


def test_without_dbt_everything_else_is_written_and_why_is_said(tmp_path: Path) -> None:
    fill(tmp_path, OTHER_NAMES)
    messages = carried_out(tmp_path)
    assert messages[-1] == "which models ship is not known, and no smoke suite was drafted: dbt is not installed"
    assert not (tmp_path / "smoke").exists()
    assert (tmp_path / JOB_FILE).is_file()


def test_where_nothing_is_tagged_the_line_to_add_is_said(tmp_path: Path) -> None:
    fill(tmp_path, OTHER_NAMES)
    messages = carried_out(tmp_path, parse=lambda *_: manifest_with({}))
    assert messages[-1].endswith("models:\n  sales:\n    marts:\n      +tags: [deploy]")
    settings = yaml.safe_load(messages[-1].partition("dbt_project.yml:\n")[2])
    assert settings == {"models": {"sales": {"marts": {"+tags": ["deploy"]}}}}


def test_a_file_that_cannot_be_written_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = [PlannedFile("a", "new"), PlannedFile("b", "old new", "old", is_addition=True), PlannedFile("d/c", "new")]
    (tmp_path / "b").write_text("old")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "c").mkdir()
    with pytest.raises(ConfigError, match=r"cannot be written: .*; nothing was"):
        write_files(tmp_path, files)
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "b").read_text() == "old"


def test_a_file_of_the_bundle_that_is_no_yaml_is_named(existing: Path) -> None:
    (existing / "jobs" / "nightly.yml").write_text("a: [\n")
    with pytest.raises(
        ConfigError, match=r"(?s)cannot be read as YAML.*nightly\.yml.*fix the file, and start `init` again"
    ):
        present_bundle(existing)
