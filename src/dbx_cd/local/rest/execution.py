"""One go at a run, while it lasts."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

from dbx_cd.local.rest.git_source import Checkout
from dbx_cd.local.rest.job_runs import JobRun
from dbx_cd.local.rest.run_outcome import Outcome


@dataclass
class Execution:
    """One go at a run: the first, or a repair."""

    run: JobRun
    """The run it belongs to."""
    tasks: list[dict[str, Any]]
    """Settings of the tasks to run."""
    stop: threading.Event = field(default_factory=threading.Event)
    """Set to start nothing more."""
    ended_by: Outcome | None = None
    """The outcome of whoever stopped it early."""
    checkout: Checkout | None = None
    """The commit's files, for a job with a git source."""
    thread: threading.Thread | None = None
    """The thread that carries it out."""
