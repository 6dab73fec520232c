"""What was committed after a restored table was proved: then the proof says nothing of the table as it is now."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from dbx_cd.delta.tables import Tables
from dbx_cd.errors import SqlFailed
from dbx_cd.people import same_person
from dbx_cd.relations import RelationName
from dbx_cd.rollback.journal import RestoredRelation

_NEWEST = 20


@dataclass(frozen=True)
class LateCommits:
    """What a second look at the versions found."""

    relations: tuple[RestoredRelation, ...]
    """The relations, with an error where the release itself may have made the commit."""
    commits: tuple[str, ...]
    """Each commit, for people."""


def look_again(
    tables: Tables, done: Sequence[RestoredRelation], *, writers: Sequence[str], threads: int
) -> LateCommits:
    """Compare the versions of what was proved with those of now.

    A commit by a name that is not one of the release's is reported alone: somebody writes there again, as they may. One
    by the release itself, or by nobody that the history names, means that the relation was not brought back.

    Args:
        tables: the tables.
        done: what was restored and proved, each with the version that it had then.
        writers: as whom the release writes.
        threads: how many tables to look at at the same time.
    """
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="late-commits") as pool:
        seen = list(pool.map(lambda relation: _look(tables, relation, writers), done))
    return LateCommits(tuple(relation for relation, _ in seen), tuple(text for _, texts in seen for text in texts))


def _look(
    tables: Tables, relation: RestoredRelation, writers: Sequence[str]
) -> tuple[RestoredRelation, tuple[str, ...]]:
    proved = relation.version_after
    if not relation.ok or proved is None or relation.action in ("keep", "drop"):
        return relation, ()
    name = RelationName.parse(relation.name)
    try:
        if tables.is_newest(name, proved):
            return relation, ()
        history = tables.history(name, limit=_NEWEST)
    except SqlFailed as exc:
        return relation, (f"{relation.name}: what came after version {proved} cannot be read: {exc.what}",)
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
        return replace(relation, ok=False, proof="", error=error, next_step=next_step), texts
    return relation, texts
