from __future__ import annotations

from pathlib import Path

import pytest
from databricks.sdk.service.jobs import JobSettings, RunIf
from git_repositories import commit, fill, git

from dbx_cd import CdConfig, ConfigError
from dbx_cd.cli.main import main
from dbx_cd.config import TargetConfig
from dbx_cd.local.job_bundle import load_job
from dbx_cd.release.job import JobDefinition
from dbx_cd.release.standing import require_targets

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def no_dbt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is parsed: what `init` makes of a manifest is in tests/unit/setup."""

    def none(project: Path, target: str) -> None:
        raise ConfigError("no dbt here")

    monkeypatch.setattr("dbx_cd.setup.first_suite._parsed", none)


def test_init_copies_what_the_bundle_deploys_and_installs(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path)]) == 0
    notebooks = {f"notebooks/{path.name}" for path in (REPOSITORY / "notebooks").glob("*.py")}
    copied = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert copied == notebooks | {
        "databricks.yml",
        "resources/dbx_cd.job.yml",
        "requirements/dbx_cd-trigger.txt",
        ".github/workflows/cd.yml",
    }


DBT_PROJECT = "name: shop\nprofile: shop\n"


def job_of(repository: Path) -> JobSettings:
    return load_job(repository, variables={})


def targets(job: JobSettings) -> dict[str, str]:
    return {
        task.task_key: (task.notebook_task.base_parameters or {})["target"]
        for task in job.tasks or ()
        if task.notebook_task
    }


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    fill(tmp_path / "dbt", {"dbt_project.yml": DBT_PROJECT})
    fill(tmp_path / "dbt" / "dbt_packages" / "utils", {"dbt_project.yml": "name: utils\n"})
    fill(tmp_path / "shared", {"dbt_project.yml": "name: a_package_beside_it\n"})
    return tmp_path


def test_targets_of_other_names_are_the_job_s_and_the_project_s_without_an_edit(repository: Path) -> None:
    assert main(["init", str(repository), "--staging", "qa", "--production", "production"]) == 0
    config = CdConfig.load(repository / "dbt")
    assert config.targets == {"qa": TargetConfig(), "production": TargetConfig(gate="approval", defer_to="qa")}
    job = job_of(repository)
    assert set(targets(job).values()) == {"qa", "production"}
    definition = JobDefinition.of(job)
    assert (definition.open_targets, definition.gates) == (("qa",), ("production",))
    assert "stg/" not in str(job.as_dict())
    assert {p.name: p.default for p in job.parameters or ()}["project_dir"] == "dbt"
    require_targets(config, definition.standing)


def test_each_further_gate_has_a_gate_a_build_a_smoke_test_and_a_rollback(repository: Path) -> None:
    """As docs/deploy.md has them to be written by hand."""
    names = ["--staging", "qa", "--gate", "uat", "--gate", "preprod", "--production", "production"]
    assert main(["init", str(repository), *names]) == 0
    config, job = CdConfig.load(repository / "dbt"), job_of(repository)
    assert config.gates == ("uat", "preprod", "production")
    assert JobDefinition.of(job).gates == config.gates
    tasks = {task.task_key: task for task in job.tasks or ()}
    after = {key: [d.task_key for d in task.depends_on or ()] for key, task in tasks.items()}
    assert after == {
        "stg_build": [], "stg_smoke": ["stg_build"],
        "uat_gate": ["stg_smoke"], "uat_build": ["uat_gate"], "uat_smoke": ["uat_build"],
        "uat_rollback": ["uat_build", "uat_smoke"],
        "preprod_gate": ["uat_smoke"], "preprod_build": ["preprod_gate"], "preprod_smoke": ["preprod_build"],
        "preprod_rollback": ["preprod_build", "preprod_smoke"],
        "approval_gate": ["preprod_smoke"], "prod_build": ["approval_gate"], "prod_smoke": ["prod_build"],
        "docs_refresh": ["prod_smoke"], "auto_rollback": ["prod_build", "prod_smoke"],
    }  # fmt: skip
    assert {key: name for key, name in targets(job).items() if key.startswith(("uat", "preprod"))} == {
        key: key.split("_")[0] for key in after if key.startswith(("uat", "preprod"))
    }
    assert {key for key, task in tasks.items() if task.run_if == RunIf.AT_LEAST_ONE_FAILED} == {
        "uat_rollback", "preprod_rollback", "auto_rollback"
    }  # fmt: skip
    notebooks = {key: task.notebook_task.notebook_path for key, task in tasks.items() if task.notebook_task}
    for role, like in {"gate": "approval_gate", "build": "prod_build", "smoke": "stg_smoke"}.items():
        assert notebooks[f"uat_{role}"] == notebooks[like]
    assert "tiny" not in (tasks["uat_smoke"].notebook_task.base_parameters or {})


def test_names_that_the_settings_have_already_are_the_job_s(repository: Path) -> None:
    text = "targets:\n  qa: {}\n  production: {gate: approval, defer_to: qa}\n"
    fill(repository / "dbt", {"dbt_project.yml": DBT_PROJECT, "dbx_cd.yml": text})
    assert main(["init", str(repository)]) == 0
    assert set(targets(job_of(repository)).values()) == {"qa", "production"}
    assert (repository / "dbt" / "dbx_cd.yml").read_text() == text


def test_other_names_than_the_settings_have_are_refused_and_nothing_is_copied(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "targets:\n  qa: {}\n  production: {gate: approval, defer_to: qa}\n"
    fill(repository / "dbt", {"dbx_cd.yml": text})
    assert main(["init", str(repository), "--staging", "test"]) == 1
    message = capsys.readouterr().err
    assert "`targets` has qa, production, and test, prod are asked for" in message
    assert "change it there, and start `init` again" in message
    assert not (repository / "databricks.yml").exists()


def test_settings_that_a_project_has_stay_as_they_are_before_the_targets(repository: Path) -> None:
    before = "# ours\napprovers: data-owners\n"
    fill(repository / "dbt", {"dbx_cd.yml": before})
    assert main(["init", str(repository), "--staging", "qa"]) == 0
    assert (repository / "dbt" / "dbx_cd.yml").read_text().startswith(before)
    config = CdConfig.load(repository / "dbt")
    assert (config.approvers, list(config.targets)) == ("data-owners", ["qa", "prod"])


def test_settings_that_nothing_can_be_added_to_are_named_with_what_to_write(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(repository / "dbt", {"dbx_cd.yml": "{approvers: data-owners}\n"})
    assert main(["init", str(repository), "--staging", "qa"]) == 1
    assert "qa: {}" in capsys.readouterr().err
    assert not (repository / "databricks.yml").exists()


@pytest.mark.parametrize("names", [[], ["--staging", "qa"]], ids=["no names", "names"])
def test_the_project_has_to_be_named_where_there_are_several(
    repository: Path, names: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    fill(repository / "other", {"dbt_project.yml": DBT_PROJECT})
    assert main(["init", str(repository), *names]) == 1
    assert "several dbt projects: dbt, other" in capsys.readouterr().err
    assert not (repository / "databricks.yml").exists()
    assert main(["init", str(repository), *names, "--project", "other"]) == 0
    assert {p.name: p.default for p in job_of(repository).parameters or ()}["project_dir"] == "other"


def test_where_there_is_no_project_yet_the_folder_to_set_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path)]) == 0
    assert "set `project_dir` in databricks.yml" in capsys.readouterr().out


PROFILES = "shop: {target: dev, outputs: {dev: {}, qa: {}, production: {}}}\nother: {outputs: {stg: {}, prod: {}}}\n"


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (["--staging", "stg", "--production", "production"], "stg"),
        (["--staging", "qa", "--production", "prodution"], "prodution"),
        (["--staging", "qa", "--production", "production", "--gate", "uat"], "uat"),
    ],
)
def test_a_target_that_the_profile_has_not_is_refused_beside_those_it_has(
    repository: Path, names: list[str], missing: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(repository / "dbt", {"profiles.yml": PROFILES})
    assert main(["init", str(repository), *names]) == 1
    message = capsys.readouterr().err
    assert f"the profile has no output {missing}; it has dev, qa, production ({repository}/dbt/profiles.yml)" in message
    assert "--staging TARGET and --production TARGET" in message
    assert not (repository / "databricks.yml").exists()
    assert not (repository / "dbt" / "dbx_cd.yml").exists()
    assert main(["init", str(repository), "--staging", "qa", "--production", "production"]) == 0


def test_targets_in_the_settings_that_the_profile_has_not_are_to_be_corrected_there(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = "targets:\n  qa: {}\n  prodution: {gate: approval, defer_to: qa}\n"
    fill(repository / "dbt", {"profiles.yml": PROFILES, "dbx_cd.yml": settings})
    assert main(["init", str(repository)]) == 1
    message = capsys.readouterr().err
    assert "no output prodution" in message
    assert "correct `targets` in dbx_cd.yml" in message


@pytest.mark.parametrize(
    "profiles", ["[", "shop: 2024-13-45", "another: {outputs: {dev: {}}}", "shop: {outputs: }", "- shop", ""]
)
def test_profiles_of_which_only_dbt_can_say_what_they_have_refuse_nothing(repository: Path, profiles: str) -> None:
    fill(repository / "dbt", {"profiles.yml": profiles})
    assert main(["init", str(repository), "--staging", "qa"]) == 0


def test_a_folder_inside_of_a_repository_is_refused_and_the_root_is_named(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    commit(repository)
    assert main(["init", str(repository / "dbt"), "--staging", "qa"]) == 1
    message = capsys.readouterr().err
    assert f"the root of the repository is {repository} ({repository}/dbt)" in message
    assert "start `init` there, with --project dbt" in message
    assert not (repository / "dbt" / "databricks.yml").exists()
    assert main(["init", str(repository), "--project", "dbt", "--staging", "qa"]) == 0


def test_what_is_there_stays_and_a_diff_shows_what_other_names_change(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What a new user does: first `init` alone, then with the names."""
    assert main(["init", str(repository)]) == 0
    names = ["--staging", "qa", "--gate", "uat", "--production", "production"]
    capsys.readouterr()
    commit(repository)
    assert main(["init", str(repository), *names, "--diff"]) == 0
    assert git(repository, "status", "--porcelain") == ""
    (repository.parent / "names.diff").write_text(capsys.readouterr().out)
    git(repository, "apply", str(repository.parent / "names.diff"))
    definition = JobDefinition.of(job_of(repository))
    assert (definition.open_targets, definition.gates) == (("qa",), ("uat", "production"))
    require_targets(CdConfig.load(repository / "dbt"), definition.standing)
    assert main(["init", str(repository), *names]) == 0
    assert "nothing to do: every file is as this version writes it" in capsys.readouterr().out


def test_what_is_there_and_differs_is_named_and_not_touched(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(repository, {"notebooks/smoke.py": "# ours\n", ".github/workflows/cd.yml": "name: cd\n"})
    assert main(["init", str(repository)]) == 0
    differs = "(see --diff): .github/workflows/cd.yml, notebooks/smoke.py"
    assert differs in capsys.readouterr().out
    assert (repository / "notebooks" / "smoke.py").read_text() == "# ours\n"


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["--staging", "prod"], "two targets are called prod"),
        (["--gate", "a b"], "'a b' is no name for a target"),
        (["--staging", "no"], "'no' is no name for a target"),
    ],
)
def test_names_that_no_target_can_have_are_refused(
    repository: Path, names: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(repository), *names]) == 1
    assert message in capsys.readouterr().err


def test_without_other_names_no_settings_are_written(repository: Path) -> None:
    assert main(["init", str(repository)]) == 0
    assert not (repository / "dbt" / "dbx_cd.yml").exists()
    assert set(targets(job_of(repository)).values()) == {"stg", "prod"}
