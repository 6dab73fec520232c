"""The commands of `python -m dbx_cd`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from dbx_cd.cli import trigger
from dbx_cd.cli.command import run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 it failed, 2 wrong usage (argparse).
    """
    parser = argparse.ArgumentParser(prog="python -m dbx_cd", description="Safe dbt releases on Databricks.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    given = sys.argv[1:] if arguments is None else arguments
    for command in (trigger,) if given[:1] == ["trigger"] else _all():
        command.add_to(commands)
    return run_command(parser, arguments)


def _all() -> tuple[Any, ...]:
    """The modules of all commands. CI has `trigger` alone, without the packages of the others."""
    from dbx_cd.cli import check, diff, init, lock_dbt, rollback, sample, setup

    return init, lock_dbt, setup, check, trigger, rollback, diff, sample
