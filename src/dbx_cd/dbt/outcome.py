"""How one dbt invocation ended, as a file beside its artifacts.

`run_results.json` does not say it. A hook at the end of a run whose text cannot be rendered, or that raises, ends dbt
with an exit code of its own, and the file then holds the successes of the models alone (read in dbt-core 1.11's
`task/run.py`, `after_run`). Packages that cannot be installed, or a project that cannot be parsed, leave no such file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from dbx_cd import volume
from dbx_cd.dbt.artifacts import NodeResult
from dbx_cd.dbt.environment import EnvironmentRecord
from dbx_cd.dbt.events import DbtEvent
from dbx_cd.dbt.json_files import read_json
from dbx_cd.errors import ArtifactError, DbxCdError
from dbx_cd.records import Record

OUTCOME_NAME = "dbt_outcome.json"
"""The file, beside what dbt itself writes."""

_HOOK_TYPE = "operation"
# "Compilation Error in operation shop-on-run-end-0 (./dbt_project.yml)", as dbt-core's exceptions name a hook's node.
# The name is dbt's own: `hook.yml`'s project, `on-run-start` or `on-run-end`, the place in the list. The database may
# speak of an operation, too.
_HOOK_IN_MESSAGE = re.compile(r"\bin operation (\S+-on-run-(?:start|end)-\d+)\b")


@dataclass(frozen=True)
class FailedHook:
    """One `on-run-start` or `on-run-end` hook that failed."""

    name: str
    """dbt's name of it, such as `shop-on-run-end-0`: the project, when it runs, and its place in the list."""
    message: str
    """What dbt or the database said."""

    def __str__(self) -> str:
        return f"the hook {self.name}: {self.message.strip()}"


@dataclass(frozen=True)
class InvocationOutcome(Record):
    """How one dbt invocation ended."""

    command: str
    """The command, such as `build` or `source freshness`."""
    target: str
    """The target of the profile."""
    ok: bool
    """Whether it succeeded, and did something."""
    exit_code: int | None = None
    """The exit code of the process, negative for the signal that ended it; None where whoever ran dbt does not say."""
    hooks: tuple[FailedHook, ...] = ()
    """The hooks of the run that failed."""
    errors: tuple[str, ...] = ()
    """The messages of what went wrong."""
    environment: EnvironmentRecord | None = None
    """The Python environment that dbt ran in; None where nobody has recorded it (0.2.0)."""

    def __str__(self) -> str:
        code = "" if self.exit_code is None else f" with exit code {self.exit_code}"
        return f"dbt {self.command} {'ok' if self.ok else 'failed'}{code}"

    def write(self, folder: Path) -> None:
        """Write it beside the artifacts."""
        text = json.dumps(self.to_dict(), indent=1, sort_keys=True)
        (folder / OUTCOME_NAME).write_text(text, encoding="utf-8")

    @classmethod
    def find(cls, folder: Path) -> Self | None:
        """What is written in a folder of artifacts; None where nothing is, as beside artifacts that dbt left by itself.

        Raises:
            ArtifactError: the file is damaged, or of a newer format, or cannot be read now.
        """
        path = folder / OUTCOME_NAME
        if not volume.is_file(path):
            return None
        document = read_json(path)
        try:
            return cls.read(document)
        except DbxCdError as exc:
            raise ArtifactError(exc.what, where=path, next_step=exc.next_step) from exc


def naming_hook(errors: Sequence[str], log: Path) -> tuple[str, ...]:
    """The errors of a failed invocation, the last one with the hook that was at work, where dbt says so nowhere else.

    Where a query of a hook's macro fails, dbt names neither the hook nor its file: "Database Error", and the results
    hold successes alone. Its debug log has the node of every query (dbt-databricks 1.12, `connections.py`; recorded).

    Args:
        errors: the messages of its error events.
        log: dbt's own log, `dbt.log`.
    """
    if not errors or any(_HOOK_IN_MESSAGE.search(message) for message in errors):
        return tuple(errors)
    hook = _hook_at_work(log)
    head, _, rest = errors[-1].partition("\n")
    return tuple(errors) if hook is None else (*errors[:-1], f"{head} in operation {hook}\n{rest}".rstrip())


def _hook_at_work(log: Path) -> str | None:
    """The hook that had begun and not ended when the last invocation of this log gave up: dbt appends to it."""
    at_work: str | None = None
    found: str | None = None
    try:
        with log.open(encoding="utf-8", errors="replace") as lines:
            for event in map(DbtEvent.parse, lines):
                if event.name == "MainReportVersion":
                    at_work = found = None
                elif event.name == "MainEncounteredError":
                    found = at_work
                elif event.unique_id.startswith(f"{_HOOK_TYPE}."):
                    at_work = None if event.name == "LogHookEndLine" else event.unique_id.rpartition(".")[2]
                elif event.starts_node:
                    at_work = None  # other events of nodes may be its summary, which dbt prints before it gives up
    except OSError:
        pass
    return found


def failed_hooks(nodes: Iterable[NodeResult], errors: Iterable[str]) -> tuple[FailedHook, ...]:
    """The hooks that failed: by their results, where the database refused them, else by what dbt said of them.

    Args:
        nodes: the results of the invocation.
        errors: the messages of its error events.
    """
    found = {n.name: FailedHook(n.name, n.message or "") for n in nodes if n.resource_type == _HOOK_TYPE and n.failed}
    for message in errors:
        named = _HOOK_IN_MESSAGE.search(message)
        if named:
            found.setdefault(named[1], FailedHook(named[1], message))
    return tuple(found.values())
