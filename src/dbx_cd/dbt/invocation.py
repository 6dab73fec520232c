"""`run_dbt`: one dbt invocation, from parameters to a record of what every node did.

dbt runs as a process of its own, started anew or forked from a warm parent. In one process dbt's runner is not safe
for two invocations at a time and has lost log lines of later ones (dbt-core issue 8608), and dbt 2's runner has no
callbacks and returns other objects. What a process leaves is the same in all versions: an exit code, the JSON artifacts
and the structured event stream.
"""

from __future__ import annotations

import logging
import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from dbx_cd.dbt.artifacts import NodeResult, RunResults
from dbx_cd.dbt.batches import why
from dbx_cd.dbt.carried_parse import CarriedParse, carried_parse, forget_untracked_parse
from dbx_cd.dbt.freshness import freshness_of
from dbx_cd.dbt.outcome import InvocationOutcome, naming_hook
from dbx_cd.dbt.packages import missing_folders, needs_deps
from dbx_cd.dbt.project import ARTIFACT_NAMES, LOG_NAME, LocalProject
from dbx_cd.dbt.run import DbtRun
from dbx_cd.dbt.runner import OUTPUT, DbtOutcome, Runner, dbt_process
from dbx_cd.dbt.selection import Selection, WithParents, check_command, command_name
from dbx_cd.dbt.without_hooks import without_hooks
from dbx_cd.errors import ArtifactError
from dbx_cd.extras import require_extra
from dbx_cd.local_disk import temporary_folder

_log = logging.getLogger(__name__)

_LISTING = ("--output", "json", "--output-keys", "unique_id")
NOTHING_SELECTED = "the selection matched no node: check `select` and `exclude` against `dbt ls`"
_CUT = "dbt ended before this was done"
_MUST_SELECT = ("build", "run", "test", "seed", "snapshot")


def run_dbt(
    cmd: str = "build",
    *,
    target: str,
    select: str | None = None,
    exclude: str | None = None,
    defer: bool = False,
    state_path: str | Path | None = None,
    favor_state: bool = False,
    with_parents: WithParents = "none",
    full_refresh: bool = False,
    vars: Mapping[str, Any] | None = None,
    project_dir: str | Path = ".",
    profiles_dir: str | Path | None = None,
    work_dir: str | Path | None = None,
    runner: Runner | None = None,
    warm_parent: Path | None = None,
    check: bool = True,
) -> DbtRun:
    """Run one dbt command. Knows no release and publishes nothing.

    The project is copied to local disk first: a git checkout on Databricks can be read-only (Databricks
    documentation), and `dbt deps` and the target folder need to write. Packages are installed when the project has
    some that are not installed yet.

    Args:
        cmd: any dbt command, such as "build", "source freshness", "docs generate" or "ls". "source freshness" runs
            none of the hooks `on-run-start` and `on-run-end`, which dbt by itself would: it is to ask and not to write.
        target: the target of the profile.
        select: dbt's node selection; None or "" for everything.
        exclude: dbt's exclusion; None or "" for nothing.
        defer: resolve unselected parents by the state manifest, as `--defer` does.
        state_path: folder with the state manifest.
        favor_state: with `defer`, prefer the state's relation even where the target has one.
        with_parents: "all" also selects every ancestor of the selection; "changed" those that are modified since
            `state_path`. Either adds `--indirect-selection buildable`, because with dbt's default a relationships test
            may reach a model that was not built.
        full_refresh: rebuild incremental models and seeds from nothing.
        vars: dbt variables.
        project_dir: folder with `dbt_project.yml`.
        profiles_dir: folder with `profiles.yml`; None for the one that dbt takes when started in the project's folder:
            that of DBT_PROFILES_DIR, else the project's own, else `~/.dbt`.
        work_dir: local folder for the copy, logs and artifacts; a new temporary one by default. A later invocation
            given the same folder reuses the parsed project.
        runner: runs dbt with the arguments it is given; for tests and for other ways of starting dbt.
        warm_parent: the address of a process that has imported dbt and forks for each invocation, see `warm_dbt`; by
            default the embedded workspace's, where this is one of its tasks.
        check: raise when dbt fails.

    Returns:
        The record. `files_dir` holds the artifacts.

    Raises:
        ConfigError: unknown command, no project, or parameters that do not go together.
        DbtFailed: with `check`, when dbt failed or the selection matched nothing; `.result` is the record.
        SetupError: dbt is not installed beside dbx_cd.
    """
    words = check_command(cmd)
    selection = Selection(cmd, select, exclude, with_parents, full_refresh, favor_state, vars or {})
    flags = selection.flags(defer=defer, state_path=state_path)
    work = Path(work_dir) if work_dir is not None else temporary_folder()
    project = LocalProject.prepare(project_dir, work=work, profiles_dir=profiles_dir)
    title = f"dbt {cmd} ({target})"
    run = runner or _own_runner(project, title=title, warm_parent=warm_parent)
    started = time.monotonic()
    _log.info("%s begins in %s", title, project.work)
    project.clear_artifacts()
    packages = _deps(project, target=target, run=run) if words[0] != "deps" and needs_deps(project.dir) else None
    if packages is not None and not packages.success:
        reasons = _without_packages(packages, source=Path(project_dir).resolve())
        outcome = replace(packages, errors=(f"`dbt deps` failed: {reasons[0]}", *reasons[1:]))
    else:
        only_asks = command_name(words) == "source freshness"
        with without_hooks(project) if only_asks else nullcontext(project) as given:
            # Only dbt itself leaves a parse that dbt could use again.
            carried = None if runner is not None else _carried(given, target=target, vars=vars, words=words)
            outcome = run(
                [*words, *given.flags(target), *flags, *(_LISTING if words[0] in ("ls", "list") else ()), *OUTPUT]
            )
            if carried is not None and outcome.success:
                carried.keep(given.target_path)
    result = _finished(project, shlex.join(words), target=target, outcome=outcome, started=started)
    if work_dir is None:
        project.leave_only_artifacts()
    if check:
        result.raise_if_failed()
    return result


def install_packages(
    project: LocalProject,
    *,
    target: str,
    source: Path,
    runner: Runner | None = None,
    warm_parent: Path | None = None,
) -> None:
    """Run `dbt deps` in the very folder of a project, which it writes to.

    Args:
        project: the project.
        target: the target of the profile.
        source: the folder that it is a copy of, which errors name.
        runner, warm_parent: as for `run_dbt`.

    Raises:
        DbtFailed: the packages could not be installed; `.result` has the folder of dbt's log.
        SetupError: dbt is not installed beside dbx_cd.
    """
    run = runner or _own_runner(project, title=f"dbt deps ({target})", warm_parent=warm_parent)
    started = time.monotonic()
    project.clear_artifacts()
    outcome = _deps(project, target=target, run=run)
    if not outcome.success:
        outcome = replace(outcome, errors=_without_packages(outcome, source=source.resolve()))
    _finished(project, "deps", target=target, outcome=outcome, started=started).raise_if_failed()


def _own_runner(project: LocalProject, *, title: str, warm_parent: Path | None) -> Runner:
    # Without dbt the process would end with a traceback in place of dbt's events.
    require_extra("dbt", distribution="dbt-core", purpose="run_dbt")
    return dbt_process(cwd=project.dir, title=title, warm_parent=warm_parent, work=project.work)


def _without_packages(outcome: DbtOutcome, *, source: Path) -> tuple[str, ...]:
    """Why `dbt deps` failed; a local package that is not there is named as the project itself has it."""
    missing = missing_folders(source)
    # dbt names the place beside the copy, which is soon gone, and does not say which package that is.
    own = [error for error in outcome.errors if not (missing and "No dbt_project.yml" in error)]
    return (*missing, *own) or ("dbt gave no reason",)


def _deps(project: LocalProject, *, target: str, run: Runner) -> DbtOutcome:
    return run(["deps", *project.flags(target, paths=False), *OUTPUT])


def _carried(
    project: LocalProject, *, target: str, vars: Mapping[str, Any] | None, words: Sequence[str]
) -> CarriedParse | None:
    """Bring an earlier invocation's parse of the same files, where there is one; returns where to keep this one's."""
    forget_untracked_parse(project)
    carried = carried_parse(project, target=target, vars=vars, words=words)
    if carried is not None:
        carried.bring(project.target_path)
    return carried


def _finished(project: LocalProject, command: str, *, target: str, outcome: DbtOutcome, started: float) -> DbtRun:
    """Collect what dbt left, and write beside it how it ended."""
    project.collect_artifacts()
    run = _record(command, target, outcome, time.monotonic() - started, project.files)
    ended = InvocationOutcome(command, target, run.ok, outcome.exit_code, run.hooks, run.errors)
    ended.write(project.files)
    _log.log(logging.INFO if run.ok else logging.WARNING, "%s", run)
    # The folder is often a temporary one: who reads the log later would look for it in vain.
    _log.debug("its files are in %s", run.files_dir)
    return run


def _record(command: str, target: str, outcome: DbtOutcome, seconds: float, files: Path) -> DbtRun:
    ok, errors = outcome.success, outcome.errors
    present = {name for name in ARTIFACT_NAMES if (files / name).is_file()}
    results = None
    if "run_results.json" in present:
        try:
            results = RunResults.load(files / "run_results.json")
        except ArtifactError as exc:
            # A dbt that was killed may leave half a file; the failure is reported as dbt's, with what is known of it.
            ok, errors = False, (*errors, f"run_results.json: {exc.what}")
    if not ok and (results is None or results.ok):
        errors = naming_hook(errors, files / LOG_NAME)
    name = command_name(shlex.split(command))
    nodes = results.results if results is not None and results.command == name.split()[-1] else ()
    nodes = tuple(_completed(node, outcome) for node in nodes)
    if nodes:
        # An interrupted dbt writes its results before the queries that run are cancelled, and without their nodes.
        done = {node.unique_id for node in nodes}
        cut = {unique_id: name for unique_id, name in outcome.nodes.begun.items() if unique_id not in done}
        nodes += tuple(NodeResult(u, "error", 0.0, _CUT, relation_name=name) for u, name in cut.items())
    if name in _MUST_SELECT and ok and not nodes:
        ok = False
        errors = (NOTHING_SELECTED, *errors)
    return DbtRun(
        command=command,
        target=target,
        ok=ok,
        seconds=round(seconds, 3),
        files_dir=files,
        nodes=nodes,
        freshness=freshness_of(files, outcome) if name == "source freshness" else None,
        listed=outcome.listed,
        errors=() if ok else errors,
    )


def _completed(node: NodeResult, outcome: DbtOutcome) -> NodeResult:
    """With what only dbt's events say: the relation of a seed (dbt 1.11), and why a batch failed."""
    relation = node.relation_name or outcome.nodes.begun.get(node.unique_id)
    causes = outcome.nodes.batches.by_model.get(node.unique_id, {})
    message = f"{node.message}\n{why(node.unbuilt, causes)}" if node.unbuilt else node.message
    return replace(node, relation_name=relation, message=message)
