"""`python -m dbx_cd.local`: the embedded workspace from a terminal."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from databricks.sdk.service.jobs import RunResultState

from dbx_cd.artifacts.uncommitted import uncommitted, uncommitted_in_words
from dbx_cd.cli.command import run_command
from dbx_cd.errors import SetupError
from dbx_cd.extras import importing_extra

try:
    with importing_extra("local", purpose="the embedded workspace"):
        from dbx_cd.local.interruption import Interruption, interruptible
        from dbx_cd.local.project import LocalProject
        from dbx_cd.local.run import LocalWorkflow, follow, results_of, submit_notebook
        from dbx_cd.local.start import Wanted, project_workspace
        from dbx_cd.local.state_lock import refuse_if_in_use
        from dbx_cd.local.volume_path import volume_path
        from dbx_cd.local.workspace import OWNER, Connection, EmbeddedWorkspace
except SetupError as exc:
    sys.exit(f"{type(exc).__name__}: {exc}")
except KeyboardInterrupt:  # most of the time before Spark starts is spent here
    sys.stderr.write("interrupted\n")
    sys.exit(130)

DEFAULT_STATE = Path(".dbx_cd")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        The exit code: 0 done, 1 the release or command failed, 2 wrong usage (argparse).
    """
    return run_command(_parser(), arguments)


def up(options: argparse.Namespace) -> int:
    """Start the workspace and serve until interrupted."""
    refuse_if_in_use(options.state_dir)
    project = LocalProject.find(options.project, profiles_dir=options.profiles_dir)
    commit = project.newest_commit()
    with interruptible() as interruption, _workspace(project, options, interruption, commit=commit) as workspace:
        connection = workspace.connection
        print(f"workspace  {connection.host}")
        print(f"SQL        {connection.sql_host}{connection.http_path}")
        print(f"catalogs   {', '.join(dict.fromkeys(['ops', *workspace.catalogs]))}")
        print(f"users      {', '.join(connection.tokens)} (tokens: {workspace.state_dir / 'connection.json'})")
        LocalWorkflow(workspace, project)
        print("job        dbx_cd. Stop with Ctrl-C.", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            if interruption.reason is not None:  # nobody has asked for the end
                raise
            print(f"stopping the workspace on {workspace.state_dir}", flush=True)
    return 0


def run(options: argparse.Namespace) -> int:
    """Run the Workflow once at a commit."""
    refuse_if_in_use(options.state_dir)
    project = LocalProject.find(options.project, profiles_dir=options.profiles_dir)
    commit = project.commit(options.commit)
    folder = project.repository / project.subfolder
    left_out = uncommitted_in_words(
        uncommitted(project.repository, commit=commit, but=[options.state_dir], project=folder)
    )
    if left_out:
        print(left_out, file=sys.stderr, flush=True)
    with interruptible() as interruption, _workspace(project, options, interruption, commit=commit) as workspace:
        workflow = LocalWorkflow(workspace, project)
        started = workflow.release(commit, reason=options.reason, full_refresh=options.full_refresh)
        interruption.show(str(started))
        try:
            ended = follow(workflow, started, approve_as=options.approve_as, say=interruption.show)
        except KeyboardInterrupt as exc:
            exc.add_note(f"run {started.run_id} is cancelled; what it has done stays in {workspace.state_dir}")
            raise
        for task, result in results_of(ended).items():
            print(f"  {task:<14} {result}")
        print(workflow.cd.log.history())
        print(f"artifacts  {workflow.artifacts_root}")
        return 0 if ended.state and ended.state.result_state == RunResultState.SUCCESS else 1


def approve(options: argparse.Namespace) -> int:
    """Decide about a release as a user of the running workspace."""
    connection = Connection.read(options.state_dir)
    project = LocalProject.find(options.project)
    root = volume_path(options.state_dir.resolve(), project.config.artifacts_root)
    parameters = {
        "release_id": options.release_id,
        "seal": options.seal or "",
        "consent": ", ".join(options.consent),
        "reject_because": options.reject_because or "",
        "project_dir": str(project.repository / project.subfolder),
        "artifacts_root": str(root),
    }
    submit_notebook(connection.client(options.as_user), "approve", parameters)
    print(f"{options.release_id}: {'rejected' if options.reject_because else 'approved'} by {options.as_user}")
    return 0


def _workspace(
    project: LocalProject, options: argparse.Namespace, interruption: Interruption, *, commit: str | None
) -> AbstractContextManager[EmbeddedWorkspace]:
    def show(_run_id: int, task_key: str, line: str) -> None:
        interruption.show(f"{task_key:<14} | {line}")

    wanted = Wanted(
        options.state_dir,
        catalogs=options.catalog,
        sources=options.sources,
        owners=[options.approve_as] if getattr(options, "approve_as", None) else [],
    )
    return project_workspace(
        project, wanted, commit=commit, say=lambda text: print(text, file=sys.stderr, flush=True), on_output=show
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m dbx_cd.local", description="The embedded workspace: real Spark and Delta on this machine."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--project", default=".", metavar="DIR", help="folder of the dbt project (default: here)")
    shared.add_argument(
        "--state-dir", type=Path, default=DEFAULT_STATE, metavar="DIR",
        help="tables, Volumes, runs and logs; found again by a later start (default: .dbx_cd)",
    )  # fmt: skip
    connecting = argparse.ArgumentParser(add_help=False)
    connecting.add_argument(
        "--profiles-dir", metavar="DIR",
        help="folder of profiles.yml (default: as dbt, DBT_PROFILES_DIR, the project's folder, here, ~/.dbt)",
    )  # fmt: skip
    connecting.add_argument(
        "--catalog", action="append", default=[], metavar="NAME",
        help="a catalog that must exist, besides those that the project's commit names; may be repeated",
    )  # fmt: skip
    connecting.add_argument(
        "--sources", type=Path, metavar="DIR",
        help="csv, parquet or json files for the project's sources, named SOURCE.TABLE.EXT or CATALOG.SCHEMA.TABLE.EXT",
    )  # fmt: skip
    starting = commands.add_parser("up", parents=[shared, connecting], help="start it and serve until Ctrl-C")
    starting.set_defaults(command=up)
    running = commands.add_parser("run", parents=[shared, connecting], help="run the Workflow once at a commit")
    running.add_argument("--commit", default="HEAD", metavar="SHA", help="the commit to release (default: HEAD)")
    running.add_argument("--approve-as", metavar="USER", help=f"approve as this user, e.g. {OWNER}; else wait")
    running.add_argument("--reason", help="why, for the release log")
    running.add_argument("--full-refresh", action="store_true", help="rebuild incremental models from nothing")
    running.set_defaults(command=run)
    deciding = commands.add_parser("approve", parents=[shared], help="approve or reject a waiting release")
    deciding.add_argument("release_id", metavar="RELEASE")
    decision = deciding.add_mutually_exclusive_group(required=True)
    decision.add_argument("--seal", type=_not_empty, help="the seal on the request's page: promotes exactly that")
    decision.add_argument("--reject-because", type=_not_empty, metavar="REASON", help="reject it instead")
    deciding.add_argument(
        "--consent", action="append", default=[], type=_not_empty, metavar="NAME",
        help="a loss to agree to, as the request names it; may be repeated",
    )  # fmt: skip
    deciding.add_argument("--as", dest="as_user", default=OWNER, metavar="USER", help=f"who decides (default: {OWNER})")
    deciding.set_defaults(command=approve)
    return parser


def _not_empty(text: str) -> str:
    """A variable that was never set must not turn into a decision that the notebook then does not take."""
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty")
    return text


if __name__ == "__main__":
    sys.exit(main())
