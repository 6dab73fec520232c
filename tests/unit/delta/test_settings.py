"""Settings for one statement: what the session had is what it has afterwards, and what it refuses stays."""

from __future__ import annotations

import logging

import pytest
from pyspark.errors import AnalysisException

from dbx_cd.delta.sql import Sql


class Conf:
    """The settings of a session, some of which it neither tells nor changes, as serverless compute does."""

    def __init__(self, *not_available: str) -> None:
        self.values = {"spark.sql.session.timeZone": "UTC"}
        self._not_available = not_available

    def _look(self, name: str) -> None:
        if name in self._not_available:
            raise AnalysisException(f"[CONFIG_NOT_AVAILABLE] Configuration {name} is not available.")

    def get(self, name: str, default: str | None) -> str | None:
        self._look(name)
        return self.values.get(name, default)

    def set(self, name: str, value: str) -> None:
        self._look(name)
        self.values[name] = value

    def unset(self, name: str) -> None:
        self._look(name)
        self.values.pop(name, None)


def port(conf: Conf) -> Sql:
    return Sql(type("Session", (), {"conf": conf})())


WANTED = {"spark.sql.session.timeZone": "Asia/Tokyo", "spark.sql.ansi.enabled": "false"}


def test_settings_are_what_they_were_afterwards_also_when_the_statement_fails() -> None:
    conf, seen = Conf(), {}

    def fail() -> None:
        seen.update(conf.values)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"), port(conf).settings(WANTED):
        fail()
    assert seen == WANTED
    assert conf.values == {"spark.sql.session.timeZone": "UTC"}


def test_a_setting_that_is_not_available_stays_and_the_others_are_set(caplog: pytest.LogCaptureFixture) -> None:
    conf = Conf("spark.sql.ansi.enabled")
    with caplog.at_level(logging.WARNING), port(conf).settings(WANTED):
        assert conf.values == {"spark.sql.session.timeZone": "Asia/Tokyo"}
    assert conf.values == {"spark.sql.session.timeZone": "UTC"}
    assert len(caplog.messages) == 1
    assert "spark.sql.ansi.enabled cannot be changed here: [CONFIG_NOT_AVAILABLE]" in caplog.messages[0]
