"""What one dbt invocation left, collected, and its record made of it."""

from __future__ import annotations

import logging
import shlex
import time
from dataclasses import replace
from pathlib import Path

from dbx_cd.dbt.artifacts import NodeResult, RunResults
from dbx_cd.dbt.batches import why
from dbx_cd.dbt.environment import EnvironmentRecord
from dbx_cd.dbt.freshness import freshness_of
from dbx_cd.dbt.outcome import InvocationOutcome, naming_hook
from dbx_cd.dbt.project import ARTIFACT_NAMES, LOG_NAME, LocalProject
from dbx_cd.dbt.run import DbtRun
from dbx_cd.dbt.runner import DbtOutcome
from dbx_cd.dbt.selection import command_name
from dbx_cd.errors import ArtifactError

NOTHING_SELECTED = "the selection matched no node: check `select` and `exclude` against `dbt ls`"
_CUT = "dbt ended before this was done"
_MUST_SELECT = ("build", "run", "test", "seed", "snapshot")

_log = logging.getLogger(__name__)


def finished(
    project: LocalProject,
    command: str,
    *,
    target: str,
    outcome: DbtOutcome,
    started: float,
    ran_in: EnvironmentRecord | None = None,
) -> DbtRun:
    """Collect what dbt left, and write beside it how it ended.

    Args:
        project: the project that it ran on.
        command: the whole command.
        target: the target of the profile.
        outcome: how it ended.
        started: when it began (monotonic seconds).
        ran_in: the environment that it ran in, where that is known.
    """
    project.collect_artifacts()
    run = _record(command, target, outcome, time.monotonic() - started, project.files)
    ended = InvocationOutcome(command, target, run.ok, outcome.exit_code, run.hooks, run.errors, ran_in)
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
