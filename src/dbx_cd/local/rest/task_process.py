"""Starts, follows and ends the child process of one notebook task."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import dbx_cd
from dbx_cd.import_path import without_current_directory
from dbx_cd.local.notebooks import volume_mount
from dbx_cd.local.notebooks.process import NotebookOrder, NotebookResult
from dbx_cd.local.notebooks.volume_mount import HOST_VARIABLE, ROOT_VARIABLE, TOKEN_VARIABLE
from dbx_cd.shell_environment import SHELL, own_of_the_shell
from dbx_cd.warm.client import NotWarm, Process, WarmProcess

_log = logging.getLogger(__name__)

# A task's token for dbt's profile. Not DATABRICKS_TOKEN, which a person's shell may have; not DBT_ENV_SECRET_..., which
# dbt reads on import, so that no warm parent without it could stand for a task's own dbt.
DBT_TOKEN = TOKEN_VARIABLE

_GRACE_SECONDS = 25.0
"""How long a cancelled task may clean up before it is killed: `run_dbt` gives its dbt 20 s to cancel its queries."""


@dataclass(frozen=True)
class GatewayInfo:
    """How to reach the workspace's JVM."""

    port: int
    """The py4j port on loopback."""
    secret: str
    """The gateway's authentication token."""


@dataclass(frozen=True)
class TaskPlace:
    """Where a task runs and leaves things."""

    cwd: Path
    """The current directory."""
    log_file: Path
    """The file that gets all its output."""
    result_file: Path
    """The file that gets its result."""


class TaskProcess:
    """One child process. ``run`` may be called once; ``cancel`` at any time, from any thread."""

    def __init__(
        self,
        order: NotebookOrder,
        place: TaskPlace,
        *,
        environment: Mapping[str, str],
        warm_parent: Path | None = None,
    ) -> None:
        self._order = order
        self._place = place
        self._environment = environment
        self._warm_parent = warm_parent
        self._lock = threading.Lock()
        self._process: Process | None = None
        self.cancelled = False
        self.timed_out = False

    def run(self, *, timeout_seconds: float | None, on_line: Callable[[str], None]) -> NotebookResult:
        """Run the notebook to its end.

        Args:
            timeout_seconds: after this time the task is ended and ``timed_out`` is set.
            on_line: called with every line that the task prints.

        Returns:
            The notebook's own result, or an error if the process ended without leaving one.
        """
        # Standard input stays open: when this process dies, it ends, and so does the notebook.
        reading, writing = os.pipe()
        with os.fdopen(writing, "w", encoding="utf-8") as orders:
            try:
                process = self._start(stdin=reading)
            finally:
                os.close(reading)
            if process is None:
                return NotebookResult(error="Cancelled")
            return self._follow(process, orders, timeout_seconds=timeout_seconds, on_line=on_line)

    def cancel(self) -> None:
        """End the process and everything it started; returns at once, and `run` returns when they have ended."""
        with self._lock:
            self.cancelled = True
        self._end()

    def _follow(
        self, process: Process, orders: IO[str], *, timeout_seconds: float | None, on_line: Callable[[str], None]
    ) -> NotebookResult:
        timer = threading.Timer(timeout_seconds or 0, self._time_out)
        timer.daemon = True
        if timeout_seconds:
            timer.start()
        assert process.stdout is not None
        try:
            orders.write(json.dumps(self._order.to_dict()) + "\n")
            orders.flush()
        except BrokenPipeError:
            pass  # the process died at once; its output says why
        reader = threading.Thread(target=self._copy_output, args=(process.stdout, on_line), daemon=True)
        reader.start()
        code = process.wait()
        timer.cancel()
        self._end_group(signal.SIGKILL)  # whatever the task left behind, which could also keep the output open
        reader.join()
        return self._result(code)

    def _copy_output(self, output: IO[str], on_line: Callable[[str], None]) -> None:
        """Read to the end, whatever becomes of the lines: a task whose pipe nobody reads stands still."""
        with contextlib.ExitStack() as stack:
            takers: list[Callable[[str], object]] = [lambda line: on_line(line.rstrip("\n"))]
            try:
                log = stack.enter_context(self._place.log_file.open("w", encoding="utf-8", buffering=1))
            except OSError as exc:
                _log.error("%s: its output is not kept: %s", self._order.task_key, exc)
            else:
                takers.insert(0, log.write)
            for line in output:
                for take in list(takers):
                    try:
                        take(line)
                    except Exception:
                        takers.remove(take)
                        _log.exception("%s: its output is not shown or kept from here on", self._order.task_key)

    def _time_out(self) -> None:
        self.timed_out = True
        self._end()

    def _start(self, *, stdin: int) -> Process | None:
        if self.cancelled:
            return None
        # Not under the lock: the first fork waits for its parent's imports, and a cancellation must not.
        process = self._fork(stdin) or self._spawn(stdin)
        with self._lock:
            self._process = process
            cancelled = self.cancelled
        if cancelled:
            self._end()
        return process

    def _fork(self, stdin: int) -> Process | None:
        """A fork of the warm parent, if there is one."""
        if self._warm_parent is None:
            return None
        try:
            return WarmProcess.start(
                self._warm_parent, [], cwd=self._place.cwd, environment=self._environment, stdin=stdin
            )
        except NotWarm as exc:
            _log.info("the notebook starts cold: %s", exc)
            return None

    def _spawn(self, stdin: int) -> Process:
        return subprocess.Popen(
            # -P: the notebook's folder must not shadow modules while this process itself is starting
            [sys.executable, "-P", "-m", "dbx_cd.local.notebooks.process"],
            cwd=self._place.cwd,
            env=dict(self._environment),
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )

    def _end(self) -> None:
        # As Ctrl-C does in a terminal: a dbt among what it started cancels its queries then.
        self._end_group(signal.SIGINT)
        killer = threading.Timer(_GRACE_SECONDS, self._kill_if_alive)
        killer.daemon = True
        killer.start()

    def _kill_if_alive(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._end_group(signal.SIGKILL)

    def _end_group(self, number: signal.Signals) -> None:
        with self._lock:
            if self._process is None:
                return
            try:
                os.killpg(self._process.pid, number)
            except (ProcessLookupError, PermissionError):
                return  # already gone

    def _result(self, code: int) -> NotebookResult:
        if self.timed_out:
            return NotebookResult(error="Timed out")
        if self.cancelled:
            return NotebookResult(error="Cancelled")
        try:
            return NotebookResult.from_dict(json.loads(self._place.result_file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return NotebookResult(error=f"The notebook's process ended unexpectedly (exit code {code})")


def child_environment(*, host: str, token: str, volumes: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a task: the run's identity, and that of whoever started the workspace for dbt's eyes alone.

    Args:
        host: the address of the REST server.
        token: the identity's token.
        volumes: the folder that its Python processes see as the mount of Volumes.
        extra: further variables.
    """
    inherited = {n: v for n, v in without_current_directory(os.environ).items() if not n.startswith("DATABRICKS_")}
    package_root = str(Path(dbx_cd.__file__).parents[1])
    startup = str(Path(volume_mount.__file__).with_name("startup"))
    paths = [startup, package_root, *filter(None, [inherited.get("PYTHONPATH")])]
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",  # checkouts are shared and read-only
        "PYSPARK_PYTHON": sys.executable,
        SHELL: own_of_the_shell(os.environ),
        **extra,
        ROOT_VARIABLE: str(volumes),
        HOST_VARIABLE: host,
        "DATABRICKS_HOST": host,
        "DATABRICKS_TOKEN": token,
        DBT_TOKEN: token,
    }
