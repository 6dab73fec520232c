"""What `check` has found out: a line for each thing that was looked at, and what to do where it is not right."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import ClassVar, Literal

from dbx_cd import html
from dbx_cd.enumeration import listed
from dbx_cd.errors import CheckFailed
from dbx_cd.records import Record

Status = Literal["ok", "warn", "fail", "skipped"]

_ORDER: tuple[Status, ...] = ("fail", "warn", "skipped", "ok")
_WIDTH = 110
_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class CheckLine:
    """One thing that was looked at."""

    status: Status
    """`ok`, `warn`, `fail`, or `skipped`: it was not looked at, which is not ok."""
    subject: str
    """The file, target, object or identity that it is about; "" for the project as a whole."""
    message: str
    """What was found; of a skipped one why it was not looked at."""
    next_step: str | None = None
    """What to do; None where there is nothing to do."""
    name: str = ""
    """Which check it is of."""
    group: str = ""
    """Which part of the set-up that belongs to."""

    def __str__(self) -> str:
        subject = f"{self.subject}: " if self.subject else ""
        return f"{self.status}: {self.name}: {subject}{self.message}"


def ok(subject: object, message: str) -> CheckLine:
    """What is as it should be."""
    return CheckLine(status="ok", subject=str(subject), message=message)


def warn(subject: object, message: str, *, next_step: str) -> CheckLine:
    """What works, and may not be what the team wants."""
    return CheckLine(status="warn", subject=str(subject), message=message, next_step=next_step)


def fail(subject: object, message: str, *, next_step: str | None) -> CheckLine:
    """What a release would fail at, or should never be released with."""
    return CheckLine(status="fail", subject=str(subject), message=message, next_step=next_step)


def skipped(subject: object, reason: str, *, next_step: str | None = None) -> CheckLine:
    """What was not looked at, and why."""
    return CheckLine(status="skipped", subject=str(subject), message=reason, next_step=next_step)


@dataclass(frozen=True)
class CheckReport(Record):
    """All lines of one check of a set-up."""

    KIND: ClassVar[str] = "checked"

    project: str
    """The folder of the dbt project."""
    identity: str | None
    """As whom the workspace was asked; None where none was."""
    lines: tuple[CheckLine, ...]
    """Every line, in the order of the checks."""

    @property
    def ok(self) -> bool:
        """Whether nothing failed; what was skipped is not known to be right."""
        return not self.failed

    @property
    def failed(self) -> tuple[CheckLine, ...]:
        """The lines that failed."""
        return self.with_status("fail")

    @property
    def skipped(self) -> tuple[CheckLine, ...]:
        """What was not looked at, each with its reason."""
        return self.with_status("skipped")

    def with_status(self, status: Status) -> tuple[CheckLine, ...]:
        """The lines of a status."""
        return tuple(line for line in self.lines if line.status == status)

    @property
    def counts(self) -> dict[str, int]:
        """How many lines have each status, problems first."""
        found = Counter(line.status for line in self.lines)
        return {status: found[status] for status in _ORDER if found[status]}

    def raise_if_failed(self) -> None:
        """Stop here where something failed.

        Raises:
            CheckFailed: a line failed; carries this report.
        """
        if self.failed:
            named = [f"{line.name}: {line.message}" for line in self.failed]
            raise CheckFailed(
                f"{self}: {listed(named, most=_NAMED, separator='; ')}",
                report=self,
                where=self.project,
                next_step=self.failed[0].next_step,
            )

    @property
    def text(self) -> str:
        """All of it for a terminal: by groups, aligned, with each next step under its line."""
        width = max((len(line.name) for line in self.lines), default=0)
        parts = [
            "\n".join([group, *(part for line in lines for part in _in_columns(line, width))])
            for group, lines in groupby(self.lines, lambda line: line.group)
        ]
        return "\n\n".join([*parts, str(self)])

    def __str__(self) -> str:
        counts = ", ".join(f"{n} {status}" for status, n in self.counts.items()) or "nothing to look at"
        whom = f", as {self.identity}" if self.identity else ""
        return f"check {'ok' if self.ok else 'failed'}{whom}: {counts}"

    def to_html(self) -> str:
        """A table for each group."""
        parts: list[object] = []
        for group, lines in groupby(self.lines, lambda line: line.group):
            rows = [
                (html.badge(line.status), line.name, line.subject, line.message, line.next_step or "") for line in lines
            ]
            parts += [html.paragraph(group), html.table(("", "check", "of", "found", "next step"), rows)]
        return str(html.section(str(self), *parts))


def _in_columns(line: CheckLine, width: int) -> Iterator[str]:
    """Status and name in columns of their own; what does not fit in a line goes on under the third."""
    head = f"  {line.status.upper() if line.status == 'fail' else line.status:<8}{line.name:<{width}}  "
    indent = " " * len(head)
    content = f"{line.subject}: {line.message}" if line.subject else line.message
    next_step = f"\nNext: {line.next_step}" if line.next_step else ""
    wrapped = [
        part
        for text in f"{content}{next_step}".splitlines()
        for part in textwrap.wrap(text, max(_WIDTH - len(head), 40), break_on_hyphens=False, break_long_words=False)
    ]
    for number, part in enumerate(wrapped or [""]):
        yield f"{indent if number else head}{part}"
