"""What is to be built, as one record, and from there to dbt's command line."""

from __future__ import annotations

import difflib
import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from dbx_cd import volume
from dbx_cd.errors import ConfigError

WithParents = Literal["none", "all", "changed"]

# Commands of dbt-core 1.11 that make sense without a terminal.
COMMANDS = (
    "build", "clean", "clone", "compile", "debug", "deps", "docs generate", "list", "ls", "parse", "retry", "run",
    "run-operation", "seed", "show", "snapshot", "source freshness", "test",
)  # fmt: skip

# What run_dbt gives dbt itself: once more in `cmd`, one of the two would be ignored, or dbt would go by another state.
_OWN_FLAGS = (
    "--target", "--profile", "--profiles-dir", "--project-dir", "--target-path", "--log-path", "--log-format",
    "--state", "--defer-state",
)  # fmt: skip
_OWN_SHORT = "t"
_SHORT_WITH_VALUE = "smor"  # dbt-core 1.11, `cli/params.py`: what follows in the word is their value

# `a,b` is an intersection; `2+a` and `@a` say already which ancestors.
_ALWAYS_SEALED = ("cmd", "select", "exclude", "with_parents", "full_refresh", "favor_state", "vars")
# A name, a path, or a method of dbt-core 1.11 (`SELECTOR_METHODS` in graph/selector_methods.py) that reads no state.
_WITHOUT_STATE = re.compile(
    r"(?:@|\d*\+)?(?:(?:fqn|tag|group|access|source|path|file|package|config|test_name|test_type|resource_type|exposure"
    r"|metric|version|semantic_model|saved_query|unit_test)(?:\.[\w.-]+)?:)?[^:]+"
)
_NO_PARENTS_OF = re.compile(r",|^@|^\d+\+")


@dataclass(frozen=True)
class Selection:
    """What is to be built. An approval seals the whole of it."""

    cmd: str = "build"
    """The dbt command."""
    select: str | None = None
    """dbt's node selection; None for everything."""
    exclude: str | None = None
    """dbt's exclusion; None for nothing."""
    with_parents: WithParents = "none"
    """Which ancestors of the selection are selected as well."""
    full_refresh: bool = False
    """Whether incremental models and seeds are rebuilt from nothing."""
    favor_state: bool = False
    """With defer: whether an unselected parent is the state's relation even where the target has one."""
    vars: Mapping[str, Any] = field(default_factory=dict)
    """dbt variables."""

    def sealed(self) -> dict[str, Any]:
        """The selection in the form that is sealed.

        A flag that a later version adds is sealed once it is used: until then what was sealed keeps the seal it has.
        """
        used, untouched = asdict(self), asdict(type(self)())
        return {name: value for name, value in used.items() if name in _ALWAYS_SEALED or value != untouched[name]}

    def flags(
        self, *, defer: bool = False, state_path: str | Path | None = None, defer_state: str | Path | None = None
    ) -> list[str]:
        """The flags that say which nodes, how, and where unselected parents resolve.

        Flags, not environment variables: dbt 1.11 renamed the latter (`DBT_ENGINE_STATE`).

        Args:
            defer: resolve unselected parents by the state manifest.
            state_path: folder with the state manifest.
            defer_state: folder with the manifest that parents resolve by, where it is not that of `state_path`.

        Raises:
            ConfigError: parameters that do not go together, a term that dbt would take for a flag, or a state folder
                without a manifest.
        """
        self.refuse_flags()
        if self.with_parents not in get_args(WithParents):
            words = ", ".join(get_args(WithParents))
            raise ConfigError(f"with_parents must be one of {words}, not {self.with_parents!r}")
        needs_state = defer or self.favor_state or self.with_parents == "changed"
        if needs_state and not state_path:
            raise ConfigError(
                "defer, favor_state and with_parents=changed need state_path", where="parameter state_path"
            )
        flags = _state(state_path, "--state") if state_path else []
        flags += _state(defer_state, "--defer-state") if defer_state else []
        flags += ["--defer"] if defer else []
        flags += ["--favor-state"] if self.favor_state else []
        if self.select:
            flags += ["--select", *_with_parents(self.select.split(), self.with_parents)]
            flags += ["--indirect-selection", "buildable"] if self.with_parents != "none" else []
        flags += ["--exclude", *self.exclude.split()] if self.exclude else []
        flags += ["--full-refresh"] if self.full_refresh else []
        flags += ["--vars", json.dumps(dict(self.vars))] if self.vars else []
        return flags

    @property
    def may_read_state(self) -> bool:
        """Whether what it means may depend on a state, which dbt takes most of a second to read for a thousand models.

        False where every term is of a method that says nothing about one; a selector of `selectors.yml` may.
        """
        terms = re.split(r"[\s,]+", " ".join((self.select or "", self.exclude or "")))
        is_without = all(map(_WITHOUT_STATE.fullmatch, filter(None, terms)))
        return not self.select or self.with_parents == "changed" or not is_without

    def refuse_flags(self) -> None:
        """Make sure that `select` and `exclude` hold terms alone: dbt takes whatever begins with `-` for a flag.

        Records of selections are read without this, so that a log stays readable whatever it holds.

        Raises:
            ConfigError: a term begins with `-`.
        """
        for name, terms in (("select", self.select), ("exclude", self.exclude)):
            flag = next((term for term in (terms or "").split() if term.startswith("-")), None)
            if flag is not None:
                raise ConfigError(
                    f"{name} holds {flag!r}, which dbt would take for a flag, not for a node",
                    where=f"parameter {name}",
                    next_step="name nodes alone; flags have parameters of their own, such as full_refresh",
                )

    def differing(self, asked: Selection) -> list[str]:
        """The names of what `asked` sets otherwise; what it leaves at its default asks for nothing."""
        nothing = Selection()
        return [
            f.name
            for f in fields(self)
            if getattr(asked, f.name) not in (getattr(nothing, f.name), getattr(self, f.name))
        ]


def check_command(cmd: str) -> list[str]:
    """Split a command into words and make sure that dbt has it, and that it leaves `run_dbt`'s own flags alone.

    Raises:
        ConfigError: no such command, of which the message suggests the nearest one; or a word says once more what
            `run_dbt` says by its parameters.
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
    own = next((word for word in words if _is_own_flag(word)), None)
    if own is not None:
        raise ConfigError(
            f"{own!r} in the command {cmd!r} is a flag that run_dbt gives dbt itself",
            where="parameter cmd",
            next_step="use the parameters target, project_dir, profiles_dir, work_dir, state_path and defer",
        )
    return words


def _is_own_flag(word: str) -> bool:
    """Whether a word is such a flag, also with its value (`--target=prod`, `-tprod`) or among short ones (`-xt`)."""
    if word.startswith("--") or not word.startswith("-"):
        return word.partition("=")[0] in _OWN_FLAGS
    switches = re.split(f"[{_SHORT_WITH_VALUE}]", word[1:], maxsplit=1)[0]
    return _OWN_SHORT in switches


def command_name(words: list[str]) -> str:
    """The command itself, without further words such as the macro of a `run-operation`; "" when dbt has none such."""
    return next((name for name in (" ".join(words[:2]), *words[:1]) if name in COMMANDS), "")


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


def _state(state_path: str | Path, flag: str) -> list[str]:
    if not volume.is_file(Path(state_path) / "manifest.json"):
        raise ConfigError(
            "no manifest.json at state_path",
            where=state_path,
            next_step="give a folder of published artifacts, such as <root>/stg/latest/",
        )
    return [flag, str(Path(state_path).resolve())]
