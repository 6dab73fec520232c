"""`list_nodes`: what several selections mean, and what changed since a state, by one dbt process and one parse."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dbx_cd.dbt.connection import DbtConnection, connected
from dbx_cd.dbt.one_parse import LIST, MAY_FAIL, ONE_PARSE
from dbx_cd.dbt.project import LocalProject
from dbx_cd.dbt.project_runs import LISTING, ProjectRuns
from dbx_cd.dbt.run import DbtRun
from dbx_cd.dbt.runner import DbtOutcome, Runner
from dbx_cd.dbt.selection import Selection
from dbx_cd.errors import ConfigError
from dbx_cd.local_disk import temporary_folder


@dataclass(frozen=True)
class ListQuery:
    """One `dbt ls`."""

    selection: Selection
    """Which nodes; what does not say that, such as the command or a full refresh, is left out."""
    state_path: Path | None = None
    """The folder of the state that `state:` selectors go by."""
    only_matched: bool = False
    """Whether the tests of what is selected are left out, unless the selection means them themselves."""
    may_fail: bool = False
    """Whether the other lists are made where dbt refuses this one, as it does `state:modified` where the contract of a
    versioned model breaks."""

    def flags(self, vars: Mapping[str, Any]) -> list[str]:
        """The flags that are the list's own, in a project that is parsed with these variables.

        Raises:
            ConfigError: it has other variables, or see `Selection.flags`.
        """
        asked = self.selection
        if asked.vars and dict(asked.vars) != dict(vars):
            raise ConfigError(
                "a list cannot have variables of its own: the project is parsed once",
                where="parameter vars",
                next_step="give all lists the same, as `vars` of list_nodes",
            )
        only_nodes = replace(asked, cmd="ls", full_refresh=False, favor_state=False, vars={})
        matched = ["--indirect-selection", "empty"] if self.only_matched else []
        return [*only_nodes.flags(state_path=self.state_path), *matched]


@dataclass(frozen=True)
class Listed:
    """What was listed."""

    run: DbtRun
    """The invocation; `files_dir` holds the manifest."""
    nodes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The unique ids, by the names of the queries. A query that matches nothing has none; one that could not be made is
    not there."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why dbt refused a query that may fail, in its words, by the names of the queries."""


def list_nodes(
    queries: Mapping[str, ListQuery],
    *,
    target: str,
    project_dir: str | Path,
    profiles_dir: str | Path | None = None,
    work_dir: str | Path | None = None,
    vars: Mapping[str, Any] | None = None,
    runner: Runner | None = None,
    warm_parent: Path | None = None,
    connection: DbtConnection | None = None,
    check: bool = False,
) -> Listed:
    """List the nodes of several selections, without running a statement.

    The project is copied, packages are installed, and its parse is carried to a later invocation as by `run_dbt`.

    Args:
        queries: what is listed, by names for the answer.
        target: the target of the profile.
        project_dir, profiles_dir, work_dir, warm_parent, connection: as for `run_dbt`.
        vars: dbt variables, the same for all queries.
        runner: runs dbt with the arguments it is given, here once for each query.
        check: raise when dbt fails.

    Raises:
        ConfigError: no query, no project, a state without a manifest, or a selection that dbt would not take for one.
        DbtFailed: with `check`, when dbt failed; `.result` is the record of the invocation.
        SetupError: dbt is not installed beside dbx_cd.

    Example:
        >>> changed = ListQuery(Selection(select="state:modified"), state, only_matched=True)
        >>> listed = list_nodes({"all": ListQuery(Selection()), "changed": changed}, target="prod", project_dir=".")
        >>> listed.nodes["changed"]
        ('model.shop.orders',)
    """
    if not queries:
        raise ConfigError("nothing to list", where="parameter queries", next_step="give a query for each list")
    flags = {name: query.flags(vars or {}) for name, query in queries.items()}
    may_fail = {name for name, query in queries.items() if query.may_fail}
    work = Path(work_dir) if work_dir is not None else temporary_folder()
    project = LocalProject.prepare(project_dir, work=work, profiles_dir=profiles_dir)
    project = connected(project, connection, target=target)
    runs = ProjectRuns.of(
        project, target=target, source=project_dir, runner=runner, title=f"dbt ls ({target})",
        warm_parent=warm_parent, connection=connection,
    )  # fmt: skip
    lists = _Lists(runs.run, flags, may_fail, together=runner is None)
    run = replace(runs, run=lists, vars=vars or {}).invoke(["ls"], Selection("ls", vars=vars or {}).flags())
    if work_dir is None:
        project.leave_only_artifacts()
    if check:
        run.raise_if_failed()
    return Listed(run, lists.outcome.lists, lists.outcome.refused)


class _Lists:
    """A `Runner` that makes several lists of one `ls`.

    Args:
        run: runs dbt.
        flags: those of each list.
        may_fail: the lists that the others do not depend on.
        together: whether dbt itself runs, in one process, or something else, once for each list.
    """

    def __init__(
        self, run: Runner, flags: Mapping[str, Sequence[str]], may_fail: Collection[str], *, together: bool
    ) -> None:
        self._run = run
        self._flags = flags
        self._may_fail = may_fail
        self._together = together
        self.outcome = DbtOutcome(False)

    def __call__(self, args: list[str]) -> DbtOutcome:
        if args[0] != "ls":
            return self._run(args)
        self.outcome = self._run(self._in_one(args)) if self._together else self._one_by_one(args)
        return self.outcome

    def _in_one(self, args: list[str]) -> list[str]:
        """The arguments of one process: those of the parse, then those of each list."""
        at = args.index(LISTING[0])
        words = [ONE_PARSE, "parse", *args[1:at], *args[at + len(LISTING) :]]
        for name, flags in self._flags.items():
            words += [f"{MAY_FAIL if name in self._may_fail else LIST}{name}", *args, *flags]
        return words

    def _one_by_one(self, args: list[str]) -> DbtOutcome:
        lists: dict[str, tuple[str, ...]] = {}
        refused: dict[str, str] = {}
        for name, flags in self._flags.items():
            made = self._run([*args, *flags])
            if made.success:
                lists[name] = made.listed
            elif name in self._may_fail:
                refused[name] = "\n".join(made.errors)
            else:
                return replace(made, lists=lists, refused=refused)
        return DbtOutcome(True, exit_code=0, lists=lists, refused=refused)
