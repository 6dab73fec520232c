"""Starts dbt and makes of its event stream how it ended."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dbx_cd.dbt.node_events import NodeEvents
from dbx_cd.dbt.process import start_dbt
from dbx_cd.dbt.progress import DbtEvent, DbtProgress
from dbx_cd.warm.client import Process

# A release does not report usage to anybody, and a deploy must not wait for a host that cannot be reached.
QUIET = ["--log-format", "json", "--no-use-colors", "--no-send-anonymous-usage-stats"]
_STOP_SECONDS = 20


@dataclass(frozen=True)
class DbtOutcome:
    """How a dbt process ended."""

    success: bool
    """Whether its exit code was 0."""
    errors: tuple[str, ...] = ()
    """The messages of what went wrong."""
    listed: tuple[str, ...] = ()
    """The nodes that `dbt ls` listed."""
    nodes: NodeEvents = field(default_factory=NodeEvents)
    """What its events said of single nodes."""


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
    nodes = NodeEvents()
    process = start_dbt(args, cwd=cwd, warm_parent=warm_parent)
    assert process.stdout is not None
    try:
        with DbtProgress(title) as progress:
            for line in process.stdout:
                event = DbtEvent.parse(line)
                progress.take(event)
                nodes.take(event)
                if event.level == "error" and event.message.strip():
                    errors.append(event.message)
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
    return DbtOutcome(code == 0, tuple(errors), tuple(listed), nodes)


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
