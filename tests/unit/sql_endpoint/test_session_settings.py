"""Which statements are a SET of the session's own, and which are Spark's."""

from __future__ import annotations

import time
from typing import Any

import pytest

from dbx_cd.sql_endpoint.session_settings import SessionSettings
from dbx_cd.sql_endpoint.thrift_api import ThriftFault


class Conf:
    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def set(self, name: str, value: str) -> None:
        self.values[name] = value

    def get(self, name: str) -> str:
        return self.values[name]


class Spark:
    def __init__(self) -> None:
        self.conf = Conf()


@pytest.fixture
def settings() -> Any:
    return SessionSettings(Spark())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "statement",
    [
        "SET statement_timeout = 7",
        "set STATEMENT_TIMEOUT=7;",
        "/* {'a': 1} */ -- set ansi_mode = false\n SET `statement_timeout` = '7' ; -- done",
        "SET statement_timeout /* seconds */ = 7",
    ],
)
def test_a_set_of_the_session_s_own_is_answered(settings: Any, statement: str) -> None:
    (row,) = settings.answer(statement).to_pylist()
    assert (row["key"].lower(), row["value"]) == ("statement_timeout", "7")
    assert settings.timeout == 7


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT 1",
        "SET spark.sql.shuffle.partitions = 3",
        "RESET spark.sql.shuffle.partitions",
        "SET TIME ZONE 'UTC'",
        "SET VAR statement_timeout = 7",
        "SET CATALOG main",
        "SET PATH = system.builtin, main.x",
        "SET -v",
        "SET (a, b) = (SELECT 1, 2)",
        "SET statement_timeout = 7; DROP TABLE t",
        "-- SET statement_timeout = 7",
        "SETTINGS",
    ],
)
def test_any_other_statement_is_spark_s(settings: Any, statement: str) -> None:
    assert settings.answer(statement) is None
    assert settings.timeout is None


def test_statement_behind_a_thousand_comments_is_told_at_once(settings: Any) -> None:
    began = time.monotonic()
    assert settings.answer("/* a */ -- b\n" * 1000 + "SELECT 1") is None
    assert settings.answer("SET x " + "'a' /* b */ " * 1000 + "; SELECT 1") is None
    assert time.monotonic() - began < 1


def test_settings_of_the_connection_are_the_same_settings(settings: Any) -> None:
    settings.configure({"statement_timeout": "9", "spark.sql.x": "1", "spark.thriftserver.y": "2"})
    assert settings.timeout == 9
    assert settings.answer("SET STATEMENT_TIMEOUT").to_pylist() == [{"key": "STATEMENT_TIMEOUT", "value": "9"}]
    assert settings.answer("RESET statement_timeout").num_rows == 0
    assert settings.timeout is None
    with pytest.raises(ThriftFault, match="no session setting 'READ_ONLY_EXTERNAL_METASTORE'"):
        settings.configure({"READ_ONLY_EXTERNAL_METASTORE": "true"})
