"""The record of one dbt invocation: what every node did, what failed beside them, and how it reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from dbx_cd import html
from dbx_cd.dbt.artifacts import BUILT_TYPES, NodeResult
from dbx_cd.dbt.freshness import SourceFreshness
from dbx_cd.dbt.outcome import FailedHook, failed_hooks
from dbx_cd.dbt.skipped import counted, skipped_in_words, skipped_nodes
from dbx_cd.errors import DbtFailed
from dbx_cd.records import Record
from dbx_cd.relations import RelationName
from dbx_cd.sql_messages import first_line, step_to_rights

# The failed nodes whose messages an error has; dbt.log has all of them.
_SHOWN = 5


@dataclass(frozen=True)
class DbtRun(Record):
    """One dbt invocation."""

    KIND: ClassVar[str] = "dbt_run"

    command: str
    """The command, such as `build`."""
    target: str
    """The target of the profile."""
    ok: bool
    """Whether dbt succeeded, and did something."""
    seconds: float
    """Wall time of the whole invocation."""
    files_dir: Path
    """The folder with its artifacts and its log."""
    nodes: tuple[NodeResult, ...] = ()
    """What every node did."""
    freshness: tuple[SourceFreshness, ...] | None = None
    """How fresh the sources are; only after `source freshness`."""
    listed: tuple[str, ...] = ()
    """The unique ids that `ls` listed."""
    errors: tuple[str, ...] = field(default=())
    """The messages of what went wrong."""

    @property
    def failed(self) -> tuple[NodeResult, ...]:
        """The nodes that failed."""
        return tuple(n for n in self.nodes if n.failed)

    @property
    def hooks(self) -> tuple[FailedHook, ...]:
        """The hooks of the run that failed; `run_results.json` does not name all of them."""
        return failed_hooks(self.nodes, self.errors)

    @property
    def step_to_rights(self) -> str | None:
        """What to do where dbt was refused something; None where it does not say so."""
        return step_to_rights("\n".join((*(n.message or "" for n in self.failed), *self.errors)))

    @property
    def beyond_nodes(self) -> tuple[str, ...]:
        """What went wrong beside the results of nodes: all that was said, where no node failed and yet dbt did."""
        if self.ok or not self.nodes:
            return ()
        if not self.failed:
            return tuple(dict.fromkeys((*(hook.message for hook in self.hooks), *self.errors)))
        named = {n.name for n in self.failed}
        return tuple(hook.message for hook in self.hooks if hook.name not in named)

    @property
    def relations(self) -> tuple[RelationName, ...]:
        """The relations that models, seeds and snapshots of this invocation built."""
        built = (n.relation_name for n in self._building if n.status == "success")
        return tuple(RelationName.parse(name) for name in built if name)

    @property
    def touched(self) -> tuple[RelationName, ...] | None:
        """The relations that it may have changed, built or failed at; None where dbt does not name them.

        A dbt that was killed names none: it writes its results when it ends.
        """
        if not self.nodes:
            return None
        names = [n.relation_name for n in self._building if n.status != "skipped"]
        return tuple(RelationName.parse(name) for name in names if name) if all(names) else None

    @property
    def _building(self) -> Iterator[NodeResult]:
        return (n for n in self.nodes if n.resource_type in BUILT_TYPES)

    def __str__(self) -> str:
        if self.errors and not self.nodes:
            return f"dbt {self.command} --target {self.target} failed: {_in_one_line(self.errors[0])}"
        outcome = "ok" if self.ok else "failed"
        nodes = counted(self.nodes, self.files_dir / "manifest.json")
        line = f"dbt {self.command} --target {self.target} {outcome}: {nodes} in {self.seconds:.0f} s"
        return f"{line}; {_in_one_line(self.beyond_nodes[0])}" if self.beyond_nodes else line

    def to_html(self) -> str:
        """What failed and why first, then every node."""
        why = [html.fold(html.badge("fail") + f" {n.unique_id}", html.code(n.message or ""), opened=True)
               for n in self.failed]  # fmt: skip
        messages = [html.code(e) for e in (self.beyond_nodes if self.nodes else self.errors)]
        rows = [(html.badge(n.status), n.resource_type, n.name, f"{n.seconds:.1f}") for n in self.nodes]
        every = html.fold(f"{len(rows)} nodes", html.table(("status", "type", "node", "seconds"), rows))
        return str(html.section(str(self), *messages, *why, every))

    def raise_if_failed(self, *, next_step: str | None = None) -> None:
        """Raise what `check=True` raises.

        Args:
            next_step: what to do, where that is known better than by dbt's own words.

        Raises:
            DbtFailed: the invocation failed.
        """
        if not self.ok:
            why = "\n".join(self._reasons() if self.nodes else self.errors)
            rights = self.step_to_rights
            fix = f"fix {'these nodes' if self.failed else 'what dbt says'}; the log is in {self.files_dir}"
            raise DbtFailed(
                f"dbt {self.command} failed: {why.strip() or 'dbt gave no reason'}",
                result=self,
                where=f"target {self.target}",
                next_step=next_step or (f"{rights}; {fix}" if rights else fix),
            )

    def _reasons(self) -> Iterator[str]:
        """The first failed node's whole message, one line of each of the next, and what was skipped."""
        for number, node in enumerate(self.failed[:_SHOWN]):
            message = node.message or "dbt gave no reason"
            yield f"{node.name}: {_in_one_line(message) if number else message}"
        if len(self.failed) > _SHOWN:
            yield f"and {len(self.failed) - _SHOWN} more: {', '.join(n.name for n in self.failed[_SHOWN:])}"
        yield from self.beyond_nodes
        skipped = skipped_in_words(skipped_nodes(self.nodes, self.files_dir / "manifest.json"))
        if skipped:
            yield f"skipped: {skipped}"


# "Database Error in model orders (models/orders.sql)", as dbt-common's exceptions begin their text: the cause follows.
_HEADING = re.compile(r"(?:[A-Z]\w+ )+Error(?: in .*)?")


def _in_one_line(message: str) -> str:
    """The first line of a message; where that only says which kind of error it is, the cause below it too."""
    first, *rest = [line.strip() for line in message.splitlines() if line.strip()] or ["dbt gave no reason"]
    if rest and _HEADING.fullmatch(first):
        return f"{first}: {first_line(chr(10).join(rest))}"
    return first_line(message) or first
