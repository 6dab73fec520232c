"""`check`: whether a team's set-up is complete, before the first merge and in CI of the project."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from dbx_cd.setup.checks import check_setup
from dbx_cd.setup.repository import project_folder


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "check",
        help="whether everything that a release needs is there, each thing with what to do next",
        description="Looks at the project, its bundle and, unless --offline, at the workspace as the identity that is"
        " logged in. What needs a notebook is skipped here: open notebooks/check in the workspace. The exit code is 1"
        " where something fails.",
    )
    parser.add_argument("--offline", action="store_true", help="look at files only, as in CI of the project")
    parser.add_argument("--project", metavar="DIR", help="folder of the dbt project (default: the only one)")
    parser.add_argument("--profiles-dir", metavar="DIR", help="folder of profiles.yml (default: as dbt)")
    parser.add_argument(
        "--target", action="append", default=[], metavar="TARGET", help="only this target; may be given again"
    )
    parser.add_argument("--job", help="name or id of the job (default: the bundle's that has a gate)")
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.set_defaults(command=check)


def check(options: argparse.Namespace) -> int:
    """Look, and print what was found; 1 where something fails."""
    project = options.project or project_folder(Path.cwd(), None) or "."
    report = check_setup(
        project_dir=project,
        profiles_dir=options.profiles_dir,
        targets=options.target,
        job=options.job,
        offline=options.offline,
    )
    print(json.dumps(report.to_dict(), indent=1, ensure_ascii=False) if options.json else report.text)
    return 0 if report.ok else 1
