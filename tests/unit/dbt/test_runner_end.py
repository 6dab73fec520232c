"""dbt has ended when its process has, whatever it has started lives on."""

from __future__ import annotations

import errno
import io
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, TextIO

import pytest

from dbx_cd.dbt import runner
from dbx_cd.dbt.batches import BatchCauses
from dbx_cd.dbt.events import DbtEvent
from dbx_cd.errors import SetupError


def printing(script: str) -> Any:
    return subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True)


def test_what_dbt_has_started_and_lives_on_with_its_output_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runner, "start_dbt", lambda *_, **__: printing("echo before; sleep 20 & exit 3"))
    monkeypatch.setattr(runner, "_DRAIN_SECONDS", 0.2)
    began = time.monotonic()
    outcome = runner.dbt_process(cwd=tmp_path, title="build")(["build"])
    assert (outcome.exit_code, outcome.errors) == (3, ("before",))
    assert time.monotonic() - began < 15


def test_an_interrupted_dbt_that_ends_well_was_not_killed_whatever_it_has_started_lives_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest
) -> None:
    def start(*_: Any, **__: Any) -> Any:
        return printing("trap 'exit 0' INT; sleep 20 & wait")

    monkeypatch.setattr(runner, "start_dbt", start)
    monkeypatch.setattr(runner, "_DRAIN_SECONDS", 0.2)
    began = time.monotonic()
    # Whoever starts the tests in the background may have it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    with caplog.at_level(logging.WARNING), pytest.raises(KeyboardInterrupt):
        runner.dbt_process(cwd=tmp_path, title="build")(["build"])
    assert "killed" not in caplog.text
    assert time.monotonic() - began < 15


def test_a_machine_that_cannot_start_dbt_is_said_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def start(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(SetupError, match=r"dbt cannot be started: Cannot allocate memory.*Next: free memory"):
        runner.dbt_process(cwd=tmp_path, title="build")(["build"])


def closed() -> TextIO:
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize("error", [None, closed()], ids=["none", "closed"])
def test_dbt_is_run_where_nothing_of_it_can_be_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, error: TextIO | None
) -> None:
    (tmp_path / "warnings-shown").write_bytes(b"\xff")
    monkeypatch.setattr(runner, "start_dbt", lambda *_, **__: printing("echo said; exit 3"))
    monkeypatch.setattr(sys, "stderr", error)
    outcome = runner.dbt_process(cwd=tmp_path, title="build", work=tmp_path)(["build"])
    assert (outcome.exit_code, outcome.errors) == (3, ("said",))


def test_what_shows_dbt_fails_before_dbt_is_started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A dbt that nobody follows would go on building beside the next one."""
    started: list[object] = []

    def broken(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(runner, "start_dbt", started.append)
    monkeypatch.setattr(runner, "DbtProgress", broken)
    with pytest.raises(MemoryError):
        runner.dbt_process(cwd=tmp_path, title="build")(["build"])
    assert started == []


def test_an_error_after_a_batch_that_ended_well_is_not_the_cause_of_that_batch() -> None:
    causes, model = BatchCauses(), {"unique_id": "model.shop.daily"}
    for name, data in (
        ("LogStartBatch", {"description": "batch 2026-01-02 of shop.daily"}),
        ("LogBatchResult", model),
        ("GenericExceptionOnRun", {**model, "exc": "of the model as a whole"}),
    ):
        causes.take(DbtEvent(name, "info", "", data, "Thread-1"))
    assert causes.by_model == {}
