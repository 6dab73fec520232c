"""Starts dbt and makes of its event stream how it ended."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Any

from dbx_cd.dbt.connection import DbtConnection
from dbx_cd.dbt.environment import DbtEnvironment
from dbx_cd.dbt.events import DbtEvent
from dbx_cd.dbt.hidden import Hidden
from dbx_cd.dbt.node_events import NodeEvents
from dbx_cd.dbt.one_parse import LISTED
from dbx_cd.dbt.process import start_dbt
from dbx_cd.dbt.progress import DbtProgress
from dbx_cd.errors import SetupError
from dbx_cd.warm.client import Process

_log = logging.getLogger(__name__)

# All that is said of an invocation comes from its events, its log and its files, so neither `flags` in dbt_project.yml
# nor an environment variable may take them away. A release does not report usage to anybody, and a deploy must not wait
# for a host that cannot be reached.
OUTPUT = (
    "--log-format", "json", "--log-level", "info", "--log-format-file", "json", "--log-level-file", "debug",
    "--no-quiet", "--print", "--write-json", "--no-use-colors", "--no-send-anonymous-usage-stats",
    # dbt begins another file after 10 MB, and what is published is one (dbt-core 1.11, `events/logging.py`; 0: never).
    "--log-file-max-bytes", "0",
)  # fmt: skip
_STOP_SECONDS = 20
# A process that dbt has started may hold dbt's pipe open for as long as it likes after dbt itself has ended.
_DRAIN_SECONDS = 5.0
_POLL_SECONDS = 0.5
_ENCOUNTERED = "Encountered an error:"


@dataclass(frozen=True)
class DbtOutcome:
    """How a dbt process ended."""

    success: bool
    """Whether its exit code was 0."""
    errors: tuple[str, ...] = ()
    """The messages of what went wrong."""
    listed: tuple[str, ...] = ()
    """The nodes that `dbt ls` listed."""
    exit_code: int | None = None
    """The exit code, negative for the signal that ended it; None where it is not known."""
    nodes: NodeEvents = field(default_factory=NodeEvents)
    """What its events said of single nodes."""
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The unique ids of several lists, by their names."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why dbt could not make one of them, where it could go on without, by their names."""


Runner = Callable[[list[str]], DbtOutcome]


def dbt_process(
    *,
    cwd: Path,
    title: str,
    warm_parent: Path | None = None,
    work: Path | None = None,
    environment: DbtEnvironment | None = None,
    connection: DbtConnection | None = None,
) -> Runner:
    """What runs dbt as a process.

    Args:
        cwd: the current directory.
        title: what its progress is called.
        warm_parent: the address of a process that has imported dbt, see `start_dbt`.
        work: the work folder; a warning that an earlier invocation there has shown is not shown again.
        environment: the environment that dbt runs in; that of this interpreter when not given.
        connection: what dbt alone is told, and what of it must not be seen.
    """
    how = connection or DbtConnection()
    start = partial(start_dbt, cwd=cwd, warm_parent=warm_parent, environment=environment, known=how.variables)
    return lambda args: _run_process(args, start=start, title=title, work=work, hidden=how.hidden)


class OutcomeReader:
    """Makes of dbt's events, taken one by one, how the invocation ended."""

    def __init__(self) -> None:
        self._errors: list[str] = []
        self._listed: list[str] = []
        self._output: list[str] = []
        self._nodes = NodeEvents()
        self._lists: dict[str, tuple[str, ...]] = {}
        self._refused: dict[str, str] = {}

    def take(self, event: DbtEvent) -> None:
        """Take the next event."""
        self._nodes.take(event)
        message = event.message.removeprefix(_ENCOUNTERED).strip("\n")
        if event.name == "MainStackTrace":
            # The lines of dbt's own code are in dbt.log; the last says what it was, such as KeyboardInterrupt.
            message = "".join(message.splitlines()[-1:])
        if event.level == "error" and message.strip() and message not in self._errors:
            self._errors.append(message)
        elif event.name in ("ListCmdOut", "PrintEvent"):
            self._listed += _listed(event)
        elif event.name == "FoundStats":
            # dbt says so between parsing and listing; what was printed before is of a macro (measured, 1.11).
            self._listed.clear()
        elif event.name == LISTED:
            self._take_list(str(event.data["query"]), event.data)
        elif event.name == "Output":
            self._output.append(event.message)

    def outcome(self, code: int) -> DbtOutcome:
        """How it ended, once the exit code is known."""
        errors = self._output[-20:] if code != 0 and not self._errors else self._errors
        if code < 0:
            # What it wrote before is not why: a kill leaves nothing, and memory that ran out is the usual reason.
            errors = [f"dbt was ended by the signal {_signal(-code)}", *errors]
        listed = tuple(self._listed)
        return DbtOutcome(code == 0, tuple(errors), listed, code, self._nodes, self._lists, self._refused)

    def _take_list(self, name: str, data: Mapping[str, Any]) -> None:
        if "refused" in data:
            self._refused[name] = str(data["refused"])
        else:
            self._lists[name] = tuple(data["listed"])


def _run_process(
    args: Sequence[str], *, start: Callable[[Sequence[str]], Process], title: str, work: Path | None, hidden: Hidden
) -> DbtOutcome:
    """Run dbt, showing its events as they come; an interrupt lets dbt cancel its queries before it is killed."""
    reader = OutcomeReader()
    # First what shows it: where that fails, no dbt goes on by itself.
    with DbtProgress(title, work=work) as progress:
        process = _started(start, args)
        assert process.stdout is not None
        output = _Output(process.stdout)

        def take(line: str) -> None:
            event = DbtEvent.parse(hidden.text(line))
            reader.take(event)
            try:
                progress.take(event)
            except Exception as exc:  # a full disk, a closed or an ASCII output: no reason to end a build
                _log.debug("an event of dbt cannot be shown: %r", exc)

        try:
            output.begin()
            for line in output.lines_of(process):
                take(line)
            return reader.outcome(process.wait())
        except BaseException:
            _stop(process, output, take)
            raise


def _started(start: Callable[[Sequence[str]], Process], args: Sequence[str]) -> Process:
    try:
        return start(args)
    except OSError as exc:
        raise SetupError(
            f"dbt cannot be started: {exc.strerror or exc}",
            where="this machine",
            next_step="free memory or processes on it, or restart the cluster, and do it again",
        ) from exc


class _Output:
    """What a process writes, read by a thread of its own: a process whose pipe is full stands still."""

    def __init__(self, stream: IO[str]) -> None:
        self._read: SimpleQueue[str | None] = SimpleQueue()
        self._reader = threading.Thread(target=self._copy, args=(stream,), name="dbt-output", daemon=True)

    def begin(self) -> None:
        """Begin to read. An interrupt meanwhile comes as a rule when the thread runs: `Thread.start` waits for that."""
        self._reader.start()

    def _copy(self, stream: IO[str]) -> None:
        try:
            for line in stream:
                self._read.put(line)
        finally:
            self._read.put(None)

    def lines(self, *, until: float | None = None) -> Iterator[str]:
        """The lines that were not taken yet, to the end of the output or until a moment (monotonic seconds).

        Raises:
            TimeoutError: the output has not ended by then.
        """
        while True:
            try:
                line = self._read.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
            except Empty:
                raise TimeoutError from None
            if line is None:
                self._read.put(None)  # it stays at its end for whoever asks again
                return
            yield line

    def lines_of(self, process: Process, *, deadline: float | None = None) -> Iterator[str]:
        """The lines that were not taken yet, to the end of the output or until some seconds after the process's own.

        Raises:
            TimeoutError: the process has not ended by the deadline (monotonic seconds).
        """
        ended: float | None = None
        while True:
            # Until the process has ended, in short pieces, so that its end is seen.
            until = time.monotonic() + _POLL_SECONDS if ended is None else ended + _DRAIN_SECONDS
            try:
                yield from self.lines(until=until)
                return
            except TimeoutError:
                if ended is not None:
                    _log.warning("what dbt has started holds its output open; it is not waited for")
                    return
                if process.poll() is not None:
                    ended = time.monotonic()
                elif deadline is not None and time.monotonic() >= deadline:
                    raise


def _stop(process: Process, output: _Output, take: Callable[[str], None]) -> None:
    """Interrupt dbt and wait until it has cancelled its queries and ended, or kill it.

    What it says meanwhile is taken, since that names the queries. Another interrupt of this process does not shorten
    the wait: a query that nobody cancelled goes on in the warehouse after dbt has ended.
    """
    deadline = time.monotonic() + _STOP_SECONDS
    asked = False
    while True:
        try:
            if not asked:
                process.send_signal(signal.SIGINT)
                asked = True
            for line in output.lines_of(process, deadline=deadline):
                with contextlib.suppress(Exception):  # what cannot be shown must not keep dbt from ending
                    take(line)
            process.wait(max(0.0, deadline - time.monotonic()))
            return
        except KeyboardInterrupt:
            _log.warning("dbt is cancelling its queries; it has %.0f s for that", deadline - time.monotonic())
        except (TimeoutError, subprocess.TimeoutExpired):
            _log.warning("dbt was killed, %d s after the interrupt: its queries may still be running", _STOP_SECONDS)
            process.kill()
            process.wait()
            return


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal has no name of its own
        return str(number)


def _listed(event: DbtEvent) -> list[str]:
    """The node of one line of `dbt ls --output json --output-keys unique_id`; other printed text is none."""
    try:
        return [json.loads(event.message)["unique_id"]]
    except (ValueError, KeyError, TypeError):
        return []
