"""A workspace that cannot be reached is said at once, and given up in the time that is said."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest
from failing_api import Api, PassingTime, serving

from dbx_cd.errors import WorkflowError
from dbx_cd.patience import CLIENT_SECONDS
from dbx_cd.release.context import current_workspace


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> PassingTime:
    monkeypatch.setenv("DATABRICKS_TOKEN", "t")
    return PassingTime().instead_of_the_machine_s(monkeypatch)


def unreachable(caplog: pytest.LogCaptureFixture) -> str:
    with caplog.at_level(logging.WARNING), pytest.raises(WorkflowError) as failed:
        current_workspace()
    return str(failed.value)


def test_a_host_whose_name_does_not_resolve_is_given_up_after_half_a_minute_that_is_said_to_begin(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, clock: PassingTime
) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    monkeypatch.setenv("DATABRICKS_HOST", "https://nosuch.example.org")
    assert unreachable(caplog) == (
        "the workspace cannot be reached: its name does not resolve (https://nosuch.example.org). Next: check "
        "DATABRICKS_HOST, or the host of the profile, and the network; then do it again"
    )
    assert caplog.messages == [
        "https://nosuch.example.org cannot be reached: its name does not resolve; it is tried for 30 s"
    ]
    assert 20 < sum(clock.slept) < 45


def test_a_host_that_takes_no_connection_is_tried_as_long_as_every_other_call_and_no_longer(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, clock: PassingTime
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nothing listens
        host = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("DATABRICKS_HOST", host)
        said = unreachable(caplog)
    assert said.startswith("the workspace cannot be reached: Failed to establish a new connection: ")
    assert len(caplog.messages) == 1
    assert caplog.messages[0].endswith("; it is tried for 120 s")
    assert CLIENT_SECONDS - 15 < sum(clock.slept) < CLIENT_SECONDS + 15


def test_a_host_that_answers_is_not_waited_for_whatever_it_answers(
    monkeypatch: pytest.MonkeyPatch, clock: PassingTime
) -> None:
    with serving(Api()) as client:  # it refuses everything
        monkeypatch.setenv("DATABRICKS_HOST", client.config.host)
        workspace = current_workspace()
    assert clock.slept == []
    assert workspace.config.retry_timeout_seconds == CLIENT_SECONDS
