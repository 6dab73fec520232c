"""Starts one dbt process: a fork of a warm parent where there is one, else a new interpreter."""

from __future__ import annotations

import logging
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from dbx_cd.config import profiles_dir_of_environment, variables_set
from dbx_cd.dbt import one_parse
from dbx_cd.dbt.environment import DbtEnvironment
from dbx_cd.dbt.warm_parent import given_parent
from dbx_cd.errors import ConfigError
from dbx_cd.shell_environment import as_in_the_shell
from dbx_cd.warm.client import NotWarm, Process, WarmProcess

_log = logging.getLogger(__name__)

# Ctrl-C reaches every process of a terminal, and then `run_dbt` interrupts dbt as well. A second interrupt would end
# dbt 1.11 while it cancels its queries, so it is ignored here, and in a fork by `dbx_cd.dbt.warm`.
_COLD = """
import signal

def interrupted(*_):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt

signal.signal(signal.SIGINT, interrupted)

from dbt.cli.main import cli

cli()
"""

# The options of dbt-core 1.11 (`cli/params.py`) that dbt also reads from the environment and that change what is built,
# of which nodes, from what, or what counts as built. The others are about its output, or run_dbt gives them itself.
CHANGE_A_BUILD = (
    "FULL_REFRESH", "EMPTY", "SAMPLE", "EVENT_TIME_START", "EVENT_TIME_END", "RESOURCE_TYPES",
    "EXCLUDE_RESOURCE_TYPES", "INDIRECT_SELECTION", "STATE", "ARTIFACT_STATE_PATH", "DEFER", "DEFER_STATE",
    "DEFER_TO_STATE", "FAVOR_STATE", "FAVOR_STATE_MODE", "PROFILE", "STORE_FAILURES", "EXPORT_SAVED_QUERIES",
    "INCLUDE_SAVED_QUERY", "WARN_ERROR", "WARN_ERROR_OPTIONS", "FAIL_FAST", "PARTIAL_PARSE_FILE_PATH",
    "UPLOAD_TO_ARTIFACTS_INGEST_API",
)  # fmt: skip


def refuse_flags_of_environment(*, profiles_dir: str | Path | None = None) -> None:
    """Make sure that no environment variable changes what dbt builds: a release is what was sealed, and nothing else.

    Args:
        profiles_dir: the folder of `profiles.yml` that dbt is given, whatever a variable says.

    Raises:
        ConfigError: one does.
    """
    found = variables_set(f"DBT_{part}{name}" for part in ("ENGINE_", "") for name in CHANGE_A_BUILD)
    if found:
        raise ConfigError(
            f"{', '.join(found)} would change what dbt builds, unseen by whoever approves it",
            where="environment of the task",
            next_step="unset it on the cluster; say it by the task's parameters, or under `flags` in dbt_project.yml, "
            "which is approved with the project",
        )
    profiles = profiles_dir_of_environment()
    if not profiles_dir and profiles is not None and not Path(profiles[1]).is_absolute():
        raise ConfigError(
            f"{profiles[0]} is {profiles[1]!r}, in the checkout, and a repaired run may check out another commit",
            where="environment of the task",
            next_step="give it an absolute path, or unset it and keep profiles.yml beside dbt_project.yml",
        )


def start_dbt(
    args: Sequence[str],
    *,
    cwd: Path,
    warm_parent: Path | None = None,
    environment: DbtEnvironment | None = None,
    known: Mapping[str, str] | None = None,
) -> Process:
    """Start dbt with these arguments, its output and errors merged into one pipe.

    Either way it is a process of its own, with this process's variables; see `as_in_the_shell`, and what does not go
    into another environment: `DbtEnvironment.variables`.

    Args:
        args: the command and its flags, or those of several lists, see `one_parse`.
        cwd: the current directory.
        warm_parent: the address of a warm parent; that of the embedded workspace when not given.
        environment: the environment that dbt runs in; that of this interpreter when not given.
        known: variables that only dbt has.
    """
    place = environment or DbtEnvironment.own()
    address = warm_parent or given_parent(place)
    variables = {**place.variables(as_in_the_shell(os.environ)), **(known or {})}
    if address is not None:
        try:
            return WarmProcess.start(address, args, cwd=cwd, environment=variables, prefix=place.folder)
        except NotWarm as exc:
            _log.info("dbt starts cold: %s", exc)
    program = [one_parse.__file__] if args[0] == one_parse.ONE_PARSE else ["-c", _COLD]
    return subprocess.Popen(
        [place.python, *place.options, *program, *args],
        cwd=cwd,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
