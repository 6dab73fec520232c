"""`rollback`: production's data taken back, by a notebook run of the user's own."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dbx_cd.cli.trigger import WHICH_JOB
from dbx_cd.errors import RestoreRefused
from dbx_cd.release.notebook_run import notebook_result, start_notebook
from dbx_cd.release.workflow import JOB_NAME
from dbx_cd.setup.own_bundle import own_job_name
from dbx_cd.workspace_host import current_workspace

ROLLBACK_NOTEBOOK = "rollback"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("rollback", help="take a gated target's data back to before a release")
    parser.add_argument(
        "release", nargs="?", metavar="RELEASE", help="the release's id; without it, releases are listed"
    )
    parser.add_argument("--target", help="the gated target; needed where the release has changed several")
    parser.add_argument("--plan", action="store_true", help="only print what would be done, and its seal")
    parser.add_argument("--rehearse", action="store_true", help="try the plan on copies; production is not touched")
    parser.add_argument("--seal", help="the seal of the plan that you have read: carry it out")
    parser.add_argument("--only", nargs="+", default=[], metavar="MODEL", help="only these relations")
    parser.add_argument("--skip", nargs="+", default=[], metavar="MODEL", help="all but these relations")
    parser.add_argument("--to", metavar="TIME", help="tables as they were at this time, such as 2026-11-23T10:15, UTC")
    parser.add_argument("--new-tables", choices=("keep", "drop"), default="keep", help="what the release created")
    parser.add_argument("--discard-later-writes", action="store_true", help="erase what others wrote since")
    parser.add_argument("--reason", help="why, for the release log")
    parser.add_argument("--job", help=WHICH_JOB)
    parser.set_defaults(command=roll_back)


def roll_back(options: argparse.Namespace) -> int:
    """Plan, rehearse or carry out a data rollback, by the notebook `rollback` as a one-time run of this user."""
    if options.release and not (options.plan or options.rehearse or options.seal):
        raise RestoreRefused(
            "a rollback needs the seal of the plan that you have read",
            where=f"release {options.release}",
            next_step="see the plan and its seal with --plan (it changes nothing), then give --seal",
        )
    workspace = current_workspace()
    parameters = {
        "release_id": options.release or "",
        "target": options.target or "",
        "only": " ".join(options.only),
        "skip": " ".join(options.skip),
        "to": options.to or "",
        "new_tables": options.new_tables,
        "discard_later_writes": str(options.discard_later_writes).lower(),
        "rehearse": str(options.rehearse).lower(),
        "seal": "" if options.plan or options.rehearse else options.seal or "",
        "reason": options.reason or "",
    }
    job = options.job or own_job_name(Path.cwd()) or JOB_NAME
    run = start_notebook(workspace, job, notebook=ROLLBACK_NOTEBOOK, parameters=parameters)
    print(run, run.url or "", file=sys.stderr, flush=True)
    print(notebook_result(workspace, run))
    return 0
