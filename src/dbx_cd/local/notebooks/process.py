"""Runs one notebook: the child process behind a notebook task (``python -m dbx_cd.local.notebooks.process``).

The first line of standard input is the order, as JSON (see ``NotebookOrder``). Standard input then stays open: when it
ends, the workspace has died and this process ends itself, with everything that it started.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from mashumaro import DataClassDictMixin

from dbx_cd.local.notebooks.cells import NotebookCells
from dbx_cd.local.notebooks.dbutils import DBUtils, NotebookExit
from dbx_cd.local.notebooks.page import NotebookPage, capture
from dbx_cd.local.notebooks.spark import NoSpark, attach

_RUNS_DBT = "dbx_cd.dbt.runner"


@dataclass(frozen=True)
class NotebookOrder(DataClassDictMixin):
    """What to run, with what, and where to leave the result; paths are absolute."""

    notebook: str
    title: str
    task_key: str
    job_group: str
    user: str
    result_file: str
    page_file: str
    import_paths: list[str] = field(default_factory=list)
    parameters: dict[str, str] = field(default_factory=dict)
    task_values: dict[str, dict[str, Any]] = field(default_factory=dict)
    gateway_port: int | None = None
    gateway_secret: str | None = None


@dataclass(frozen=True)
class NotebookResult(DataClassDictMixin):
    """How a notebook ended."""

    exit_value: str | None = None
    """What ``dbutils.notebook.exit`` was given."""
    error: str | None = None
    """Type and message of the exception; ``None`` if it succeeded."""
    error_trace: str | None = None
    """The traceback, from the notebook's own frames on."""
    values: dict[str, Any] = field(default_factory=dict)
    """Task values that it set."""
    displayed: list[str] = field(default_factory=list)
    """HTML that it displayed."""


def run_notebook(order: NotebookOrder) -> NotebookResult:
    """Run the cells of a notebook in this process and write its page after each cell."""
    page = NotebookPage(order.title)
    capture(page)
    dbutils = DBUtils(
        parameters=order.parameters,
        task_key=order.task_key,
        task_values=order.task_values,
        notebook=Path(order.notebook),
    )
    spark: Any = NoSpark()
    exit_value = error = trace = None
    end_when_cancelled = partial(_end_when_cancelled, lambda: page.write(Path(order.page_file)))
    end_when_cancelled()
    try:
        if order.gateway_port is not None and order.gateway_secret is not None:
            spark = attach(order.gateway_port, order.gateway_secret, job_group=order.job_group, user=order.user)
            end_when_cancelled()  # PySpark's own handler cancels every job of the workspace
        cells = NotebookCells(Path(order.notebook), page=page, dbutils=dbutils, spark=spark)
        cells.run(after_each=lambda: page.write(Path(order.page_file)))
    except NotebookExit as exc:
        exit_value = exc.value
        page.add("text", f"Notebook exited: {exc.value}\n")
    except (Exception, SystemExit, KeyboardInterrupt) as exc:
        error, trace = f"{type(exc).__name__}: {exc}", notebook_trace(exc)
        page.add("error", trace)
        if sys.__stderr__ is not None:
            sys.__stderr__.write(f"{trace}\n")
            sys.__stderr__.flush()
    page.write(Path(order.page_file))
    return NotebookResult(exit_value, error, trace, dbutils.jobs.taskValues.written, page.displayed)


def notebook_trace(exc: BaseException) -> str:
    """What a notebook shows of an exception: its own lines where it has some, as IPython does, or else the traceback.

    The frames of this runner are left out.
    """
    own_lines = getattr(exc, "_render_traceback_", None)
    if own_lines is not None:
        return "".join(f"{line}\n" for line in own_lines())
    frame = exc.__traceback__
    while frame is not None and Path(frame.tb_frame.f_code.co_filename).parent == Path(__file__).parent:
        frame = frame.tb_next
    return "".join(traceback.format_exception(type(exc), exc, frame))


def end_with_parent() -> None:
    """Take standard input away from the notebook, and end this process group when it closes."""
    orders = os.dup(0)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)

    def watch() -> None:
        while os.read(orders, 4096):
            pass
        os.killpg(os.getpgrp(), signal.SIGKILL)

    threading.Thread(target=watch, name="parent-watch", daemon=True).start()


def _end_when_cancelled(write_page: Callable[[], None]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _, frame: _end_cancelled(write_page, frame))


def _end_cancelled(write_page: Callable[[], None], frame: FrameType | None) -> NoReturn:
    """End this process because its task is to end.

    While dbt runs by `run_dbt`, that is interrupted, so that dbt can cancel its queries. Else it leaves without
    unwinding, as PySpark's own clean-up would wait for the answer of the call that was interrupted; but not before
    what it has started has ended, which was interrupted as well. What it has running in Spark the workspace ends.

    Raises:
        KeyboardInterrupt: dbt runs by `run_dbt`.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        # Once is enough. Not SIG_IGN, which processes that are started from here on would inherit.
        signal.signal(number, lambda *_: None)
    while frame is not None:
        if frame.f_globals.get("__name__") == _RUNS_DBT:
            raise KeyboardInterrupt("the task is cancelled")
        frame = frame.f_back
    write_page()
    with contextlib.suppress(ChildProcessError):  # none is left
        while True:
            os.wait()
    os._exit(143)


def _read_order() -> NotebookOrder:
    """Read exactly one line, unbuffered: the rest of standard input belongs to ``end_with_parent``."""
    line = bytearray()
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            raise EOFError("the order ended early")
        line += byte
    return NotebookOrder.from_dict(json.loads(line))


def main() -> int:
    """Run the notebook that standard input orders; the result goes to ``order.result_file``."""
    order = _read_order()
    end_with_parent()
    sys.path += order.import_paths  # last: a notebook must not shadow a package that has its name
    result = run_notebook(order)
    result_file = Path(order.result_file)
    temporary = result_file.with_suffix(".part")
    temporary.write_text(json.dumps(result.to_dict()), encoding="utf-8")
    temporary.replace(result_file)
    return 0 if result.error is None else 1


def run_and_leave() -> NoReturn:
    """Run it and leave at once: closing Spark's Python side could wait for callbacks of the workspace's JVM."""
    code = main()
    sys.stdout.flush()
    os._exit(code)


if __name__ == "__main__":
    run_and_leave()
