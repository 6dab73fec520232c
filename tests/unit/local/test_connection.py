"""How other processes learn where a running embedded workspace is."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbx_cd.errors import SetupError
from dbx_cd.local.state_lock import StateLock
from dbx_cd.local.workspace import Connection

CONNECTION = Connection(
    host="http://127.0.0.1:1",
    sql_host="http://127.0.0.1:2",
    http_path="/sql/1.0/warehouses/local",
    tokens={"owner@example.org": "secret"},
)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[None]:
    """A workspace has the state directory."""
    lock = StateLock(tmp_path)
    lock.take()
    yield
    lock.release()


@pytest.mark.usefixtures("held")
def test_what_was_written_is_read(tmp_path: Path) -> None:
    CONNECTION.write(tmp_path)
    assert Connection.read(tmp_path) == CONNECTION


def test_only_its_owner_may_read_the_tokens(tmp_path: Path) -> None:
    CONNECTION.write(tmp_path)
    (file,) = tmp_path.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.usefixtures("held")
def test_a_file_that_others_can_read_is_replaced(tmp_path: Path) -> None:
    left = tmp_path / "connection.json"
    left.write_text("left by a workspace that was killed, and copied with another mode")
    left.chmod(0o644)
    CONNECTION.write(tmp_path)
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    assert Connection.read(tmp_path) == CONNECTION


def test_where_nothing_runs_it_is_said_how_to_start(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no embedded workspace runs") as refused:
        Connection.read(tmp_path)
    assert f"python -m dbx_cd.local up --state-dir {tmp_path}" in str(refused.value)


def test_what_a_killed_workspace_has_left_is_no_workspace(tmp_path: Path) -> None:
    CONNECTION.write(tmp_path)
    lock = StateLock(tmp_path)
    lock.take()
    lock.release()  # as the system does with a process that ends
    with pytest.raises(SetupError, match="no embedded workspace runs"):
        Connection.read(tmp_path)


def test_an_unknown_user_is_told_who_there_is() -> None:
    with pytest.raises(SetupError, match=r"owner@example\.org"):
        CONNECTION.client("nobody")
