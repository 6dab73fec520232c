"""What was committed after a restored table was proved: then the proof says nothing of the table as it is now.

Views have no commits, and are not looked at again.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from dbx_cd.delta.history import History
from dbx_cd.delta.tables import Tables
from dbx_cd.errors import SqlFailed
from dbx_cd.people import same_person
from dbx_cd.relations import RelationName
from dbx_cd.rollback.journal import RestoredRelation

_NEWEST = 20  # nearly always enough, and quickly read


@dataclass(frozen=True)
class LateCommits:
    """What a second look at the versions found."""

    relations: tuple[RestoredRelation, ...]
    """The relations, with an error where the release itself may have made a commit, or where that cannot be read."""
    commits: tuple[str, ...]
    """Each commit, for people."""
    not_known: tuple[str, ...]
    """What could not be read, for people."""


def look_again(
    tables: Tables, done: Sequence[RestoredRelation], *, writers: Sequence[str], threads: int
) -> LateCommits:
    """Compare the versions of what was proved with those of now.

    A commit by a name that is not one of the release's is reported alone: somebody writes there again, as they may. One
    by the release itself, or by nobody that the history names, means that the relation was not brought back. So does a
    history that cannot be read, or that ends before the proof, as that of a table put in its place does.

    Args:
        tables: the tables.
        done: what was restored and proved, each with the version that it had then.
        writers: as whom the release writes.
        threads: how many tables to look at at the same time.
    """
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="late-commits") as pool:
        seen = list(pool.map(lambda relation: _look(tables, relation, writers), done))
    return LateCommits(
        relations=tuple(look.relation for look in seen),
        commits=tuple(text for look in seen for text in look.commits),
        not_known=tuple(text for look in seen for text in look.not_known),
    )


@dataclass(frozen=True)
class _Look:
    """What a look at one relation found, as in `LateCommits`."""

    relation: RestoredRelation
    commits: tuple[str, ...] = ()
    not_known: tuple[str, ...] = ()


def _look(tables: Tables, relation: RestoredRelation, writers: Sequence[str]) -> _Look:
    proved = relation.version_after
    if not relation.ok or proved is None or relation.action in ("keep", "drop"):
        return _Look(relation)
    name = RelationName.parse(relation.name)
    try:
        if tables.is_newest(name, proved):
            return _Look(relation)
        history = _history_since(tables, name, proved)
    except SqlFailed as exc:
        return _not_known(relation, f"what came after version {proved} cannot be read: {exc.what}")
    if max(history.commits, default=-1) < proved:
        return _not_known(relation, f"its history has no version {proved}, which was proved")
    late = [c for c in history.commits.values() if c.version > proved and not (c.is_maintenance or c.is_layout)]
    texts = tuple(f"{relation.name}: {commit}, after version {proved} was proved" for commit in late)
    own = [c for c in late if c.user is None or any(same_person(c.user, name) for name in writers)]
    if own:
        error = f"it was overwritten after it was proved: {own[0]}"
        # A plan takes what came so late for somebody else's.
        next_step = (
            "make sure that nothing of the release is at work any more, then "
            f"RESTORE TABLE {name.quoted} TO VERSION AS OF {proved}, which was proved, and plan and restore again"
        )
        return _Look(replace(relation, ok=False, proof="", error=error, next_step=next_step), texts)
    return _Look(relation, texts)


def _history_since(tables: Tables, name: RelationName, proved: int) -> History:
    """The commits after a version, all of them: the oldest may be the release's own."""
    history = tables.history(name, limit=_NEWEST)
    return history if min(history.commits, default=0) <= proved + 1 else tables.history(name)


def _not_known(relation: RestoredRelation, why: str) -> _Look:
    """Of a relation of which nobody can say that it still is what was proved."""
    next_step = (
        f"read DESCRIBE HISTORY {RelationName.parse(relation.name).quoted} as somebody who may, see whether the "
        f"release has written after version {relation.version_after}, and plan and restore again"
    )
    failed = replace(relation, ok=False, proof="", error=why, next_step=next_step)
    return _Look(failed, not_known=(f"{relation.name}: {why}",))
