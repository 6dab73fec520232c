"""The linter finds nothing in what `init` writes, and each planted fault by itself."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from lint_faults import FAULTS
from planted_faults import Fault
from written_bundles import VARIANTS, written

from dbx_cd.setup.job_lint import RULES, lint_bundle


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("packaged"))


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
