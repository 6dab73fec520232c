"""Forks of a warm parent: what they are given, how they end, and when there is none."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import warm_entry

from dbx_cd.warm import server
from dbx_cd.warm.client import NotWarm, WarmProcess
from dbx_cd.warm.parent import WarmParent

HERE = str(Path(warm_entry.__file__).parent)
SOURCES = str(Path(server.__file__).parents[2])
BASE = {
    **{name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
    "PYTHONPATH": os.pathsep.join([SOURCES, HERE]),
}

Start = Callable[..., WarmProcess]


def importing_from(folder: Path) -> dict[str, str]:
    """An environment in which a test's own entry module is found."""
    return {**BASE, "PYTHONPATH": os.pathsep.join([SOURCES, str(folder)])}


@pytest.fixture(scope="module")
def parent() -> Iterator[WarmParent]:
    with WarmParent("warm_entry", environment={**BASE, "ONLY_PARENT": "1"}) as started:
        yield started


@pytest.fixture
def start(parent: WarmParent, tmp_path: Path) -> Start:
    def start(*argv: str, **options: Any) -> WarmProcess:
        return WarmProcess.start(parent.address, argv, **{"cwd": tmp_path, "environment": BASE, **options})

    return start


def told(process: WarmProcess) -> dict[str, Any]:
    assert process.stdout is not None
    answer: dict[str, Any] = json.loads(process.stdout.read())
    assert process.wait(20) == 0
    return answer


def waiting(process: WarmProcess) -> WarmProcess:
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    return process


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):  # it may end while it is looked at
        os.kill(pid, 0)
        # A process that has ended and is not waited for yet can still be signalled.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def becomes(condition: Callable[[], bool], *, within: float) -> bool:
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def ends(pid: int, *, within: float) -> bool:
    return becomes(lambda: not alive(pid), within=within)


def test_fork_has_the_client_s_environment_and_nothing_of_the_parent_s(start: Start) -> None:
    mine = {**BASE, "ONLY_CLIENT": "1"}
    assert told(start("tell", environment=mine))["environment"] == mine


def test_what_imports_do_to_the_environment_is_done_in_the_fork_too(tmp_path: Path) -> None:
    mine = {**BASE, "WARM_ENTRY_SETS": "1", "REMOVED_ON_IMPORT": "1"}
    with WarmParent("warm_entry", environment=mine) as parent:
        answer = told(WarmProcess.start(parent.address, ["tell"], cwd=tmp_path, environment={**mine, "OWN": "1"}))
    assert answer["environment"] == {**BASE, "WARM_ENTRY_SETS": "1", "SET_ON_IMPORT": "yes", "OWN": "1"}


def test_directory_that_is_gone_is_left_to_a_process_of_the_client_s_own(start: Start, tmp_path: Path) -> None:
    with pytest.raises(NotWarm):
        start("tell", cwd=tmp_path / "gone")


def test_fork_has_the_client_s_directory_and_arguments(start: Start, tmp_path: Path) -> None:
    answer = told(start("tell"))
    assert (answer["cwd"], answer["argv"], answer["forked"]) == (str(tmp_path), ["tell"], True)


def test_fork_leads_a_session_of_its_own(start: Start) -> None:
    answer = told(start("tell"))
    assert answer["session"] == answer["pid"] != os.getsid(0)


def test_fork_reads_nothing_unless_it_is_given_something(start: Start) -> None:
    assert told(start("tell"))["input"] == ""


def test_fork_reads_what_it_is_given(start: Start) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"an order")
    os.close(writing)
    process = start("tell", stdin=reading)
    os.close(reading)
    assert told(process)["input"] == "an order"


def test_fork_holds_no_descriptor_of_its_parent_or_of_other_forks(start: Start) -> None:
    others = [waiting(start("wait")) for _ in range(2)]
    held = told(start("tell"))["descriptors"]
    for other in others:
        other.kill()
    # The fourth is the listing's own.
    assert held[:3] == [0, 1, 2]
    assert len(held) == 4


def test_its_end_is_seen_while_something_that_it_has_started_holds_its_output(start: Start) -> None:
    process = start("leave", "60")
    try:
        assert becomes(lambda: process.poll() is not None, within=20)
        assert process.poll() == process.wait(0) == 3
    finally:
        with contextlib.suppress(ProcessLookupError):  # what it has left behind
            os.killpg(process.pid, signal.SIGKILL)


def test_waiting_beside_another_thread_that_waits_ends_in_time(start: Start) -> None:
    process = waiting(start("wait"))
    other = threading.Thread(target=process.wait)
    other.start()
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.2)
    assert process.poll() is None
    process.kill()
    other.join(20)
    assert process.poll() == -signal.SIGKILL


def test_a_parent_that_is_gone_before_it_has_read_everything_is_gone(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    fork = subprocess.Popen(["sleep", "60"], start_new_session=True)
    process = WarmProcess(ours, pid=fork.pid, stdout=None, argv=["x"])  # type: ignore[arg-type]
    ours.sendall(b"unread")
    theirs.close()
    assert process.wait(5) == -signal.SIGKILL
    assert fork.wait(5) == -signal.SIGKILL


@pytest.mark.parametrize("code", [0, 1, 2, 77])
def test_exit_code_is_reported(start: Start, code: int) -> None:
    assert start("exit", str(code)).wait(20) == code


def test_uncaught_exception_is_shown_and_ends_with_1(start: Start) -> None:
    process = start("raise")
    assert process.stdout is not None
    assert "LookupError: as asked" in process.stdout.read()
    assert process.wait(20) == 1


def test_wait_has_a_time_limit(start: Start) -> None:
    process = waiting(start("wait"))
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)
    process.kill()
    assert process.wait(20) == -signal.SIGKILL


def test_interrupt_reaches_the_fork(start: Start) -> None:
    process = waiting(start("clean up"))
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.read() == "cleaned up\n"
    assert process.wait(20) == 3


def test_interrupt_that_nothing_catches_ends_the_fork_as_it_ends_a_process(start: Start) -> None:
    process = waiting(start("wait"))
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == -signal.SIGINT


def test_two_forks_end_each_for_itself(start: Start) -> None:
    first, second = waiting(start("wait")), waiting(start("clean up"))
    first.kill()
    assert first.wait(20) == -signal.SIGKILL
    assert alive(second.pid)
    second.send_signal(signal.SIGINT)
    assert second.wait(20) == 3


CLIENT = """
import sys, time
from pathlib import Path
from dbx_cd.warm.client import WarmProcess
process = WarmProcess.start(Path(sys.argv[1]), [sys.argv[2]], cwd=Path.cwd())
assert process.stdout.readline() == "waiting\\n"
print(process.pid, flush=True)
time.sleep(60)
"""


def killed_client_of(parent: WarmParent, action: str) -> int:
    """The pid of the fork of a client that was killed."""
    with subprocess.Popen(
        [sys.executable, "-c", CLIENT, str(parent.address), action], env=BASE, stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdout is not None
        pid = int(client.stdout.readline())
        assert alive(pid)
        client.kill()
    return pid


@pytest.mark.parametrize("action", ["wait", "clean up"])
def test_fork_is_interrupted_when_its_client_dies(parent: WarmParent, action: str) -> None:
    assert ends(killed_client_of(parent, action), within=server.GRACE_SECONDS / 2)


def test_fork_that_does_not_heed_it_is_killed(parent: WarmParent) -> None:
    pid = killed_client_of(parent, "hang")
    assert ends(pid, within=server.GRACE_SECONDS + 5)


def test_parent_ends_with_its_starter_and_takes_its_forks_along(tmp_path: Path) -> None:
    with WarmParent("warm_entry", environment=BASE) as parent:
        process = waiting(WarmProcess.start(parent.address, ["clean up"], cwd=tmp_path, environment=BASE))
        folder = parent.address.parent
    assert not alive(process.pid)
    assert process.wait(20) == 3
    assert not folder.exists()


def test_fork_of_a_parent_that_was_killed_is_killed_by_its_client(tmp_path: Path) -> None:
    with WarmParent("warm_entry", environment=BASE) as parent:
        process = waiting(WarmProcess.start(parent.address, ["hang"], cwd=tmp_path, environment=BASE))
        os.kill(parent.pid, signal.SIGKILL)
        assert process.wait(20) == -signal.SIGKILL
        assert ends(process.pid, within=10)


def test_nobody_else_reaches_a_parent(parent: WarmParent) -> None:
    assert stat.S_IMODE(parent.address.parent.stat().st_mode) == 0o700


# From here on: no fork where it would not be like a process of the client's own.


def test_variable_that_an_import_read_must_be_the_same(start: Start) -> None:
    with pytest.raises(NotWarm, match="WARM_ENTRY_READS"):
        start("tell", environment={**BASE, "WARM_ENTRY_READS": "1"})


@pytest.mark.parametrize(
    "name", ["PYTHONPATH", "PYTHONHASHSEED", "DBT_ENV_SECRET_X", "DBT_ENGINE_DEFER", "TZ", "LC_ALL"]
)
def test_variable_that_no_code_can_be_seen_to_read_must_be_the_same(start: Start, name: str) -> None:
    with pytest.raises(NotWarm, match=name):
        start("tell", environment={**BASE, name: "other"})


def test_relative_path_of_modules_is_refused(tmp_path: Path) -> None:
    relative = {**BASE, "PYTHONPATH": os.pathsep.join([SOURCES, HERE, "lib"])}
    with WarmParent("warm_entry", environment=relative) as parent, pytest.raises(NotWarm, match="PYTHONPATH"):
        WarmProcess.start(parent.address, ["tell"], cwd=tmp_path, environment=relative)


def test_other_packages_are_refused(parent: WarmParent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version", "another")
    with pytest.raises(NotWarm, match="another interpreter or other packages"):
        WarmProcess.start(parent.address, ["tell"], cwd=tmp_path, environment=BASE)


def test_code_that_changed_since_it_was_imported_is_refused(tmp_path: Path) -> None:
    entry = tmp_path / "changing_entry.py"
    entry.write_text("import sys\ndef preload(): pass\ndef run(argv): sys.exit(0)\n")
    environment = importing_from(tmp_path)
    with WarmParent("changing_entry", environment=environment) as parent:
        assert WarmProcess.start(parent.address, [], cwd=tmp_path, environment=environment).wait(20) == 0
        os.utime(entry, ns=(1, 1))
        with pytest.raises(NotWarm, match="changed since it was imported"):
            WarmProcess.start(parent.address, [], cwd=tmp_path, environment=environment)


def test_parent_of_several_threads_does_not_fork(tmp_path: Path) -> None:
    (tmp_path / "threaded_entry.py").write_text(
        "import threading, time\n"
        "def preload(): threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n"
        "def run(argv): pass\n"
    )
    environment = importing_from(tmp_path)
    with WarmParent("threaded_entry", environment=environment, log=tmp_path / "log") as parent, pytest.raises(NotWarm):
        WarmProcess.start(parent.address, [], cwd=tmp_path, environment=environment)
    assert "cannot be forked" in (tmp_path / "log").read_text()


def test_parent_that_cannot_import_leaves_its_clients_to_start_a_process(tmp_path: Path) -> None:
    with WarmParent("no_such_module", environment=BASE) as parent, pytest.raises(NotWarm):
        WarmProcess.start(parent.address, [], cwd=tmp_path, environment=BASE)


def test_parent_that_was_told_to_import_does_so_and_then_serves(tmp_path: Path) -> None:
    (tmp_path / "early.py").write_text(
        "import sys\nfrom pathlib import Path\n"
        "def preload(): Path(__file__).with_name('imported').touch()\n"
        "def run(argv): sys.exit(0)\n"
    )
    environment = importing_from(tmp_path)
    with WarmParent("early", environment=environment) as parent:
        parent.warm_up()
        assert becomes((tmp_path / "imported").exists, within=20)
        assert WarmProcess.start(parent.address, [], cwd=tmp_path, environment=environment).wait(20) == 0


def test_parent_that_has_ended_is_not_told_to_import(tmp_path: Path) -> None:
    parent = WarmParent("warm_entry", environment=BASE).start()
    parent.stop()
    parent.warm_up()


def test_no_parent_at_an_address(tmp_path: Path) -> None:
    with pytest.raises(NotWarm):
        WarmProcess.start(tmp_path / "socket", [], cwd=tmp_path, environment=BASE)
