"""One project and one target, and dbt run on them: packages before, the parse carried, what was left collected."""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from dbx_cd.dbt.carried_parse import CarriedParse, carried_parse, forget_untracked_parse
from dbx_cd.dbt.connection import DbtConnection
from dbx_cd.dbt.environment import DbtEnvironment
from dbx_cd.dbt.finished import finished
from dbx_cd.dbt.packages import missing_folders, needs_deps
from dbx_cd.dbt.project import LocalProject
from dbx_cd.dbt.run import DbtRun
from dbx_cd.dbt.runner import OUTPUT, DbtOutcome, Runner, dbt_process
from dbx_cd.dbt.selection import command_name
from dbx_cd.dbt.without_hooks import without_hooks

LISTING = ("--output", "json", "--output-keys", "unique_id")

# These commands do not know the option (dbt-core 1.11, cli/main.py).
_WITHOUT_TARGET_PATH = ("debug", "deps")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProjectRuns:
    """What does not change between the invocations of dbt on one project and target."""

    project: LocalProject
    """The project, where dbt may write."""
    target: str
    """The target of the profile."""
    source: Path
    """The folder that it is a copy of, which errors name."""
    run: Runner
    """Runs dbt with the arguments it is given."""
    carries: bool
    """Whether a parse is carried: only dbt itself leaves one that dbt could use again."""
    environment: DbtEnvironment
    """The Python environment that dbt runs in."""
    vars: Mapping[str, Any] = field(default_factory=dict)
    """dbt variables, as the invocations' own arguments have them."""

    @classmethod
    def of(
        cls, project: LocalProject, *, target: str, source: str | Path, runner: Runner | None = None,
        title: str = "dbt", warm_parent: Path | None = None,
        connection: DbtConnection | None = None,
    ) -> Self:  # fmt: skip
        """dbt as a process of its own, or what was given in its place.

        Args:
            project, target, source: see the fields.
            runner: runs dbt in another way.
            title: what its progress is called.
            warm_parent: the address of a process that has imported dbt, see `start_dbt`.
            connection: what dbt alone is told.

        Raises:
            ConfigError: the project's `requirements-dbt.txt` is no lock.
            SetupError: dbt is not installed beside dbx_cd, or its own environment cannot be made.
        """
        environment = DbtEnvironment.of(project.dir, stands_in=runner is not None)
        own = dbt_process(
            cwd=project.dir,
            title=title,
            warm_parent=warm_parent,
            work=project.work,
            environment=environment,
            connection=connection,
        )
        return cls(project, target, Path(source).resolve(), runner or own, runner is None, environment)

    def invoke(self, words: Sequence[str], flags: Sequence[str]) -> DbtRun:
        """Run one command; packages that are named and not installed are installed before.

        Args:
            words: the command.
            flags: its flags, but for those that every command takes.
        """
        started = time.monotonic()
        _log.info("dbt %s (%s) begins in %s", shlex.join(words), self.target, self.project.work)
        self.project.clear_artifacts()
        packages = self._deps() if words[0] != "deps" and needs_deps(self.project.dir) else None
        if packages is not None and not packages.success:
            reasons = self._without_packages(packages)
            outcome = replace(packages, errors=(f"`dbt deps` failed: {reasons[0]}", *reasons[1:]))
        else:
            outcome = self._outcome(words, flags)
        return self._finished(shlex.join(words), outcome, started)

    def install_packages(self) -> DbtRun:
        """Run `dbt deps`."""
        started = time.monotonic()
        self.project.clear_artifacts()
        outcome = self._deps()
        if not outcome.success:
            outcome = replace(outcome, errors=self._without_packages(outcome))
        return self._finished("deps", outcome, started)

    def _finished(self, command: str, outcome: DbtOutcome, started: float) -> DbtRun:
        ran_in = self.environment.record
        return finished(self.project, command, target=self.target, outcome=outcome, started=started, ran_in=ran_in)

    def _outcome(self, words: Sequence[str], flags: Sequence[str]) -> DbtOutcome:
        only_asks = command_name(list(words)) == "source freshness"
        with without_hooks(self.project) if only_asks else nullcontext(self.project) as given:
            carried = self._carried(given, words) if self.carries else None
            listing = LISTING if words[0] in ("ls", "list") else ()
            places = given.flags(self.target, paths=words[0] not in _WITHOUT_TARGET_PATH)
            outcome = self.run([*words, *places, *flags, *listing, *OUTPUT])
            if carried is not None and outcome.success:
                carried.keep(given.target_path)
        return outcome

    def _deps(self) -> DbtOutcome:
        return self.run(["deps", *self.project.flags(self.target, paths=False), *OUTPUT])

    def _without_packages(self, outcome: DbtOutcome) -> tuple[str, ...]:
        """Why `dbt deps` failed; a local package that is not there is named as the project itself has it."""
        missing = missing_folders(self.source)
        # dbt names the place beside the copy, which is soon gone, and does not say which package that is.
        own = [error for error in outcome.errors if not (missing and "No dbt_project.yml" in error)]
        return (*missing, *own) or ("dbt gave no reason",)

    def _carried(self, project: LocalProject, words: Sequence[str]) -> CarriedParse | None:
        """Bring an earlier parse of the same files, where there is one; returns where to keep this one's."""
        forget_untracked_parse(project)
        carried = carried_parse(project, target=self.target, vars=self.vars, words=words, environment=self.environment)
        if carried is not None:
            carried.bring(project.target_path)
        return carried
