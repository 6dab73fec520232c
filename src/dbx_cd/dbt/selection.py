"""From the notebook's parameters to dbt's command line."""

from __future__ import annotations

import difflib
import re
import shlex
from pathlib import Path
from typing import Literal, get_args

from dbx_cd.errors import ConfigError

WithParents = Literal["none", "all", "changed"]

# Commands of dbt-core 1.11 that make sense without a terminal.
COMMANDS = (
    "build", "clean", "clone", "compile", "debug", "deps", "docs generate", "list", "ls", "parse", "retry", "run",
    "run-operation", "seed", "show", "snapshot", "source freshness", "test",
)  # fmt: skip

# `a,b` is an intersection; `2+a` and `@a` say already which ancestors.
_NO_PARENTS_OF = re.compile(r",|^@|^\d+\+")


def check_command(cmd: str) -> list[str]:
    """Split a command into words and make sure that dbt has it.

    Raises:
        ConfigError: no such command; the message suggests the nearest one.
    """
    try:
        words = shlex.split(cmd)
    except ValueError as exc:
        raise ConfigError(f"cannot be split into words: {cmd!r} ({exc})", where="parameter cmd") from exc
    if not command_name(words):
        near = difflib.get_close_matches(cmd, COMMANDS, n=1)
        raise ConfigError(
            f"unknown dbt command {cmd!r}",
            where="parameter cmd",
            next_step=f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(COMMANDS)}",
        )
    return words


def command_name(words: list[str]) -> str:
    """The command itself, without further words such as the macro of a `run-operation`; "" when dbt has none such."""
    return next((name for name in (" ".join(words[:2]), *words[:1]) if name in COMMANDS), "")


def selection_flags(
    *,
    select: str | None,
    exclude: str | None,
    defer: bool,
    state_path: str | Path | None,
    favor_state: bool,
    with_parents: WithParents,
) -> list[str]:
    """The flags that say which nodes, and where unselected parents resolve.

    Flags, not environment variables: dbt 1.11 renamed the latter (`DBT_ENGINE_STATE`).

    Raises:
        ConfigError: parameters that do not go together, or a state folder without a manifest.
    """
    if with_parents not in get_args(WithParents):
        raise ConfigError(f"with_parents must be one of {', '.join(get_args(WithParents))}, not {with_parents!r}")
    flags: list[str] = []
    if state_path:
        manifest = Path(state_path) / "manifest.json"
        if not manifest.is_file():
            raise ConfigError(
                "no manifest.json at state_path",
                where=state_path,
                next_step="give a folder of published artifacts, such as <root>/stg/latest/",
            )
        flags += ["--state", str(Path(state_path).resolve())]
    if (defer or favor_state or with_parents == "changed") and not state_path:
        raise ConfigError("defer, favor_state and with_parents=changed need state_path", where="parameter state_path")
    if defer:
        flags.append("--defer")
    if favor_state:
        flags.append("--favor-state")
    if select:
        flags += ["--select", *_with_parents(select.split(), with_parents)]
        if with_parents != "none":
            flags += ["--indirect-selection", "buildable"]
    if exclude:
        flags += ["--exclude", *exclude.split()]
    return flags


def _with_parents(terms: list[str], with_parents: WithParents) -> list[str]:
    if with_parents == "none":
        return terms
    for term in terms:
        if _NO_PARENTS_OF.search(term):
            raise ConfigError(
                f"with_parents={with_parents} cannot be combined with {term!r}, an intersection or a set of ancestors",
                where="parameter select",
                next_step="give what you mean a tag of its own, or write the + operators yourself",
            )
    ancestors = [term if term.startswith("+") else f"+{term}" for term in terms]
    if with_parents == "all":
        return ancestors
    return [*terms, *(f"{term},state:modified+" for term in ancestors)]
