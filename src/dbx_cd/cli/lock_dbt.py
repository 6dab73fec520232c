"""`lock-dbt`: the packages of dbt's own environment, locked in the project; and the wheels of them in a folder."""

from __future__ import annotations

import argparse
from pathlib import Path

from dbx_cd.dbt.requirements_lock import RequirementsLock
from dbx_cd.errors import ConfigError
from dbx_cd.setup.lock_dbt import IN_NAME, PYTHONS, lock_dbt
from dbx_cd.setup.wheelhouse import fill_wheelhouse


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("lock-dbt", help="write requirements-dbt.txt: what dbt runs with, by version and hash")
    parser.add_argument("--project", default=".", metavar="DIR", help="folder of the dbt project (default: here)")
    parser.add_argument(
        "--requirement", action="append", default=[], metavar="REQ",
        help=f"hold to this too, such as dbt-core==1.11.16; whoever has more keeps {IN_NAME} beside the lock",
    )  # fmt: skip
    parser.add_argument(
        "--python-version", default=PYTHONS[0], choices=PYTHONS, help=f"the oldest Python (default: {PYTHONS[0]})"
    )
    parser.add_argument(
        "--wheelhouse", type=Path, metavar="DIR",
        help="download the wheels for the drivers of runtimes into this folder; the lock stays where there is one",
    )  # fmt: skip
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--upgrade", action="store_true", help="take the newest versions (default: keep what is locked)")
    how.add_argument("--check", action="store_true", help="write nothing; fail where it is not what would be written")
    parser.set_defaults(command=lock)


def lock(options: argparse.Namespace) -> int:
    """Write or check the lock, and fill the wheelhouse."""
    project = Path(options.project).resolve()
    if options.wheelhouse is not None and options.check:
        raise ConfigError("--check writes nothing", next_step="leave out --check or --wheelhouse")
    result = lock_dbt(
        project, requirements=options.requirement, python=options.python_version, upgrade=options.upgrade,
        check=options.check,
    )  # fmt: skip
    for line in result.changed:
        print(line)
    print(result)
    if options.wheelhouse is not None:
        found = RequirementsLock.find(project)
        assert found is not None
        folder = options.wheelhouse.resolve()
        count = fill_wheelhouse(found, folder, say=print)
        print(f"{folder}: {count} wheels copied; name it in dbx_cd.yml as `wheelhouse`")
    return 0
