"""The packaged bundle, made a project's own: what its targets are called, and a gate for each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from dbx_cd.config import CdConfig
from dbx_cd.errors import ConfigError

BUNDLE_FILE = "databricks.yml"
JOB_FILE = "resources/dbx_cd.job.yml"
# What the Jobs API takes in a task's key, and YAML for text without quotes.
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_NO_TEXT = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
_TASK = re.compile(r"^ {8}- task_key: (\w+)$", re.MULTILINE)


@dataclass(frozen=True)
class TargetNames:
    """What the targets of a Workflow are called, in the order of a release."""

    staging: str = "stg"
    """The one that is built and tested first."""
    production: str = "prod"
    """The gated one that is built last."""
    between: tuple[str, ...] = ()
    """Gated ones in between."""

    def __post_init__(self) -> None:
        for name in self.all:
            if not _NAME.fullmatch(name) or name.lower() in _NO_TEXT:
                raise ConfigError(
                    f"{name!r} is no name for a target",
                    next_step="use letters, digits, _ and -, a letter first",
                )
        twice = next((name for name in self.all if self.all.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"two targets are called {twice}", next_step="give each one the name of its own output")

    @classmethod
    def of(cls, config: CdConfig) -> TargetNames:
        """The names that a project's settings have; the default ones where none of its targets is gated."""
        if not config.gates:
            return cls()
        *between, production = config.gates
        return cls(config.staging_of(config.gates[0]), production, tuple(between))

    @property
    def all(self) -> tuple[str, ...]:
        """All of them."""
        return (self.staging, *self.between, self.production)

    @property
    def setting(self) -> str:
        """They as `targets` of `dbx_cd.yml`."""
        gated = "".join(
            f"  {name}: {{gate: approval, defer_to: {self.staging}}}\n" for name in (*self.between, self.production)
        )
        return f"targets:\n  {self.staging}: {{}}\n{gated}"


def packaged_folder() -> Path:
    """Where the bundle's files are in this package."""
    return Path(str(resources.files("dbx_cd") / "bundle"))


def bundle_text(names: TargetNames, *, project_dir: str = ".") -> str:
    """The packaged `databricks.yml` for targets of these names.

    Args:
        names: what they are called.
        project_dir: the folder with `dbt_project.yml`, relative to the root of the repository.
    """
    text = (packaged_folder() / BUNDLE_FILE).read_text(encoding="utf-8")
    quoted = '"."' if project_dir == "." else project_dir
    for name, value in {"staging": names.staging, "production": names.production, "project_dir": quoted}.items():
        text = re.sub(rf"(?<=\n)(  {name}:\n    description: .*\n    default: ).*", rf"\g<1>{value}", text)
    return text


def job_text(names: TargetNames) -> str:
    """The packaged definition of the job, with four tasks more for each gated target before production."""
    text = (packaged_folder() / JOB_FILE).read_text(encoding="utf-8")
    tasks = dict(_tasks(text))
    before = "stg_smoke"
    added = ""
    for name in names.between:
        gate, build, smoke, rollback = (f"{name}_{role}" for role in ("gate", "build", "smoke", "rollback"))
        like = {
            "approval_gate": (gate, [before]),
            "prod_build": (build, [gate]),
            "stg_smoke": (smoke, [build]),
            "auto_rollback": (rollback, [build, smoke]),
        }
        for model, (key, after) in like.items():
            task = tasks[model].replace(f"- task_key: {model}\n", f"- task_key: {key}\n")
            needs = ", ".join(f"{{task_key: {one}}}" for one in after)
            task = re.sub(r"depends_on: .*", f"depends_on: [{needs}]", task)
            added += re.sub(r"target: \$\{var\.\w+\}", f"target: {name}", task)
        before = smoke
    gate_task = tasks["approval_gate"]
    return text.replace(gate_task, added + gate_task.replace("{task_key: stg_smoke}", f"{{task_key: {before}}}"))


def _tasks(text: str) -> Iterator[tuple[str, str]]:
    """Each task's key with its own lines, without comments above it."""
    found = list(_TASK.finditer(text))
    for number, match in enumerate(found):
        end = found[number + 1].start() if number + 1 < len(found) else len(text)
        lines = text[match.start() : end].rstrip().splitlines()
        while lines[-1].lstrip().startswith("#"):
            lines = "\n".join(lines[:-1]).rstrip().splitlines()
        yield match[1], "\n".join(lines) + "\n\n"
