"""`setup`: the SQL that an administrator runs once for a project, printed or run."""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from dbx_cd.config import FILE_NAME, CdConfig, read_settings
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.invocation import run_dbt
from dbx_cd.dbt.packages import project_settings
from dbx_cd.dbt.profiles import PROFILES_FILE, profiles_folder
from dbx_cd.dbt.warm_parent import warm_dbt
from dbx_cd.errors import ConfigError
from dbx_cd.jinja import EarlyJinja
from dbx_cd.setup.bundle_options import NOBODY
from dbx_cd.setup.grants import APPROVERS, JOB, PRODUCTION, READERS, SRE, Places
from dbx_cd.setup.own_bundle import own_variables
from dbx_cd.setup.places import places_of, with_made_schemas
from dbx_cd.setup.provision import Query, run_steps, script, steps_for
from dbx_cd.setup.statement_api import StatementApi
from dbx_cd.setup.warehouse import warehouse_of
from dbx_cd.sql_endpoint import profile_targets
from dbx_cd.workspace_host import current_workspace

_STANDING = ("artifacts_root", "release_log", "approvers")


@dataclass(frozen=True)
class _Project:
    """What is looked at."""

    folder: Path
    profiles_dir: Path
    profile: str
    config: CdConfig
    variables: dict[str, str]


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("setup", help="print, or run, the SQL that makes places and grants rights")
    parser.add_argument("--project", default=".", metavar="DIR", help="folder of the dbt project (default: here)")
    parser.add_argument("--profiles-dir", metavar="DIR", help="folder of profiles.yml (default: as dbt)")
    parser.add_argument(
        "--job-identity", metavar="NAME",
        help="whom the Workflow runs as: a service principal's application id (default: `run_as` in databricks.yml)",
    )  # fmt: skip
    parser.add_argument(
        "--production-identity", metavar="NAME",
        help="whom what has a gate is built as, if that is another one (default: `production_run_as`, where it is)",
    )  # fmt: skip
    parser.add_argument("--approvers", metavar="GROUP", help="who approves (default: as the settings have it)")
    parser.add_argument("--sre", metavar="GROUP", help="who rolls data back (default: nobody)")
    parser.add_argument("--readers", metavar="GROUP", help="who looks at what was built (default: nobody)")
    parser.add_argument("--ci", metavar="NAME", help="who starts the Workflow, for what is not SQL")
    parser.add_argument(
        "--make-schemas", action="store_true", help="make dbt's schemas too: no CREATE SCHEMA is granted"
    )
    parser.add_argument("--make-log", action="store_true", help="make the release log too: rights on it alone")
    parser.add_argument("--run", action="store_true", help="run it, one statement at a time; 1 where one failed")
    parser.add_argument("--warehouse", metavar="ID", help="run it on this SQL warehouse, as the SDK logs in")
    parser.add_argument("--target", help="run it as this output of the profile says (default: the last target)")
    parser.set_defaults(command=setup)


def setup(options: argparse.Namespace) -> int:
    """Print the statements; with --run, run those that are not done yet."""
    _refuse_wrong_use(options)
    project = _project(options)
    principals = _principals(options, project)
    places = _places(project, is_log_made=options.make_log, are_schemas_made=options.make_schemas)
    places = replace(places, has_two_identities=PRODUCTION in principals)
    steps = steps_for(places, principals)
    if not options.run:
        print(script(steps, principals, ci=options.ci), end="")
        return 0
    failed = 0
    with _query(options, project) as query:
        for done in run_steps(steps, query):
            print(done, flush=True)
            failed += done.outcome == "failed"
    if failed:
        print(f"{failed} of {len(steps)} statements failed", file=sys.stderr)
    return 1 if failed else 0


def _refuse_wrong_use(options: argparse.Namespace) -> None:
    if options.warehouse and options.target:
        raise ConfigError("--warehouse and --target are two ways to log in", next_step="give one of them")
    if (options.warehouse or options.target) and not options.run:
        raise ConfigError("--warehouse and --target say where to run it", next_step="give --run as well")


def _project(options: argparse.Namespace) -> _Project:
    folder = Path(options.project).resolve()
    if not (folder / "dbt_project.yml").is_file():
        raise ConfigError("no dbt_project.yml", where=folder, next_step="give the dbt project's folder by --project")
    variables = own_variables(folder)
    # In the Workflow the bundle's values count, whatever a commit has in dbx_cd.yml.
    config = CdConfig.load(folder, overrides={name: variables.get(name) for name in _STANDING})
    written = read_settings(folder / FILE_NAME)
    for name in _STANDING:
        if name in written and variables.get(name, written[name]) != written[name]:
            print(f"{name} is {variables[name]}, as in databricks.yml, not as in {FILE_NAME}", file=sys.stderr)
    profiles = profiles_folder(folder, given=options.profiles_dir) or Path.home() / ".dbt"
    profile = EarlyJinja().render(project_settings(folder).get("profile"), where=f"{folder}/dbt_project.yml: profile")
    return _Project(folder, profiles, profile, config, variables)


def _places(project: _Project, *, is_log_made: bool, are_schemas_made: bool) -> Places:
    config = project.config
    outputs = profile_targets(project.profiles_dir, project.profile, targets=config.targets)
    with warm_dbt() as parent:  # dbt's imports take longer than a parse
        manifests = {target: _parsed(project, target, warm_parent=parent) for target in config.targets}
    wheelhouse = read_settings(project.folder / FILE_NAME).get("wheelhouse")
    # The wheel, and whatever else the bundle has a path for.
    installed = [str(wheelhouse or ""), *(v for name, v in project.variables.items() if name != "artifacts_root")]
    catalogs = {name: output.catalog for name, output in outputs.items()}
    places = places_of(config, catalogs=catalogs, manifests=manifests, packages=installed)
    places = replace(places, is_log_made=is_log_made)
    return with_made_schemas(places, config, manifests) if are_schemas_made else places


def _parsed(project: _Project, target: str, *, warm_parent: Path | None) -> Manifest:
    with tempfile.TemporaryDirectory(prefix="dbx_cd-", ignore_cleanup_errors=True) as work:
        ran = run_dbt(
            "parse", target=target, project_dir=project.folder, profiles_dir=project.profiles_dir,
            work_dir=work, warm_parent=warm_parent,
        )  # fmt: skip
        return Manifest.load(ran.files_dir / "manifest.json")


def _principals(options: argparse.Namespace, project: _Project) -> dict[str, str]:
    """Who has each role."""
    job, production = options.job_identity, options.production_identity
    named = {
        JOB: job or _identity(project, "run_as", option="--job-identity"),
        PRODUCTION: production or _identity(project, "production_run_as", option="--production-identity"),
        APPROVERS: options.approvers or project.config.approvers,
        SRE: options.sre,
        READERS: options.readers,
    }
    if not named[JOB]:
        raise _unknown("databricks.yml does not say it", "run_as", option="--job-identity")
    if named[JOB] == named[PRODUCTION]:
        raise ConfigError(
            f"{named[JOB]} is both identities", next_step="make a service principal for each, or name one and not two"
        )
    return {role: name for role, name in named.items() if name}


def _identity(project: _Project, variable: str, *, option: str) -> str | None:
    """Whom a variable of the bundle names; None where there is no such variable.

    Raises:
        ConfigError: it names nobody yet.
    """
    known = project.variables.get(variable)
    if known == NOBODY:
        raise _unknown("nobody is named yet in databricks.yml", variable, option=option)
    return known


def _unknown(why: str, variable: str, *, option: str) -> ConfigError:
    return ConfigError(
        f"whom the Workflow runs as is not known: {why}",
        next_step=f"give the service principal's application id by {option}, or set the variable `{variable}`",
    )


@contextlib.contextmanager
def _query(options: argparse.Namespace, project: _Project) -> Iterator[Query]:
    if options.warehouse:
        yield StatementApi(current_workspace(), options.warehouse).query
        return
    target = options.target or list(project.config.targets)[-1]
    with warehouse_of(project.profiles_dir / PROFILES_FILE, project.profile, target) as warehouse:
        yield warehouse.query
