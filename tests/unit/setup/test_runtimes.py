"""Which runtime a driver has, and what is said of one that is too old."""

from __future__ import annotations

import pytest

from dbx_cd.setup.runtimes import RUNTIMES, Driver, RuntimeFinding, runtime_named, runtime_of


def on(runtime_version: str, *, python: str = "3.12.3", spark: str = "") -> RuntimeFinding:
    return runtime_of(Driver(runtime_version=runtime_version, python=python, spark=spark))


@pytest.mark.parametrize(
    ("version", "spark", "name"),
    [
        ("16.4", "3.5.2", "16.4 LTS"),
        ("17.3", "4.0.0", "17.3 LTS"),
        ("client.3.6", "3.5.2", "serverless environment 3"),
        ("client.4.2", "4.1.0", "serverless environment 4"),
        ("client.4", "", "serverless environment 4"),
    ],
)
def test_runtime_that_the_library_is_made_for_is_ok(version: str, spark: str, name: str) -> None:
    finding = on(version, spark=spark)
    assert (finding.status, finding.message, finding.next_step) == ("ok", name, "")
    assert finding.runtime is not None
    assert finding.runtime.name == name


@pytest.mark.parametrize(
    ("version", "python", "why"),
    [
        ("15.4", "3.11.11", "notebooks cannot be read as files, so a checkout cannot be copied or archived"),
        ("15.4", "3.11.11", "pydantic 1.10.6 is older than what Great Expectations takes"),
        ("14.3", "3.10.12", "below 16.2 notebooks cannot be read as files"),
        ("16.1", "3.12.3", "below 16.2 notebooks cannot be read as files"),
        ("16.3", "3.12.3", "its packages were not looked at, and it is no LTS"),
        ("client.1.13", "3.10.12", "its Python is below 3.11"),
        ("client.2.5", "3.11.10", "pydantic 1.10.6 is older"),
    ],
)
def test_older_one_is_refused_with_the_reason_and_the_next_step(version: str, python: str, why: str) -> None:
    finding = on(version, python=python)
    assert finding.status == "fail"
    assert "is too old: " in finding.message
    assert why in finding.message
    expected = "environment_version" if version.startswith("client") else "spark_version to 16.4.x-scala2.12"
    assert expected in finding.next_step


@pytest.mark.parametrize("version", ["17.0", "18.2", "19.0", "client.5.1", "client.12.0"])
def test_newer_one_is_not_refused_but_was_not_looked_at(version: str) -> None:
    finding = on(version)
    assert finding.status == "warn"
    assert "newer than those whose packages were looked at" in finding.message
    assert finding.next_step


def test_machine_that_is_no_driver_is_told_from_one() -> None:
    finding = on("", python="3.11.7")
    assert (finding.status, finding.runtime) == ("warn", None)
    assert "not a Databricks runtime: Python 3.11.7" in finding.message


@pytest.mark.parametrize("version", ["custom", "client", "client.x", "x16.4"])
def test_version_of_no_known_form_is_quoted(version: str) -> None:
    finding = on(version)
    assert finding.status == "warn"
    assert repr(version) in finding.message


def test_another_python_or_spark_than_shipped_is_named() -> None:
    finding = on("16.4", python="3.11.7", spark="4.0.0")
    assert finding.status == "warn"
    assert finding.message == "16.4 LTS, but with Python 3.11.7 in place of 3.12, Spark 4.0.0 in place of 3.5"
    assert "dbx_cd-16.4.txt" in finding.next_step
    assert on("16.4", python="3.120").status == "warn"


def test_refusal_is_not_hidden_by_what_else_is_wrong() -> None:
    assert on("15.4", python="3.9.1", spark="4.0.0").status == "fail"


@pytest.mark.parametrize(
    ("spark_version", "status"),
    [
        ("16.4.x-scala2.12", "ok"),
        ("16.4.x-scala2.13", "ok"),
        ("16.4.x-photon-scala2.12", "ok"),
        ("17.3.x-cpu-ml-scala2.13", "ok"),
        ("15.4.x-scala2.12", "fail"),
        ("13.3.x-photon-scala2.12", "fail"),
        ("16.3.x-scala2.12", "fail"),
        ("18.x-scala2.13", "warn"),
        ("18.2.x-scala2.13", "warn"),
        ("${var.spark_version}", "warn"),
        ("apache-spark-3.5.x-scala2.12", "warn"),
    ],
)
def test_cluster_that_is_only_written_down(spark_version: str, status: str) -> None:
    finding = runtime_named(spark_version)
    assert finding.status == status
    assert bool(finding.next_step) == (status != "ok")


def test_every_runtime_of_the_table_is_found_by_its_own_name() -> None:
    for runtime in RUNTIMES:
        own = f"client.{runtime.id.removeprefix('serverless-v')}.0" if runtime.kind == "serverless" else runtime.id
        assert on(own, python=runtime.python).runtime == runtime
        assert not runtime.spark_version or runtime_named(runtime.spark_version).runtime == runtime
