"""The linter finds nothing in what `init` writes, and each planted fault by itself."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from lint_faults import FAULTS
from planted_faults import BUNDLE, Fault

from dbx_cd.cli.main import main
from dbx_cd.setup.bundle_options import NOBODY
from dbx_cd.setup.job_lint import RULES, lint_bundle

VARIANTS = {
    "as packaged": [],
    "other names": ["--staging", "qa", "--production", "production"],
    "one more gate": ["--staging", "dev", "--gate", "uat", "--production", "live"],
    "two more gates": ["--staging", "dev", "--gate", "uat", "--gate", "pre-prod", "--production", "live"],
}


def written(folder: Path, *options: str, inside: str = "") -> Path:
    """A repository with a dbt project, as `init` leaves it."""
    (folder / inside).mkdir(parents=True, exist_ok=True)
    (folder / inside / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    assert main(["init", str(folder), *options]) == 0
    bundle = folder / BUNDLE
    for name in re.findall(rf"(?<=\n)  (\w+):\n.*\n    default: {NOBODY}", bundle.read_text()):
        text = bundle.read_text()
        bundle.write_text(re.sub(rf"(\n  {name}:\n.*\n    default: ){NOBODY}", rf"\g<1>id-of-{name}", text))
    return folder


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("packaged"))


@pytest.fixture(scope="module")
def with_two_gates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("gates"), "--gate", "uat")


@pytest.fixture
def repository(packaged: Path, tmp_path: Path) -> Path:
    shutil.copytree(packaged, tmp_path / "repository")
    return tmp_path / "repository"


@pytest.mark.parametrize("inside", ["", "dbt/shop"])
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_nothing_is_found_in_what_init_writes(tmp_path: Path, options: list[str], inside: str) -> None:
    assert lint_bundle(written(tmp_path, *options, inside=inside)) == ()


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_planted_fault_is_found_and_nothing_else(repository: Path, fault: Fault) -> None:
    where = fault.plant(repository)
    found = lint_bundle(repository)
    assert [(f.rule, f.where) for f in found] == [(fault.rule, where)], "\n".join(map(str, found))
    assert re.search(fault.message, found[0].message), found[0].message
    assert found[0].next_step
    assert found[0].severity == RULES[fault.rule].severity


def test_each_rule_is_broken_at_least_once() -> None:
    assert {fault.rule for fault in FAULTS} == set(RULES)


def test_faults_have_names_of_their_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
