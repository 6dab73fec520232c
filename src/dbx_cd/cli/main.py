"""The commands of `python -m dbx_cd`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from dbx_cd.cli import diff, init, rollback, sample, trigger
from dbx_cd.cli.command import run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 it failed, 2 wrong usage (argparse).
    """
    parser = argparse.ArgumentParser(prog="python -m dbx_cd", description="Safe dbt releases on Databricks.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (init, trigger, rollback, diff, sample):
        command.add_to(commands)
    return run_command(parser, arguments)
