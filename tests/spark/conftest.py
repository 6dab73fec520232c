"""One Spark application for all tests of this folder: starting one takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from dbx_cd.local.spark_session import start_spark

CATALOGS = ("stg", "prod", "dev_anna")


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session with Delta and the catalogs of `CATALOGS`, `ops` and `system`; tests use schemas of their own."""
    session = start_spark(tmp_path_factory.mktemp("embedded"), catalogs=CATALOGS)
    yield session
    session.stop()
