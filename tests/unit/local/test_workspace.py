"""What an embedded workspace that cannot start, or cannot be stopped in one place, leaves: nothing."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from fake_spark import FakeSpark

from dbx_cd.local import workspace as module
from dbx_cd.local.state_lock import holder_of
from dbx_cd.local.workspace import CONNECTION_FILE, DEVELOPER, EmbeddedWorkspace
from dbx_cd.sql_endpoint import ReservedAddress


class Spark(FakeSpark):
    """In place of the JVM and its first session."""

    def __init__(self, *, port: str = "1") -> None:
        self._jvm = MagicMock()
        self._jsparkSession = MagicMock()
        self.sparkContext: Any = MagicMock()
        self.sparkContext._gateway.gateway_parameters.port = port
        self.stop = MagicMock()


def workspace(
    state: Path, spark: Spark, address: ReservedAddress, monkeypatch: pytest.MonkeyPatch
) -> EmbeddedWorkspace:
    def start_spark(state_dir: Path, **_: Any) -> Spark:
        (state_dir / "logs").mkdir()
        return spark

    monkeypatch.setattr(module, "start_spark", start_spark)
    monkeypatch.setattr(module, "act_as", lambda *_: FakeSpark())
    return EmbeddedWorkspace(state, catalogs=["stg"], address=address)


def assert_nothing_is_left(state: Path, spark: Spark, address: ReservedAddress, threads: set[threading.Thread]) -> None:
    spark.stop.assert_called_once()
    assert holder_of(state) is None
    assert list((state / "tmp").iterdir()) == []
    assert not (state / CONNECTION_FILE).exists()
    with socket.socket() as taken:  # nobody listens, and nobody has the address any more
        taken.bind(("127.0.0.1", address.port))
    deadline = time.monotonic() + 10
    while not set(threading.enumerate()) <= threads:
        assert time.monotonic() < deadline, threading.enumerate()
        time.sleep(0.01)


@pytest.mark.parametrize("fails", ["who there is", "endpoint", "REST"])
def test_a_workspace_that_cannot_start_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    spark, address, threads = Spark(), ReservedAddress(), set(threading.enumerate())
    broken = workspace(tmp_path, spark, address, monkeypatch)
    if fails == "who there is":
        spark._jvm.dbxcd.local.Rights.putUser.side_effect = RuntimeError("it failed")
    elif fails == "endpoint":
        monkeypatch.setattr(module, "act_as", MagicMock(side_effect=RuntimeError("it failed")))
    else:
        spark.sparkContext._gateway = property()
    with pytest.raises((RuntimeError, AttributeError)):
        broken.start()
    assert_nothing_is_left(tmp_path, spark, address, threads)


def test_what_cannot_be_stopped_keeps_nothing_else_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spark, address, threads = Spark(), ReservedAddress(), set(threading.enumerate())
    running = workspace(tmp_path, spark, address, monkeypatch).start()
    assert holder_of(tmp_path) is not None
    spark.stop.side_effect = ConnectionError("the JVM is gone")
    (tmp_path / "tmp" / "left").touch()
    with pytest.raises(ConnectionError, match="the JVM is gone"):
        running.stop()
    assert_nothing_is_left(tmp_path, spark, address, threads)


def test_only_whom_nobody_knows_is_introduced(tmp_path: Path) -> None:
    embedded, spark = EmbeddedWorkspace(tmp_path, catalogs=["stg"], approvers="bosses"), Spark()
    embedded.spark = spark  # type: ignore[assignment]
    assert embedded.introduce(["readers", DEVELOPER, "bosses", "account users", "readers"]) == ["readers"]
    spark._jvm.dbxcd.local.Rights.putUser.assert_called_once_with(spark._jsparkSession, "readers", [])


def test_a_start_has_the_catalogs_that_an_earlier_one_has_left_something_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []

    def start_spark(_: Path, *, catalogs: tuple[str, ...], **__: Any) -> Spark:
        asked.append(catalogs)
        raise RuntimeError("that is enough")

    monkeypatch.setattr(module, "start_spark", start_spark)
    schemas = [{"catalog": name, "schema": "default"} for name in ("stg", "marts_live", "marts_live", "own")]
    kept = {"namespaces": schemas, "catalogs": [{"name": "own", "comment": None}]}
    (tmp_path / "catalog.json").write_text(json.dumps(kept))
    embedded = EmbeddedWorkspace(tmp_path, catalogs=["Stg"])
    with pytest.raises(RuntimeError, match="enough"):
        embedded.start()
    assert asked == [("Stg", "stg", "marts_live")]
    assert embedded.catalogs == ("stg", "marts_live", "ops")
    (tmp_path / "catalog.json").write_text("{")
    with pytest.raises(RuntimeError, match="enough"):
        EmbeddedWorkspace(tmp_path, catalogs=["stg"]).start()
    assert asked[-1] == ("stg",)
