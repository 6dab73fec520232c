"""Starts one dbt process: a fork of a warm parent where there is one, else a new interpreter."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from dbx_cd.config import warm_dbt_address
from dbx_cd.warm.client import NotWarm, Process, WarmProcess

_log = logging.getLogger(__name__)


def start_dbt(args: Sequence[str], *, cwd: Path, warm_parent: Path | None = None) -> Process:
    """Start dbt with these arguments, its output and errors merged into one pipe.

    Either way it is a process of its own, with this process's environment.

    Args:
        args: the command and its flags.
        cwd: the current directory.
        warm_parent: the address of a warm parent; that of this process's own environment when not given.
    """
    address = warm_parent or warm_dbt_address()
    if address is not None:
        try:
            return WarmProcess.start(address, args, cwd=cwd)
        except NotWarm as exc:
            _log.info("dbt starts cold: %s", exc)
    return subprocess.Popen(
        # -P: a file of the project must not take the place of a module that dbt imports
        [sys.executable, "-P", "-c", "from dbt.cli.main import cli; cli()", *args],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
