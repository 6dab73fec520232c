"""Commits of the release log that are no appends, and what an approver has said about them: pure, from its history."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from dbx_cd import html
from dbx_cd.delta.history import Commit
from dbx_cd.delta.log_table import LOG_PROPERTIES
from dbx_cd.delta.operations import property_changes
from dbx_cd.delta.retention import parse_interval
from dbx_cd.digest import digest
from dbx_cd.people import same_person
from dbx_cd.records import Record

_SUSPENDED = "delta.rowtrackingsuspended"


@dataclass(frozen=True)
class AcknowledgedCommit:
    """One commit as whoever acknowledged it has read it."""

    version: int
    """The version that it made."""
    digest: str
    """Of what it was: the version alone would fit the commit of another table."""
    text: str
    """Version, time, operation and who, in one line."""


@dataclass(frozen=True)
class AlterationAcknowledged(Record):
    """A person has looked at alterations of the log, and answers for going on with it. It belongs to no release."""

    KIND: ClassVar[str] = "alteration_acknowledged"

    seal: str
    """The seal that was read."""
    commits: tuple[AcknowledgedCommit, ...]
    """The alterations, newest first."""
    actor: str
    """Who acknowledged, as the platform names them."""
    reason: str
    """What happened, in their words."""

    def __str__(self) -> str:
        return f"{'; '.join(c.text for c in self.commits)}: acknowledged by {self.actor}: {self.reason}"


@dataclass(frozen=True)
class Alterations:
    """What was done to the log besides appends and maintenance; false where nobody has to look at anything."""

    commits: tuple[Commit, ...] = ()
    """Those that nobody has acknowledged, newest first."""
    acknowledged: tuple[AlterationAcknowledged, ...] = ()
    """What was said about the others, oldest first."""

    def __bool__(self) -> bool:
        return bool(self.commits)

    def __iter__(self) -> Iterator[Commit]:
        return iter(self.commits)

    @property
    def seal(self) -> str:
        """One digest over the commits that nobody has acknowledged: what an acknowledgement is bound to."""
        return digest([digest_of(commit) for commit in self.commits])

    def acknowledge(self, *, actor: str, reason: str) -> AlterationAcknowledged:
        """The record that says so; it is not written here."""
        seen = tuple(AcknowledgedCommit(c.version, digest_of(c), str(c)) for c in self.commits)
        return AlterationAcknowledged(self.seal, seen, actor, reason)

    def __str__(self) -> str:
        lines = [*map(str, self.commits), f"seal: {self.seal}"] if self.commits else ["no alteration to look at"]
        return "\n".join([*lines, *map(str, self.acknowledged)])

    def to_html(self) -> str:
        """The commits, what was given to each, and the seal."""
        headers = ("version", "when, UTC", "operation", "by", "parameters")
        rows = [(c.version, f"{c.at:%Y-%m-%d %H:%M:%S}", c.operation, c.user, dict(c.parameters)) for c in self.commits]
        parts = [html.table(headers, rows), html.paragraph(f"seal: {self.seal}")] if rows else []
        return str(
            html.section("Alterations of the release log", *parts, *map(html.paragraph, map(str, self.acknowledged)))
        )

    def _repr_html_(self) -> str:
        return self.to_html()


def alterations_of(
    commits: Sequence[Commit], *, misattributed: Mapping[int, str] | None = None, made_anew: str | None = None
) -> tuple[Commit, ...]:
    """The commits of a log that are neither its creation, nor appends, nor maintenance, newest first.

    Args:
        commits: the log's history.
        misattributed: what is wrong with commits of events in another's name, by version; it takes the place of the
            operation, so that an acknowledgement is bound to it.
        made_anew: what is wrong with the table as a whole, in words: the oldest commit there is stands for it.
    """
    wrong = dict(misattributed or {})
    if made_anew and commits:
        oldest = min(commits, key=lambda c: c.version)
        wrong[oldest.version] = f"{wrong.get(oldest.version, oldest.operation)} {made_anew}"
    altered = [replace(c, operation=wrong[c.version]) for c in commits if c.version in wrong]
    altered += [c for c in commits if c.version not in wrong and not _is_harmless(c)]
    return tuple(sorted(altered, key=lambda c: -c.version))


def not_acknowledged(
    commits: Iterable[Commit],
    altered: Iterable[Commit],
    acknowledgements: Iterable[tuple[int, AlterationAcknowledged]],
) -> Alterations:
    """Tell the alterations that somebody has acknowledged from those that nobody has.

    An acknowledgement counts for commits before its own only: nobody has read what was not there yet. And where the
    platform says who committed it, that must be who acknowledged, and nobody acknowledges an alteration of their own:
    anybody with MODIFY can write the record, but not the platform's word.

    Args:
        commits: the log's history.
        altered: the alterations in it, newest first.
        acknowledgements: each with the version of the commit that wrote it.
    """
    history = {commit.version: commit for commit in commits}
    altered = tuple(altered)
    counting = [
        (version, record)
        for version, record in acknowledgements
        if (writer := history.get(version)) is not None and _may_be(writer, record.actor)
    ]
    seen = {
        (c.version, c.digest)
        for version, record in counting
        for c in record.commits
        if c.version < version and not (c.version in history and same_person(history[c.version].user, record.actor))
    }
    remaining = tuple(commit for commit in altered if (commit.version, digest_of(commit)) not in seen)
    there = {(commit.version, digest_of(commit)) for commit in altered} & seen
    kept = tuple(record for _, record in counting if any((c.version, c.digest) in there for c in record.commits))
    return Alterations(remaining, kept)


def _may_be(commit: Commit, person: str) -> bool:
    """Whether a commit is of a person, as far as the platform says whose it is."""
    return commit.user is None or same_person(commit.user, person)


def digest_of(commit: Commit) -> str:
    """What identifies a commit to every reader.

    Its time is left out, which Delta adjusts to those of older commits, which get cleaned; and its user, whom a
    platform may hide from some readers.
    """
    return digest([commit.version, commit.operation, dict(commit.parameters), commit.user_metadata])


def _is_harmless(commit: Commit) -> bool:
    if commit.operation in ("SET TBLPROPERTIES", "UNSET TBLPROPERTIES"):
        changed = property_changes(commit.parameters.get("properties"))
        return bool(changed) and _keeps_what_a_log_needs(changed)
    created = commit.version == 0 and commit.operation == "CREATE TABLE"
    appended = commit.operation == "WRITE" and commit.parameters.get("mode") == "Append"
    return created or appended or commit.is_maintenance or commit.is_layout


def _keeps_what_a_log_needs(changed: Mapping[str, str | None]) -> bool:
    """Whether a log is still one whose rows nobody changes, whose order is known, and whose commits are kept.

    Comments and whatever else people set on tables are none of this log's business.
    """
    now = {name.lower(): value for name, value in changed.items()}  # Delta takes its own names in any case
    if str(now.get(_SUSPENDED)).lower() == "true" or any(n.startswith("delta.rowtracking.") for n in now):
        return False
    for name, needed in LOG_PROPERTIES.items():
        if name.lower() in now and not _is_enough(now[name.lower()], needed):
            return False
    return True


def _is_enough(value: str | None, needed: str) -> bool:
    """Whether a property has the value that the log was made with; of a duration, at least that much."""
    if value is None:
        return False
    least, given = parse_interval(needed), parse_interval(value)
    return value.lower() == needed if least is None else given is not None and given >= least
