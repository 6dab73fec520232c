"""A workspace that cannot be reached is said at once, and given up in the time that is said."""

from __future__ import annotations

import logging
import socket
from typing import Any

import pytest
import requests
from failing_api import Api, PassingTime, serving

from dbx_cd.errors import WorkflowError
from dbx_cd.patience import CLIENT_SECONDS
from dbx_cd.release.context import current_workspace
from dbx_cd.workspace_host import reachable_config, require_reachable

UNRESOLVED = "its name, or that of the proxy before it, does not resolve"


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
        f"the workspace cannot be reached: {UNRESOLVED} (https://nosuch.example.org). Next: check DATABRICKS_HOST, or "
        "the host of the profile, and the network with its proxy (HTTPS_PROXY, NO_PROXY) and certificates "
        "(REQUESTS_CA_BUNDLE); then do it again"
    )
    assert caplog.messages == [f"https://nosuch.example.org cannot be reached: {UNRESOLVED}; it is tried for 30 s"]
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


@pytest.mark.parametrize(
    "error", [requests.ReadTimeout("Read timed out"), requests.ConnectionError("Connection aborted")]
)
def test_a_connection_that_is_cut_or_kept_waiting_shows_that_there_is_a_host(
    monkeypatch: pytest.MonkeyPatch, clock: PassingTime, error: Exception
) -> None:
    """Some proxies do so with a path that they do not know, and the API is there."""

    def cut(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(requests, "get", cut)
    require_reachable("https://here.example.org")
    assert clock.slept == []


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (requests.exceptions.SSLError("certificate verify failed"), "certificate verify failed"),
        (OSError("Could not find a suitable TLS CA certificate bundle"), "Could not find a suitable TLS CA"),
    ],
)
def test_what_certificates_say_does_not_pass_and_is_said_at_once(
    monkeypatch: pytest.MonkeyPatch, clock: PassingTime, error: Exception, word: str
) -> None:
    def refused(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(requests, "get", refused)
    with pytest.raises(WorkflowError, match=word):
        require_reachable("https://here.example.org")
    assert clock.slept == []


def test_a_proxy_that_is_not_there_is_tried_and_named(monkeypatch: pytest.MonkeyPatch, clock: PassingTime) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nothing listens
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(
            WorkflowError, match=r"reached: Failed to establish a new connection: .*proxy \(HTTPS_PROXY"
        ):
            require_reachable("https://here.example.org")
    assert sum(clock.slept) > CLIENT_SECONDS - 15


def test_a_certificate_that_the_configuration_does_not_ask_for_is_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(requests, "get", lambda *_, verify, **__: asked.append(verify))
    monkeypatch.setattr("databricks.sdk.core.Config._resolve_host_metadata", lambda _self: None)
    monkeypatch.setattr("databricks.sdk.core.Config.skip_verify", True)
    monkeypatch.setenv("DATABRICKS_HOST", "https://here.example.org")
    reachable_config()
    assert asked == [False]
