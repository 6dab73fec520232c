"""dbt on the files of one project and one target, however often a build runs it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from dbx_cd.artifacts import archive
from dbx_cd.artifacts.installed import with_packages
from dbx_cd.artifacts.project_files import project_files
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.connection import DbtConnection
from dbx_cd.dbt.environment import DbtEnvironment
from dbx_cd.dbt.finished import NOTHING_SELECTED
from dbx_cd.dbt.invocation import install_packages, run_dbt
from dbx_cd.dbt.listing import Listed, ListQuery, list_nodes
from dbx_cd.dbt.project import LocalProject
from dbx_cd.dbt.run import DbtRun
from dbx_cd.dbt.selection import Selection
from dbx_cd.dbt.warm_parent import warm_dbt
from dbx_cd.release.context import Cd


@dataclass(frozen=True)
class ProjectDbt:
    """Runs dbt with what does not change between the invocations of one build."""

    cd: Cd
    """The context."""
    target: str
    """The dbt target."""
    work: Path
    """A folder on local disk for the copy, the parse and what dbt leaves."""
    project_dir: Path
    """The project."""
    profiles_dir: str | Path | None
    """The folder of `profiles.yml`; None for the one that dbt takes when started in the project's folder."""
    state: Path | None = None
    """The folder of the state that unselected parents resolve to."""
    defer: bool = False
    """Whether they do."""
    warm_parent: Path | None = None
    """The socket of a process that has imported dbt."""
    defer_state: Path | None = None
    """The folder of the manifest that they resolve by, where it is another than the state's."""
    connection: DbtConnection | None = None
    """How dbt connects; as the profile says where there is none."""

    @cached_property
    def environment(self) -> DbtEnvironment:
        """The Python environment that dbt runs in."""
        return DbtEnvironment.of(self.project_dir, stands_in=self.cd.dbt is not None)

    def run(self, selection: Selection, *, check: bool = False) -> DbtRun:
        """Run a command on what is selected."""
        return run_dbt(
            selection.cmd, target=self.target, select=selection.select, exclude=selection.exclude, defer=self.defer,
            state_path=self.state, defer_state=self.defer_state, favor_state=selection.favor_state,
            with_parents=selection.with_parents,
            full_refresh=selection.full_refresh, vars=selection.vars, project_dir=self.project_dir,
            profiles_dir=self.profiles_dir or None, work_dir=self.work, runner=self.cd.dbt,
            warm_parent=self.warm_parent, connection=self.connection, check=check,
        )  # fmt: skip

    def list(self, selection: Selection, *, check: bool = False) -> DbtRun:
        """What a selection means, without running a statement; the build goes on with the same parse.

        What is listed decides what staging may not write and what a restore point holds, so a list of nothing fails.
        """
        listed = self.run(replace(selection, cmd="ls", full_refresh=False))
        if listed.ok and not listed.listed:
            listed = replace(listed, ok=False, errors=(NOTHING_SELECTED,))
        if check:
            listed.raise_if_failed()
        return listed

    def list_all(self, queries: Mapping[str, ListQuery], *, vars: Mapping[str, Any]) -> Listed:
        """What several selections mean, by one parse of one process with these variables."""
        return list_nodes(
            queries, target=self.target, vars=vars, project_dir=self.project_dir,
            profiles_dir=self.profiles_dir or None, work_dir=self.work, runner=self.cd.dbt,
            warm_parent=self.warm_parent, connection=self.connection,
        )  # fmt: skip

    def pack(self) -> Path:
        """The project archive: the project's files, with the packages that it names installed.

        Raises:
            ConfigError: they are not as the commit has them, or no archive can hold them.
            DbtFailed: packages cannot be installed.
        """
        files = with_packages(project_files(self.project_dir), layout=self.work / "checkout", install=self._install)
        return archive.pack_files(files, self.work / archive.ARCHIVE_NAME)

    def names_in(self, target: str) -> Manifest:
        """What the same files are called in another target.

        Raises:
            DbtFailed: dbt cannot say.
        """
        other = replace(self, target=target, work=self.work / f"names-{target}", state=None, defer=False)
        return Manifest.load(other.run(Selection("ls"), check=True).files_dir / "manifest.json")

    def _install(self, folder: Path) -> None:
        project = LocalProject.at(folder, work=self.work / "deps", profiles_dir=self.profiles_dir or None)
        install_packages(
            project,
            target=self.target,
            source=self.project_dir,
            runner=self.cd.dbt,
            warm_parent=self.warm_parent,
            connection=self.connection,
        )


def warm_for(cd: Cd, project_dir: str | Path, connection: DbtConnection | None) -> AbstractContextManager[Path | None]:
    """A process that has imported dbt, for the several invocations of a build.

    Args:
        cd: the context.
        project_dir: the project, which says in which environment dbt runs.
        connection: how dbt connects; a parent is told what dbt is.
    """
    if cd.dbt is not None:
        return nullcontext()
    return warm_dbt(DbtEnvironment.of(project_dir), known=connection.variables if connection else None)
