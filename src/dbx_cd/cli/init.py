"""`init`: notebooks and job definition, copied into a project's repository."""

from __future__ import annotations

import argparse
from pathlib import Path

from dbx_cd.setup.init import Asked, init


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("init", help="copy notebooks and job definition into a project's repository")
    parser.add_argument("directory", nargs="?", default=".", metavar="DIR", help="its root (default: here)")
    parser.add_argument("--project", metavar="DIR", help="folder of the dbt project in it (default: the only one)")
    parser.add_argument("--staging", metavar="TARGET", help="the dbt target that is built and tested first (stg)")
    parser.add_argument("--production", metavar="TARGET", help="the dbt target that needs an approval (prod)")
    parser.add_argument(
        "--gate", action="append", default=[], metavar="TARGET",
        help="one more that needs an approval, between the two; may be given again",
    )  # fmt: skip
    parser.set_defaults(command=start)


def start(options: argparse.Namespace) -> int:
    """Write into the repository, and print each file."""
    asked = Asked(
        Path(options.directory),
        project=options.project,
        staging=options.staging,
        production=options.production,
        gates=tuple(options.gate),
    )
    init(asked, say=print)
    return 0
