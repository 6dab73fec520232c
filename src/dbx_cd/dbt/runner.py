"""Starts dbt and makes of its event stream how it ended."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dbx_cd.dbt.process import start_dbt
from dbx_cd.dbt.progress import DbtEvent, DbtProgress
from dbx_cd.warm.client import Process

# A release does not report usage to anybody, and a deploy must not wait for a host that cannot be reached.
QUIET = ["--log-format", "json", "--no-use-colors", "--no-send-anonymous-usage-stats"]
_STOP_SECONDS = 20
# What dbt writes above the error that ended it: the first line is to say something.
_HEADING = "Encountered an error:"


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


Runner = Callable[[list[str]], DbtOutcome]


def dbt_process(*, cwd: Path, title: str, warm_parent: Path | None = None) -> Runner:
    """What runs dbt as a process.

    Args:
        cwd: the current directory.
        title: what its progress is called.
        warm_parent: the address of a process that has imported dbt, see `start_dbt`.
    """
    return lambda args: _run_process(args, cwd=cwd, title=title, warm_parent=warm_parent)


def _run_process(args: Sequence[str], *, cwd: Path, title: str, warm_parent: Path | None) -> DbtOutcome:
    """Run dbt, showing its events as they come; an interrupt lets dbt cancel its queries before it is killed."""
    errors: list[str] = []
    listed: list[str] = []
    output: list[str] = []
    process = start_dbt(args, cwd=cwd, warm_parent=warm_parent)
    assert process.stdout is not None
    try:
        with DbtProgress(title) as progress:
            for line in process.stdout:
                event = DbtEvent.parse(line)
                progress.take(event)
                if event.level == "error":
                    errors.append(event.message.removeprefix(_HEADING).strip())
                elif event.name in ("ListCmdOut", "PrintEvent"):
                    listed += _listed(event)
                elif event.name == "Output":
                    output.append(event.message)
        code = process.wait()
    except BaseException:
        _stop(process)
        raise
    if code != 0 and not errors:
        errors = output[-20:]
    if code < 0:
        errors.append(f"dbt was ended by {signal.Signals(-code).name}; the system ends what takes too much memory so")
    return DbtOutcome(code == 0, tuple(filter(None, errors)), tuple(listed), code)


def _listed(event: DbtEvent) -> list[str]:
    """The node of one line of `dbt ls --output json --output-keys unique_id`; other printed text is none."""
    try:
        return [json.loads(event.message)["unique_id"]]
    except (ValueError, KeyError, TypeError):
        return []


def _stop(process: Process) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
