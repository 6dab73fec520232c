"""`init`: what a project's repository needs for its releases."""

from __future__ import annotations

import argparse
from pathlib import Path

from dbx_cd.setup.bundle_options import NODE_TYPES
from dbx_cd.setup.init import Asked, init, plan_init
from dbx_cd.setup.init_targets import AskedNames


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "init",
        help="write notebooks and job definition into a project's repository",
        description="Write into a project's repository what its releases need. What is there stays as it is: run again,"
        " also after an upgrade, it changes nothing, and --diff shows what is newer.",
    )
    parser.add_argument("directory", nargs="?", default=".", metavar="DIR", help="its root (default: here)")
    parser.add_argument("--project", metavar="DIR", help="folder of the dbt project in it (default: the only one)")
    parser.add_argument(
        "--staging", metavar="TARGET",
        help="the dbt target that is built and tested first (default: as dbx_cd.yml or the profile's outputs have it)",
    )  # fmt: skip
    parser.add_argument("--production", metavar="TARGET", help="the dbt target that needs an approval (likewise)")
    parser.add_argument(
        "--gate", action="append", default=[], metavar="TARGET",
        help="one more that needs an approval, between the two; may be given again",
    )  # fmt: skip
    parser.add_argument(
        "--compute", choices=("cluster", "serverless"), help="where notebooks run (default: as it is, or cluster)"
    )
    parser.add_argument(
        "--identities", type=int, choices=(1, 2),
        help="as how many identities the Workflow works: with 2, staging's cannot write production, and what has a gate"
        " is a job of its own (default: as it is, or 1)",
    )  # fmt: skip
    parser.add_argument(
        "--cloud", choices=tuple(NODE_TYPES), default="aws", help="whose node types a cluster has (aws)"
    )
    parser.add_argument("--sres", metavar="GROUP", help="a group that may see the job, to roll data back")
    parser.add_argument(
        "--diff", action="store_true", help="print what would be written or differs, for `git apply`, and write nothing"
    )
    parser.set_defaults(command=start)


def asked_by(options: argparse.Namespace) -> Asked:
    """What these arguments ask for."""
    return Asked(
        Path(options.directory),
        project=options.project,
        names=AskedNames(options.staging, options.production, tuple(options.gate)),
        compute=options.compute,
        identities=options.identities,
        cloud=options.cloud,
        sres=options.sres,
    )


def start(options: argparse.Namespace) -> int:
    """Write into the repository and print each file, or print what would be written."""
    plan = plan_init(asked_by(options))
    if options.diff:
        print(plan.diff, end="")
    else:
        init(plan, say=print)
    return 0
