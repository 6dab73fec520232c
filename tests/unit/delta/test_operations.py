"""One list of what Delta's operations do: complete, without doubles, and the same for everybody."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from delta_operations import Operations

from dbx_cd.delta.history import Commit, History
from dbx_cd.delta.operations import CONTENT, LAYOUT, MAINTENANCE, property_changes

# Names that Delta puts together, and the parts that are none by themselves.
BEFORE, AFTER = "CREATE OR ", " AS SELECT"
TOGETHER = {"CREATE OR REPLACE TABLE", *(f"{name}{AFTER}" for name in ("CREATE TABLE", "REPLACE TABLE"))}
TOGETHER |= {f"{BEFORE}REPLACE TABLE{AFTER}"}
# These classes are given their name by whoever uses them: Delta's tests, and DROP FEATURE (Delta 4.4).
NAMED_BY_OTHERS = {"TestOperation", "UpdateColumnMetadata"}

DOCUMENTED_BY_DATABRICKS = {
    *("WRITE", "CREATE TABLE AS SELECT", "REPLACE TABLE AS SELECT", "COPY INTO", "STREAMING UPDATE", "DELETE"),
    *("TRUNCATE", "MERGE", "UPDATE", "FSCK", "CONVERT", "OPTIMIZE", "CLONE", "RESTORE", "VACUUM START", "VACUUM END"),
}


def commit(operation: str, properties: str = "", *, version: int = 1) -> Commit:
    return Commit(version, datetime(2026, 1, 1, tzinfo=UTC), operation, parameters={"properties": properties})


def test_every_operation_that_delta_can_write_is_in_one_set() -> None:
    names = {text for text in Operations.recorded().texts if text not in (BEFORE, AFTER)} | TOGETHER
    assert len(names) > 40
    assert names | DOCUMENTED_BY_DATABRICKS <= MAINTENANCE | LAYOUT | CONTENT
    assert not MAINTENANCE & LAYOUT
    assert not (MAINTENANCE | LAYOUT) & CONTENT


def test_the_classes_that_have_no_name_of_their_own_are_known() -> None:
    assert set(Operations.recorded().classes) >= NAMED_BY_OTHERS


@pytest.mark.parametrize("operation", sorted(MAINTENANCE))
def test_maintenance_is_no_change_of_content(operation: str) -> None:
    assert commit(operation).is_maintenance
    assert not commit(operation).is_layout


@pytest.mark.parametrize("operation", [*sorted(CONTENT), "OF A LATER DELTA"])
def test_what_may_change_content_is_neither_maintenance_nor_layout(operation: str) -> None:
    assert not commit(operation).is_maintenance
    assert not commit(operation).is_layout


def test_a_change_of_clustering_is_layout_and_still_a_version_of_its_own() -> None:
    clustered = commit("CLUSTER BY", version=2)
    assert clustered.is_layout
    assert not clustered.is_maintenance
    history = History.of([commit("CREATE TABLE", version=0), commit("WRITE"), clustered])
    assert history.content_version() == 2
    assert history.changes_since(1) == (clustered,)


@pytest.mark.parametrize(
    "name",
    ["delta.logRetentionDuration", "delta.checkpointInterval", "dbx_cd.checkpoint_interval", "delta.checkpointPolicy",
     "delta.feature.appendOnly", "delta.minReaderVersion", "delta.rowTracking.materializedRowIdColumnName"],
)  # fmt: skip
def test_properties_for_keeping_house_are_maintenance_set_or_unset(name: str) -> None:
    assert commit("SET TBLPROPERTIES", json.dumps({name: "1"})).is_maintenance
    assert commit("UNSET TBLPROPERTIES", json.dumps([name])).is_maintenance
    assert not commit("SET TBLPROPERTIES", json.dumps({name: "1", "owner": "sales"})).is_maintenance


@pytest.mark.parametrize(
    "name",
    ["delta.appendOnly", "delta.enableRowTracking", "delta.enableDeletionVectors", "delta.columnMapping.mode",
     "delta.autoOptimize.optimizeWrite", "owner", "comment"],
)  # fmt: skip
def test_settings_are_no_maintenance(name: str) -> None:
    assert not commit("SET TBLPROPERTIES", json.dumps({name: "true"})).is_maintenance
    assert not commit("UNSET TBLPROPERTIES", json.dumps([name])).is_maintenance


@pytest.mark.parametrize("text", ["", "not json", "7", "{}", "[]", "null"])
def test_properties_that_cannot_be_read_are_no_maintenance(text: str) -> None:
    assert property_changes(text) == {}
    assert not commit("SET TBLPROPERTIES", text).is_maintenance
