"""The linter finds nothing in what `init` writes, and each planted fault by itself."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from faults_of_two_identities import TWO_IDENTITIES
from git_repositories import fill
from lint_faults import FAULTS
from planted_faults import Fault
from written_bundles import THEIRS, VARIANTS, initialized, said, written

from dbx_cd.setup.bundle_options import BundleOptions
from dbx_cd.setup.job_lint import RULES, lint_bundle


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("packaged"))


@pytest.fixture
def repository(packaged: Path, tmp_path: Path) -> Path:
    shutil.copytree(packaged, tmp_path / "repository")
    return tmp_path / "repository"


@pytest.mark.parametrize("options", VARIANTS, ids=said)
def test_nothing_is_found_in_what_init_writes(tmp_path: Path, options: BundleOptions) -> None:
    assert lint_bundle(written(tmp_path, options)) == ()


@pytest.mark.parametrize("inside", ["", "dbt/shop"])
@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--staging", "qa", "--production", "production"],
        ["--staging", "dev", "--gate", "uat", "--production", "live", "--compute", "serverless", "--sres", "on-call"],
    ],
    ids=["as it is", "names", "all"],
)
def test_nothing_is_found_after_init_itself(tmp_path: Path, options: list[str], inside: str) -> None:
    assert lint_bundle(initialized(tmp_path, *options, inside=inside)) == ()


def test_nothing_is_found_where_a_repository_had_a_bundle_already(tmp_path: Path) -> None:
    fill(tmp_path, {"databricks.yml": THEIRS, "resources/other.yml": "resources: {jobs: {other: {name: other}}}\n"})
    assert lint_bundle(initialized(tmp_path)) == ()


def assert_alone(fault: Fault, repository: Path) -> None:
    where = fault.plant(repository)
    found = lint_bundle(repository)
    assert [(f.rule, f.where) for f in found] == [(fault.rule, where)], "\n".join(map(str, found))
    assert re.search(fault.message, found[0].message), found[0].message
    assert found[0].next_step
    assert found[0].severity == RULES[fault.rule].severity


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_planted_fault_is_found_and_nothing_else(repository: Path, fault: Fault) -> None:
    assert_alone(fault, repository)


@pytest.fixture(scope="module")
def of_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("two"), BundleOptions(identities=2))


@pytest.mark.parametrize("fault", TWO_IDENTITIES, ids=[fault.name for fault in TWO_IDENTITIES])
def test_a_fault_between_two_halves_is_found_and_nothing_else(of_two: Path, tmp_path: Path, fault: Fault) -> None:
    assert_alone(fault, shutil.copytree(of_two, tmp_path / "repository"))


def test_each_rule_is_broken_at_least_once() -> None:
    assert {fault.rule for fault in [*FAULTS, *TWO_IDENTITIES]} == set(RULES)


def test_faults_have_names_of_their_own() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS)
