"""Every error a user of dbx_cd can meet, under one root.

Each message says what failed, where, and the next step. An error that stops a release carries the record of what
happened (`DbtFailed.result`, `SmokeFailed.report`, ...), so that a notebook can still show it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

_log = logging.getLogger(__name__)


class Evidence(Protocol):
    """What an error carries of what happened, such as a run or a report: a notebook can still show it."""

    def to_html(self) -> str:
        """A page part."""


class DbxCdError(Exception):
    """Root of all errors raised on purpose by dbx_cd.

    Args:
        what: what failed, as one clause.
        where: the file, table, release or task concerned.
        next_step: what the reader should do now.
    """

    def __init__(self, what: str, *, where: object = None, next_step: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.next_step = next_step
        self.located = what if self.where is None else f"{what} ({self.where})"
        """What failed and where, for messages that have a next step of their own."""
        super().__init__(self._text())

    def note(self, more: str) -> None:
        """Add to what failed: something that its reader should know as well."""
        self.what, self.located = f"{self.what}; {more}", f"{self.located}; {more}"
        self.args = (self._text(),)

    def _text(self) -> str:
        if self.next_step is None:
            return self.located
        return f"{self.located}{'' if self.located.endswith('?') else '.'} Next: {self.next_step}"


def what_failed(error: BaseException) -> str:
    """What an error says has failed, without what to do next: for records and for messages that say that themselves."""
    return error.located if isinstance(error, DbxCdError) else str(error) or type(error).__name__


class Verdict(DbxCdError):
    """What the Workflow has found out about a release, and no fault of a program: the stack would help nobody.

    A notebook shows the message alone, and the cell has failed all the same. IPython asks an exception for that by
    `_render_traceback_` (IPython documentation, "Integrating your objects with IPython"); Databricks runs notebooks on
    IPython's kernel (since runtime 11.0; Databricks documentation). Elsewhere it is an exception as any other.
    """

    def _render_traceback_(self) -> list[str]:
        """The lines that a notebook shows; the stack goes to the log."""
        _log.debug("the stack of %s", type(self).__name__, exc_info=self)
        lines = [f"{type(self).__name__}: {self.located}"]
        return lines if self.next_step is None else [*lines, f"Next: {self.next_step}"]


@contextmanager
def noting(more: str) -> Iterator[None]:
    """Let an error say something more that its reader should know."""
    try:
        yield
    except DbxCdError as exc:
        exc.note(more)
        raise


class ConfigError(DbxCdError):
    """`dbx_cd.yml`, `profiles.yml` or a parameter is missing, malformed or unknown."""


class SetupError(DbxCdError):
    """The machine lacks something dbx_cd needs, such as Java."""


class ArtifactError(DbxCdError):
    """Artifacts cannot be published, or what is on the Volume is incomplete or not what was published."""


class ArtifactNotFound(ArtifactError):
    """No such artifact version."""


class ChecksumMismatch(ArtifactError):
    """A published file no longer has the checksum recorded when it was published."""


class ReleaseError(DbxCdError):
    """The release log refuses: unknown release, wrong state, or another release is deploying."""


class WrongCommit(ReleaseError):
    """The checkout is not at the release's commit."""


class ReleaseSuperseded(ReleaseError, Verdict):
    """A newer release has overtaken this one."""


class DbtFailed(Verdict):
    """dbt ran and failed, or could not run; `.result` says which nodes and why."""

    def __init__(
        self, what: str, *, result: Evidence | None = None, where: object = None, next_step: str | None = None
    ) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.result = result


class SuiteError(DbxCdError):
    """A smoke suite file is malformed; the message names file and line."""


class SmokeFailed(Verdict):
    """At least one smoke check failed or broke; `.report` has every check."""

    def __init__(self, what: str, *, report: Evidence, where: object = None, next_step: str | None = None) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.report = report


class CheckFailed(Verdict):
    """Something of a team's set-up is not right; `.report` has every line."""

    def __init__(self, what: str, *, report: Evidence, where: object = None, next_step: str | None = None) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.report = report


class ApprovalRequired(Verdict):
    """Production may not be built: there is no valid approval. Subclasses say why."""


class ApprovalPending(ApprovalRequired):
    """Nobody has decided yet."""


class ApprovalRejected(ApprovalRequired):
    """A data owner rejected the release."""


class ApprovalExpired(ApprovalRequired):
    """The request was not decided in time."""


class ApprovalSuperseded(ApprovalRequired):
    """A newer release has overtaken the one this approval was for."""


class ApprovalStale(ApprovalRequired):
    """What was approved is no longer what would be built; `.changed` names the parts."""

    def __init__(
        self, what: str, *, changed: Sequence[str], where: object = None, next_step: str | None = None
    ) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.changed = tuple(changed)


class ConsentMissing(ApprovalRequired):
    """Something would be lost that the decision does not agree to by name."""


class ApprovalNotAllowed(Verdict):
    """This person may not decide about this release."""


class DeployRefused(Verdict):
    """What a release would do to a gated target must not be done; `.plan` says all of it."""

    def __init__(
        self, what: str, *, plan: Evidence | None = None, where: object = None, next_step: str | None = None
    ) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.plan = plan


class RestoreRefused(Verdict):
    """A restore would lose something, or its plan no longer describes the tables."""


class RestoreFailed(Verdict):
    """A restore began and did not finish; `.result` says which relations are done."""

    def __init__(
        self, what: str, *, result: Evidence | None = None, where: object = None, next_step: str | None = None
    ) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.result = result


class SqlFailed(DbxCdError):
    """Spark refused a statement or failed at it; the message is the first line of Spark's own."""

    def __init__(self, what: str, *, condition: str = "", where: object = None, next_step: str | None = None) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.condition = condition
        """Spark's error condition, such as `TABLE_OR_VIEW_NOT_FOUND`; "" where it gave none."""


@contextmanager
def asking_about(relation: str, *, next_step: str | None = None) -> Iterator[None]:
    """Let a `SqlFailed` say which relation was asked about, and what to do: Spark's own message may name none."""
    try:
        yield
    except SqlFailed as exc:
        raise SqlFailed(
            exc.what, condition=exc.condition, where=exc.where or relation, next_step=exc.next_step or next_step
        ) from exc


class WorkflowError(DbxCdError):
    """The workspace's API refused, failed or cannot be reached, or the job is not the one dbx_cd describes.

    Args:
        what: what failed, as one clause.
        where: the job, run or workspace concerned.
        next_step: what the reader should do now.
        may_be_done: whether what was asked for may have been done all the same.
    """

    def __init__(
        self, what: str, *, where: object = None, next_step: str | None = None, may_be_done: bool = False
    ) -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.may_be_done = may_be_done
        """Whether an answer is missing, not negative: what was asked for may have been done."""
