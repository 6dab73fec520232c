"""A workspace for one project: with the catalogs that it needs, and the sources that it reads."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from dbx_cd.enumeration import listed
from dbx_cd.local.parsed_project import ParsedProject, parse_commit
from dbx_cd.local.project import LocalProject
from dbx_cd.local.scratch import Scratch
from dbx_cd.local.sources.loading import load_sources, missing_sources
from dbx_cd.local.sources.tables import source_tables, with_files
from dbx_cd.local.spark_session import catalog_names, may_be_catalog
from dbx_cd.local.standard_grants import grant_standard
from dbx_cd.local.workspace import PRODUCTION_BOT, RELEASE_BOT, EmbeddedWorkspace, task_connection
from dbx_cd.setup.grants import Places
from dbx_cd.shell_environment import as_in_the_shell
from dbx_cd.sql_endpoint import ReservedAddress, with_connection

_SHOWN = 3


@dataclass(frozen=True)
class Wanted:
    """What a person asks of the start."""

    state_dir: Path
    """Where everything is kept."""
    catalogs: Sequence[str] = ()
    """Catalogs besides those that are found."""
    sources: Path | None = None
    """A folder of files for the project's sources."""
    owners: Sequence[str] = ()
    """Users who may approve, besides the seeded owner."""


@contextmanager
def project_workspace(
    project: LocalProject,
    wanted: Wanted,
    *,
    commit: str | None,
    say: Callable[[str], None],
    on_output: Callable[[int, str, str], None] | None = None,
) -> Iterator[EmbeddedWorkspace]:
    """A running workspace with the catalogs of a project.

    Args:
        project: the project.
        wanted: what is asked for.
        commit: the commit whose files say which catalogs are needed; None where there is no commit yet.
        say: takes what a person should read.
        on_output: as for `EmbeddedWorkspace`.

    Raises:
        ConfigError: the job, the profile or what is asked for is wrong; then Spark has not started.
        SetupError: as `EmbeddedWorkspace.start`.
    """
    project.jobs()
    catalog_names(wanted.catalogs)
    address = ReservedAddress()
    parsed = _parsed(project, commit, address)
    for problem in parsed.problems[:_SHOWN]:
        say(f"dbt does not say which catalogs the project needs, so only those of its profile are there: {problem}")
    tables = source_tables(parsed.manifests)
    if wanted.sources is not None:
        # A name that means nothing is told before Spark starts.
        tables = with_files(tables, wanted.sources, parsed.manifests)
    catalogs = [*project.catalogs, *wanted.catalogs, *parsed.catalogs]
    workspace = EmbeddedWorkspace(
        wanted.state_dir,
        catalogs=catalogs,
        approvers=project.config.approvers,
        owners=wanted.owners,
        on_output=on_output,
        address=address,
    )
    with workspace:
        _lend_secrets(workspace, project, say=say)
        if wanted.sources is not None:
            load_sources(
                workspace.spark, tables, project_dir=parsed.project_dir, say=say,
                temporary=Scratch(workspace.state_dir).folder,
            )  # fmt: skip
        elif missing := missing_sources(workspace.spark, tables):
            names = listed([table.short for table in missing], most=_SHOWN)
            say(f"sources without a table here, so that what reads them fails: {names}. Next: give --sources DIR")
        if named := workspace.introduce(parsed.principals):
            say(f"users and groups of the project's grants, known here by name alone: {listed(named, most=_SHOWN)}")
        grant_standard(workspace.spark, places_of(project, parsed), principals=workspace.roles)
        yield workspace


def _lend_secrets(workspace: EmbeddedWorkspace, project: LocalProject, *, say: Callable[[str], None]) -> None:
    """Let the job read what the project's secrets are in this shell: nobody has the platform's on their own machine."""
    shell = as_in_the_shell(os.environ)
    unset = [variable for variable in project.config.secrets if not shell.get(variable)]
    for variable, name in project.config.secrets.items():
        value = shell.get(variable) or f"no-value-of-{variable}"
        for bot in (RELEASE_BOT, PRODUCTION_BOT):
            workspace.rest.secrets.lend(name.scope, name.key, value, to=bot)
    if unset:
        say(f"not set in this shell, so that dbt gets placeholders: {', '.join(unset)}")


def places_of(project: LocalProject, parsed: ParsedProject) -> Places:
    """Where the commit keeps things: `generate_database_name` and configs name catalogs that the profile does not."""
    places = project.places_with(parsed.manifests)
    return replace(
        places,
        targets=tuple(filter(may_be_catalog, places.targets)),
        gated=tuple(filter(may_be_catalog, places.gated)),
        open=tuple(filter(may_be_catalog, places.open)),
        sources=tuple(source for source in places.sources if may_be_catalog(source[0])),
    )


def _parsed(project: LocalProject, commit: str | None, address: ReservedAddress) -> ParsedProject:
    folder = project.repository / project.subfolder
    if commit is None:
        return ParsedProject({}, folder, ("nothing is committed yet",))
    with tempfile.TemporaryDirectory(prefix="dbx_cd-", ignore_cleanup_errors=True) as work:
        # Not where the tasks' profile will be: another workspace that runs on the state directory would get this one's.
        profiles = with_connection(
            project.profiles_dir,
            task_connection(address),
            out_dir=Path(work) / "profiles",
            profile_name=project.profile,
            targets=project.config.targets,
        )
        return parse_commit(
            project.repository,
            commit,
            subfolder=project.subfolder,
            profiles=profiles,
            targets=project.config.targets,
            work=Path(work),
        )
