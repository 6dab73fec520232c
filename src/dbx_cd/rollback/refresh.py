"""A version of today for a table that was last written long ago.

Delta goes back to a version only while its commit is younger than `delta.deletedFileRetentionDuration`, unless it is
the newest (measured; see `History.reachable_until`). A table that nobody has written to for a week is therefore lost
with the first statement of a deploy, although its files stay for another week. And log entries are cleaned by their own
age, so that an old version may not be there to be rebuilt. Commits that change a property there and back, before
the deploy, make a version of today with the same content; the first one also makes Delta write a checkpoint, from which
that version can be rebuilt whatever becomes of older entries (measured on Delta 4.4; not verified on Databricks).
"""

from __future__ import annotations

from datetime import datetime

from dbx_cd.delta.history import History
from dbx_cd.delta.retention import (
    CHECKPOINT_INTERVAL,
    CHECKPOINT_INTERVAL_BEFORE,
    DEFAULT_CHECKPOINT_INTERVAL,
    FILES_KEPT,
    LOG_KEPT,
    shorter_retention,
)
from dbx_cd.delta.tables import Tables
from dbx_cd.relations import RelationName
from dbx_cd.rollback.relation_state import RelationState

_SPENT = 7
"""A version is made anew once more than this part of its retention (one seventh: a day of a week) is spent."""

_MOST_COMMITS = 100


def commits_needed(state: RelationState) -> int:
    """How many of a table's newest commits say whether it needs a version of today: back to the last checkpoint."""
    return min(_checkpoint_interval(state), _MOST_COMMITS) + 1


def is_refresh_due(state: RelationState, history: History, *, taken_at: datetime) -> bool:
    """Whether a table needs a version of today before a build.

    Args:
        state: the table, with what the build makes of its properties.
        history: its newest commits, at least `commits_needed`.
        taken_at: when the restore point is taken, UTC.
    """
    if state.kind != "table" or state.replaced_by or state.version is None:
        return False
    if CHECKPOINT_INTERVAL_BEFORE in state.properties:
        return True  # an attempt that was killed in between: it is completed
    files, log = (shorter_retention(name, state.properties, state.properties_after) for name in (FILES_KEPT, LOG_KEPT))
    if history.commits[state.version].at + files / _SPENT < taken_at:
        return True
    interval = _checkpoint_interval(state)
    checkpoints = [v for v, c in history.commits.items() if CHECKPOINT_INTERVAL_BEFORE in c.changed_properties]
    oldest = history.commits.get(max([state.version - state.version % interval, *checkpoints]))
    return oldest is None or oldest.at + log < taken_at + files


def refresh(tables: Tables, table: RelationName) -> None:
    """Make a version of today with the same content and properties: commits of the release's own, maintenance to all.

    Killed in between, it is completed by the next one: the table remembers the interval that it had.

    Args:
        tables: the tables; their commits carry the release's id where the platform lets them.
        table: a Delta table.

    Raises:
        SqlFailed: MODIFY is missing, or somebody else has changed the table's metadata at the same moment.
    """
    now = tables.properties(table)
    before = now.get(CHECKPOINT_INTERVAL_BEFORE, now.get(CHECKPOINT_INTERVAL, ""))
    tables.set_properties(table, {CHECKPOINT_INTERVAL: "1", CHECKPOINT_INTERVAL_BEFORE: before})
    if before:
        tables.set_properties(table, {CHECKPOINT_INTERVAL: before})
        tables.unset_properties(table, [CHECKPOINT_INTERVAL_BEFORE])
    else:
        tables.unset_properties(table, [CHECKPOINT_INTERVAL, CHECKPOINT_INTERVAL_BEFORE])


def _checkpoint_interval(state: RelationState) -> int:
    text = state.properties.get(CHECKPOINT_INTERVAL, "")
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else DEFAULT_CHECKPOINT_INTERVAL
