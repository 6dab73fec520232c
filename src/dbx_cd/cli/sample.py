"""`sample`: a few rows of a project's sources, from a real workspace, for the embedded one."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from dbx_cd.config import CdConfig
from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.invocation import run_dbt
from dbx_cd.dbt.packages import project_settings
from dbx_cd.dbt.profiles import PROFILES_FILE, profiles_folder
from dbx_cd.errors import ConfigError
from dbx_cd.jinja import EarlyJinja
from dbx_cd.setup.sample import take_sample
from dbx_cd.setup.sensitive import MASK_TAGS
from dbx_cd.setup.warehouse import warehouse_of


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "sample", help="write rows of the project's sources into a folder, for `python -m dbx_cd.local run --sources`"
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to; an earlier sample there is replaced")
    parser.add_argument("--project", default=".", metavar="DIR", help="folder of the dbt project (default: here)")
    parser.add_argument("--profiles-dir", metavar="DIR", help="folder of profiles.yml (default: as dbt)")
    parser.add_argument("--target", help="the profile's output to log in by (default: the last target, production)")
    parser.add_argument("--select", metavar="SELECTION", help="as dbt selects, such as source:shop (default: all)")
    parser.add_argument("--rows", type=_positive, default=1000, help="of each source at most (default: 1000)")
    masking = parser.add_mutually_exclusive_group()
    masking.add_argument(
        "--mask-tag", action="append", default=[], metavar="TAG",
        help=f"mask columns with this tag too, * for any text (always: {', '.join(MASK_TAGS)})",
    )  # fmt: skip
    masking.add_argument("--no-mask", action="store_true", help="take all columns as they are")
    parser.set_defaults(command=sample)


def sample(options: argparse.Namespace) -> int:
    """Read the sources as this user, and write them; 1 where one of them cannot be read."""
    project = Path(options.project).resolve()
    target = options.target or list(CdConfig.load(project).targets)[-1]
    profiles = profiles_folder(project, given=options.profiles_dir) or Path.home() / ".dbt"
    settings = project_settings(project)
    profile = EarlyJinja().render(settings.get("profile"), where=f"{project}/dbt_project.yml: profile")
    sources = _sources(project, target=target, profiles_dir=profiles, select=options.select)
    with warehouse_of(profiles / PROFILES_FILE, profile, target) as warehouse:
        done = take_sample(
            warehouse, sources, folder=options.folder.resolve(), rows=options.rows,
            mask_tags=None if options.no_mask else (*MASK_TAGS, *options.mask_tag), say=print,
        )  # fmt: skip
    skipped = [table for table in done if table.skipped is not None]
    if skipped:
        print(f"{len(skipped)} of {len(done)} sources could not be read", file=sys.stderr)
    return 1 if skipped else 0


def _sources(project: Path, *, target: str, profiles_dir: Path, select: str | None) -> list[Node]:
    with tempfile.TemporaryDirectory(prefix="dbx_cd-", ignore_cleanup_errors=True) as work:
        ran = run_dbt("ls", target=target, select=select, project_dir=project, profiles_dir=profiles_dir, work_dir=work)
        manifest = Manifest.load(ran.files_dir / "manifest.json")
    found = [node for node in manifest.select(ran.listed) if node.resource_type == "source" and node.relation]
    if not found:
        raise ConfigError(
            f"no source is selected{f' by {select}' if select else ''}",
            where=project,
            next_step="select sources, such as source:shop.orders",
        )
    return found


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("it is no positive number")
    return int(text)
