"""The table of dbt's adapter tests holds every class of the installed package, and each is run with all its tests."""

from __future__ import annotations

import importlib.util
import inspect
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest
from suite import ADAPTED, AS_THEY_ARE, LEFT_OUT, TELLING, named, of_the_package, steps_of

HERE = Path(__file__).parent
FILES = {"test_telling.py": TELLING, "test_as_they_are.py": AS_THEY_ARE, **ADAPTED}
OWN_STEPS = {
    "TestRelationTypes.test_relation_types_populate_correctly": "other parameters, as the base's documentation asks",
    "TestEphemeralMulti.test_ephemeral_multi": "as in dbt-databricks' own tests",
    "TestEphemeralNested.test_ephemeral_nested": "as in dbt-databricks' own tests",
    "TestIncrementalOnSchemaChange.test_run_incremental_sync_all_columns": "as in dbt-databricks' own tests",
    "TestMetadataWithEmptyFlag.test_run": "one model is skipped: the macro of dbt-databricks cannot do with `--empty`",
    "TestPersistDocs.test_has_comments_pglike": "as in dbt-databricks' own tests",
    "TestPersistDocsColumnMissing.test_missing_column": "as in dbt-databricks' own tests",
    "TestPersistDocsColumnMissing.test_missing_column_warning": "skipped: dbt-databricks does not warn",
    "TestPersistDocsCommentOnQuotedColumn.test_quoted_column_comments": "as in dbt-databricks' own tests",
    "TestSeedSpecificFormats.test_simple_seed": "as in dbt-databricks' own tests",
    "TestSnapshotDbtValidToCurrent.test_valid_to_current": "as in dbt-databricks' own tests",
    "TestBasicSeeds.test_simple_seed_full_refresh_flag": "skipped: Databricks drops nothing by CASCADE",
    "TestSimpleCopy.test_simple_copy_with_materialized_views": "skipped: Spark has no materialized views",
}
"""The tests whose steps are not the base's own."""


def load(file: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"adapter_{file.removesuffix('.py')}", HERE / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def classes_of(file: str) -> list[type]:
    return [found for name, found in vars(load(file)).items() if name.startswith("Test") and inspect.isclass(found)]


def test_every_class_of_the_package_stands_in_the_table_once() -> None:
    table = Counter([*(name for names in FILES.values() for name in names), *LEFT_OUT])
    assert sorted(set(of_the_package()) - set(table)) == []
    assert sorted(set(table) - set(of_the_package())) == []
    assert [name for name, times in table.items() if times > 1] == []


def test_the_package_is_read_whole() -> None:
    assert len(set(of_the_package())) >= 220


@pytest.mark.parametrize("file", FILES)
def test_each_class_of_the_table_is_subclassed_in_its_file(file: str) -> None:
    run = [base for found in classes_of(file) for base in found.__mro__[1:]]
    assert [name for name in FILES[file] if named(name) not in run] == []


@pytest.mark.parametrize("file", FILES)
def test_no_test_of_a_base_is_replaced_but_the_listed_ones(file: str) -> None:
    replaced = set()
    for found in classes_of(file):
        bases = [base for base in found.__mro__[1:] if base.__module__.startswith("dbt.tests.adapter.")]
        for test in {test for base in bases for test in steps_of(base)}:
            owner = next(cls for cls in found.__mro__ if test in vars(cls))
            if not owner.__module__.startswith("dbt.tests.adapter."):
                replaced.add(f"{found.__name__}.{test}")
    assert replaced == {name for name in OWN_STEPS if name.split(".")[0] in {cls.__name__ for cls in classes_of(file)}}


@pytest.mark.parametrize("file", FILES)
def test_no_file_or_class_is_skipped_whole(file: str) -> None:
    module = load(file)
    marked = [getattr(module, "pytestmark", []), *(vars(found).get("pytestmark", []) for found in classes_of(file))]
    marks = [mark for found in marked for mark in (found if isinstance(found, list) else [found])]
    assert {mark.name for mark in marks} <= {"deep"}
