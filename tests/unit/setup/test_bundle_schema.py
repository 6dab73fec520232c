"""The bundle is what the platform's schema takes, and what the schema does not see is for the linter."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from bundle_schema import refused, validator
from lint_faults import FAULTS
from planted_faults import Fault
from written_bundles import VARIANTS, said, written

from dbx_cd.setup.bundle_options import BundleOptions
from dbx_cd.yaml_text import load_yaml

REPOSITORY = Path(__file__).parents[3]
FILES = ("databricks.yml", "resources/*.yml")
# What a schema can see: spelling, kinds of values, and which keys there are.
SEEN_BY_A_SCHEMA = {"bundle-key", "unknown-key", "wrong-kind", "permission"}


def contents(repository: Path) -> list[Any]:
    return [load_yaml(path.read_text()) for pattern in FILES for path in sorted(repository.glob(pattern))]


def test_the_schema_is_one() -> None:
    assert validator() is not None


def test_the_repository_s_own_bundle_is_valid() -> None:
    assert [refused(content) for content in contents(REPOSITORY)] == [[], []]


@pytest.mark.parametrize("options", VARIANTS, ids=said)
def test_each_bundle_that_init_writes_is_valid(tmp_path: Path, options: BundleOptions) -> None:
    found = contents(written(tmp_path, options))
    assert [refused(content) for content in found] == [[]] * (1 + options.identities)


@pytest.mark.parametrize("number", range(2))
def test_both_files_are_what_is_validated(number: int) -> None:
    content = contents(REPOSITORY)[number]
    content["resorces"] = content.pop("resources", {})
    assert "resorces" in str(refused(content))


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("packaged"))


READABLE = [fault for fault in FAULTS if fault.name not in ("no yaml", "key twice")]


@pytest.mark.parametrize("fault", READABLE, ids=[fault.name for fault in READABLE])
def test_a_schema_sees_misspelling_and_nothing_of_the_rest(packaged: Path, tmp_path: Path, fault: Fault) -> None:
    for part in (*FILES, "notebooks/*.py"):
        for path in packaged.glob(part):
            (tmp_path / path.relative_to(packaged)).parent.mkdir(exist_ok=True)
            shutil.copy(path, tmp_path / path.relative_to(packaged))
    fault.plant(tmp_path)
    is_seen = any(refused(content) for content in contents(tmp_path))
    assert is_seen == (fault.rule in SEEN_BY_A_SCHEMA)
