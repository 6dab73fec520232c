"""`python -m dbx_cd`: what CI and an SRE do from a terminal. Anything that needs Spark is a notebook."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from dbx_cd.errors import ConfigError, DbxCdError, RestoreRefused, WorkflowError
from dbx_cd.release.context import current_workspace
from dbx_cd.release.workflow import JOB_NAME, notebook_result, start_notebook, trigger, wait

ROLLBACK_NOTEBOOK = "rollback"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 it failed, 2 wrong usage (argparse).
    """
    return run_command(_parser(), arguments)


def run_command(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Parse and run the command that the parser has set; an error of dbx_cd becomes one line and exit code 1."""
    options = parser.parse_args(arguments)
    try:
        return int(options.command(options))
    except DbxCdError as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)
        return 1


def init(options: argparse.Namespace) -> int:
    """Copy the notebooks and the job's definition into a project's repository; nothing there is overwritten."""
    repository = Path(options.directory)
    if not repository.is_dir():
        raise ConfigError("no such folder", where=repository, next_step="give the root of the project's repository")
    bundle = Path(str(resources.files("dbx_cd") / "bundle"))
    files = sorted(path.relative_to(bundle) for path in _files(bundle))
    present = [str(name) for name in files if (repository / name).exists()]
    if present:
        raise ConfigError(
            f"already there: {', '.join(present)}", where=repository, next_step="remove or keep them by hand"
        )
    for name in files:
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle / name, repository / name)
        print(repository / name)
    return 0


def start(options: argparse.Namespace) -> int:
    """Trigger the Workflow at a commit."""
    workspace = current_workspace()
    run = trigger(
        workspace, options.job, commit=options.commit, full_refresh=options.full_refresh, reason=options.reason
    )
    print(run, run.url or "", flush=True)
    if options.wait:
        ended = wait(workspace, run)
        state = ended.state.result_state.value if ended.state and ended.state.result_state else "UNKNOWN"
        if state != "SUCCESS":
            message = ended.state.state_message if ended.state else ""
            raise WorkflowError(f"the run ended as {state}: {message}", where=run.url or run)
        print(state)
    return 0


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
        "only": " ".join(options.only),
        "skip": " ".join(options.skip),
        "to": options.to or "",
        "new_tables": options.new_tables,
        "discard_later_writes": str(options.discard_later_writes).lower(),
        "rehearse": str(options.rehearse).lower(),
        "seal": "" if options.plan or options.rehearse else options.seal or "",
        "reason": options.reason or "",
    }
    run = start_notebook(workspace, options.job, notebook=ROLLBACK_NOTEBOOK, parameters=parameters)
    print(run, run.url or "", file=sys.stderr, flush=True)
    print(notebook_result(workspace, run))
    return 0


def _files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in folder.iterdir():
        if path.is_dir():
            found += [] if path.name == "__pycache__" else _files(path)
        else:
            found.append(path)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dbx_cd", description="Safe dbt releases on Databricks.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    copying = commands.add_parser("init", help="copy notebooks and job definition into a project's repository")
    copying.add_argument("directory", nargs="?", default=".", metavar="DIR")
    copying.set_defaults(command=init)
    starting = commands.add_parser("trigger", help="run the Workflow at a commit")
    starting.add_argument("--commit", required=True, metavar="SHA", help="the full SHA")
    starting.add_argument("--job", default=JOB_NAME, help=f"name or id of the job (default: {JOB_NAME})")
    starting.add_argument("--reason", help="why, for the release log")
    starting.add_argument("--full-refresh", action="store_true", help="rebuild incremental models from nothing")
    starting.add_argument("--wait", action="store_true", help="wait until the run has ended or waits for approval")
    starting.set_defaults(command=start)
    _rollback_parser(commands.add_parser("rollback", help="take production's data back to before a release"))
    return parser


def _rollback_parser(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "release", nargs="?", metavar="RELEASE", help="the release's id; without it, releases are listed"
    )
    parser.add_argument("--plan", action="store_true", help="only print what would be done, and its seal")
    parser.add_argument("--rehearse", action="store_true", help="try the plan on copies; production is not touched")
    parser.add_argument("--seal", help="the seal of the plan that you have read: carry it out")
    parser.add_argument("--only", nargs="+", default=[], metavar="MODEL", help="only these relations")
    parser.add_argument("--skip", nargs="+", default=[], metavar="MODEL", help="all but these relations")
    parser.add_argument("--to", metavar="TIME", help="tables as they were at this time, such as 2026-11-23T10:15, UTC")
    parser.add_argument("--new-tables", choices=("keep", "drop"), default="keep", help="what the release created")
    parser.add_argument("--discard-later-writes", action="store_true", help="erase what others wrote since")
    parser.add_argument("--reason", help="why, for the release log")
    parser.add_argument("--job", default=JOB_NAME, help=f"name or id of the job (default: {JOB_NAME})")
    parser.set_defaults(command=roll_back)
