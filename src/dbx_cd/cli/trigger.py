"""`trigger`: the Workflow, started at a commit."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dbx_cd.artifacts.uncommitted import uncommitted, uncommitted_in_words
from dbx_cd.release.run_ending import require_success, result_of
from dbx_cd.release.workflow import JOB_NAME, trigger, wait
from dbx_cd.setup.own_bundle import own_job_name
from dbx_cd.workspace_host import current_workspace

WAIT = "wait until the run has ended; exit code 0 only if it succeeded, 1 if it failed or waits for an approval"
WHICH_JOB = f"name or id of the job (default: as the bundle of the repository around here calls it, else {JOB_NAME})"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("trigger", help="run the Workflow at a commit")
    parser.add_argument("--commit", required=True, metavar="SHA", help="the full SHA")
    parser.add_argument("--job", help=WHICH_JOB)
    parser.add_argument("--reason", help="why, for the release log")
    parser.add_argument("--full-refresh", action="store_true", help="rebuild incremental models from nothing")
    parser.add_argument("--wait", action="store_true", help=WAIT)
    parser.set_defaults(command=start)


def start(options: argparse.Namespace) -> int:
    """Trigger the Workflow at a commit."""
    left_out = uncommitted_in_words(uncommitted(Path.cwd(), commit=options.commit, project=Path.cwd()))
    if left_out:
        print(left_out, file=sys.stderr, flush=True)
    workspace = current_workspace()
    job = options.job or own_job_name(Path.cwd()) or JOB_NAME
    run = trigger(workspace, job, commit=options.commit, full_refresh=options.full_refresh, reason=options.reason)
    print(run, run.url or "", flush=True)
    if options.wait:
        ended = wait(workspace, run)
        require_success(workspace, ended, what=str(run), url=run.url or ended.run_page_url)
        print(result_of(ended))
    return 0
