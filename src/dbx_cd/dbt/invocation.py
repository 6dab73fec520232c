"""`run_dbt`: one dbt invocation, from parameters to a record of what every node did.

dbt runs as a process of its own, started anew or forked from a warm parent. In one process dbt's runner is not safe
for two invocations at a time and has lost log lines of later ones (dbt-core issue 8608), and dbt 2's runner has no
callbacks and returns other objects. What a process leaves is the same in all versions: an exit code, the JSON artifacts
and the structured event stream.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dbx_cd.dbt.connection import DbtConnection, connected
from dbx_cd.dbt.project import LocalProject
from dbx_cd.dbt.project_runs import ProjectRuns
from dbx_cd.dbt.run import DbtRun
from dbx_cd.dbt.runner import Runner
from dbx_cd.dbt.selection import Selection, WithParents, check_command
from dbx_cd.local_disk import temporary_folder


def run_dbt(
    cmd: str = "build",
    *,
    target: str,
    select: str | None = None,
    exclude: str | None = None,
    defer: bool = False,
    state_path: str | Path | None = None,
    defer_state: str | Path | None = None,
    favor_state: bool = False,
    with_parents: WithParents = "none",
    full_refresh: bool = False,
    vars: Mapping[str, Any] | None = None,
    project_dir: str | Path = ".",
    profiles_dir: str | Path | None = None,
    work_dir: str | Path | None = None,
    runner: Runner | None = None,
    warm_parent: Path | None = None,
    connection: DbtConnection | None = None,
    check: bool = True,
) -> DbtRun:
    """Run one dbt command. Knows no release and publishes nothing.

    The project is copied to local disk first: a git checkout on Databricks can be read-only (Databricks
    documentation), and `dbt deps` and the target folder need to write. Packages are installed when the project has
    some that are not installed yet. dbt runs in the environment that `requirements-dbt.txt` of the project describes;
    without that file in the one that dbx_cd is installed in.

    Args:
        cmd: any dbt command, such as "build", "source freshness", "docs generate" or "ls". "source freshness" runs
            none of the hooks `on-run-start` and `on-run-end`, which dbt by itself would: it is to ask and not to write.
        target: the target of the profile.
        select: dbt's node selection; None or "" for everything.
        exclude: dbt's exclusion; None or "" for nothing.
        defer: resolve unselected parents by the state manifest, as `--defer` does.
        state_path: folder with the state manifest.
        defer_state: folder with the manifest that `defer` goes by, where it is not that of `state_path`.
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
        connection: how dbt connects, and what it alone is told, such as secrets; as the profile says when not given.
        check: raise when dbt fails.

    Returns:
        The record. `files_dir` holds the artifacts.

    Raises:
        ConfigError: unknown command, no project, or parameters that do not go together.
        DbtFailed: with `check`, when dbt failed or the selection matched nothing; `.result` is the record.
        SetupError: dbt is not installed beside dbx_cd, or the environment that the project locks for it cannot be made.
    """
    words = check_command(cmd)
    selection = Selection(cmd, select, exclude, with_parents, full_refresh, favor_state, vars or {})
    flags = selection.flags(defer=defer, state_path=state_path, defer_state=defer_state)
    work = Path(work_dir) if work_dir is not None else temporary_folder()
    project = LocalProject.prepare(project_dir, work=work, profiles_dir=profiles_dir)
    project = connected(project, connection, target=target)
    runs = ProjectRuns.of(
        project,
        target=target,
        source=project_dir,
        runner=runner,
        title=f"dbt {cmd} ({target})",
        warm_parent=warm_parent,
        connection=connection,
    )
    result = replace(runs, vars=selection.vars).invoke(words, flags)
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
    connection: DbtConnection | None = None,
) -> None:
    """Run `dbt deps` in the very folder of a project, which it writes to.

    Args:
        project: the project.
        target: the target of the profile.
        source: the folder that it is a copy of, which errors name.
        runner, warm_parent, connection: as for `run_dbt`; of a connection only what dbt is told counts here.

    Raises:
        DbtFailed: the packages could not be installed; `.result` has the folder of dbt's log.
        SetupError: dbt is not installed beside dbx_cd.
    """
    title = f"dbt deps ({target})"
    if connection is not None:
        project = replace(project, hidden=connection.hidden)
    runs = ProjectRuns.of(
        project, target=target, source=source, runner=runner, title=title, warm_parent=warm_parent,
        connection=connection,
    )  # fmt: skip
    runs.install_packages().raise_if_failed()
