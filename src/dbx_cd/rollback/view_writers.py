"""Whose definition a view has: a view has no history, so that is told from what was recorded of it, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dbx_cd.delta.tables import Kind
from dbx_cd.rollback.own_build import OwnBuild, Writer
from dbx_cd.rollback.point import VersionAfter
from dbx_cd.rollback.relation_state import Present, RelationState, view_definition

_NOT_RECORDED = "where the build before left it was not recorded"
_NOT_SAID = "dbt could not say what it had built"
_WORDS: dict[Kind, str] = {"view": "view", "table": "table", "other": "relation of another kind", "missing": "relation"}


@dataclass(frozen=True)
class _Seen:
    """A relation as one record has it, or the catalog now."""

    kind: Kind
    definition: str | None
    """A digest of what a view is, in the form of the record."""
    definitions: frozenset[str | None]
    """The same in every form that can be told from it."""
    writer: Writer
    """Who has made it so, where it differs from what is known of before."""
    when: str
    """Between which two it was made so, for people."""
    doubt: str = ""
    """Why it is not known who, where that is so."""

    def is_as(self, other: _Seen) -> bool:
        """Whether both say the same of a view; of anything else whether it is of the same kind."""
        is_known_again = self.definition in other.definitions or other.definition in self.definitions
        return self.kind == other.kind and is_known_again

    def after(self, before: _Seen) -> str:
        """What was done, for people."""
        kind = _WORDS[self.kind if before.kind == "missing" else before.kind]
        if self.kind == "missing":
            done = "dropped"
        elif before.kind == "missing":
            done = "created"
        else:
            done = "changed" if self.kind == before.kind else f"replaced by a {_WORDS[self.kind]}"
        doubt = f" (not verified: {self.doubt}; this may be the release's own)" if self.doubt else ""
        return f"the {kind} was {done} {self.when}{doubt}"


def changes_by_others(builds: Sequence[OwnBuild], now: Present) -> tuple[str, ...]:
    """Each change of a view that is somebody else's, or of which that is not known, since it was as before the release.

    Args:
        builds: the builds of the release, first to last.
        now: what the view is.
    """
    seen = [*_recorded(builds), _of_now(builds, now)]
    as_before = [n for n, s in enumerate(seen) if s.is_as(seen[0]) and s.kind in ("view", "missing")]
    changes = [(a, b) for a, b in pairwise(seen[max(as_before, default=0) :]) if not b.is_as(a)]
    return tuple(b.after(a) for a, b in changes if b.writer != "release")


def _recorded(builds: Sequence[OwnBuild]) -> Iterator[_Seen]:
    previous: OwnBuild | None = None
    for build in builds:
        point = f"{build.taken_at:%Y-%m-%d %H:%M:%S} UTC"
        yield _of_state(build.before, previous, when=f"before the restore point of {point}, between two attempts")
        if build.after is not None:
            yield _of_after(build, build.after, when=f"during the build of the restore point of {point}")
        previous = build


def _of_state(state: RelationState, previous: OwnBuild | None, *, when: str) -> _Seen:
    definitions = {state.definition}
    if state.kind == "view":
        definitions.add(view_definition(state, state.view_properties, reading=None))  # as earlier records have it
    writer, doubt = _between(previous)
    return _Seen(state.kind, state.definition, frozenset(definitions), writer, when, doubt)


def _of_after(build: OwnBuild, after: VersionAfter, *, when: str) -> _Seen:
    writer: Writer = "unknown"
    if after.is_built or (after.is_built is None and not build.writers):
        writer = "release"  # records of before writers were kept do not say what was built, and go by time alone
    elif build.left_alone:
        writer = "others"
    when = f"{when}, which did not build it" if writer == "others" else when
    doubt = _NOT_SAID if writer == "unknown" else ""
    return _Seen(after.kind, after.definition, frozenset({after.definition}), writer, when, doubt)


def _of_now(builds: Sequence[OwnBuild], now: Present) -> _Seen:
    writer, doubt = _between(builds[-1] if builds else None)
    return _Seen(now.kind, now.definition, now.definitions, writer, "after the release", doubt)


def _between(previous: OwnBuild | None) -> tuple[Writer, str]:
    """Whose a change is that is first seen after a build, and why that is not known."""
    return ("unknown", _NOT_RECORDED) if previous is not None and previous.after is None else ("others", "")
