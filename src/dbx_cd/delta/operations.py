"""What Delta's operations do to a table, by the name that DESCRIBE HISTORY has for them: one list for everybody.

The names are those that Delta 4.4 can write (read from its jar; a test compares) and those that Databricks documents. A
name that is in none of these sets counts as a change of content, and a test says that nobody has looked at it yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from dbx_cd.delta.retention import CHECKPOINT_INTERVAL, CHECKPOINT_INTERVAL_BEFORE, RETENTION

MAINTENANCE = frozenset(
    {
        # Files are rewritten, row for row. Databricks runs OPTIMIZE by itself; OPTIMIZE CHECKPOINT is of the log alone.
        *("OPTIMIZE", "OPTIMIZE CHECKPOINT", "REORG"),
        # Files that no version within the retention needs are removed. Databricks runs it by itself.
        *("VACUUM START", "VACUUM END"),
        # Statistics.
        *("ANALYZE", "COMPUTE STATS"),
        # RESTORE does not revert the protocol (measured), so an upgrade of it changes nothing a restore would touch.
        *("UPGRADE PROTOCOL", "ADD FEATURE"),
        # The same files once more, each with the numbers of its rows (Delta's source).
        "ROW TRACKING BACKFILL",
        # Without any action: it makes Delta write a checkpoint (Delta's source).
        "Empty Commit",
        # Keeps deletion vectors that no live file has any more from VACUUM (Delta's source).
        "Deletion Vector Tombstones",
    }
)
"""Commits that leave rows, schema and settings as they are."""

# Predictive optimization chooses the columns of CLUSTER BY AUTO, and commits that (documented).
LAYOUT = frozenset({"CLUSTER BY"})
"""Commits that say how rows are to lie in files from now on, and change neither rows nor schema."""

CONTENT = frozenset(
    {
        *("WRITE", "STREAMING UPDATE", "COPY INTO", "DELETE", "TRUNCATE", "MERGE", "UPDATE", "RESTORE"),
        *("CREATE TABLE", "CREATE TABLE AS SELECT", "CONVERT", "CLONE", "CREATE OR REPLACE TABLE", "REPLACE TABLE"),
        *("REPLACE TABLE AS SELECT", "CREATE OR REPLACE TABLE AS SELECT"),
        *("ADD COLUMNS", "DROP COLUMNS", "RENAME COLUMN", "CHANGE COLUMN", "CHANGE COLUMNS", "REPLACE COLUMNS"),
        *("UPDATE SCHEMA", "REMOVE COLUMN MAPPING", "ADD CONSTRAINT", "DROP CONSTRAINT"),
        # By the names of the properties: `is_housekeeping`.
        *("SET TBLPROPERTIES", "UNSET TBLPROPERTIES"),
        # Sets properties for readers of other formats.
        "REORG TABLE UPGRADE UNIFORM",
        # A person's, and more than a version number: history may be cut off, row ids and clustering columns are lost.
        *("DROP FEATURE", "DOMAIN METADATA CLEANUP", "ROW TRACKING UNBACKFILL"),
        # Takes files out that are missing, and their rows with them.
        "FSCK",
        # Anything at all, by a program that gives no name.
        "Manual Update",
        # Of Delta's own tests.
        "TEST",
    }
)
"""Commits that change rows, schema or settings, or of which that cannot be excluded."""

_HOUSEKEEPING = frozenset(
    {
        *RETENTION,
        # How often, and in which form, Delta's own log is summed up; dbx_cd's note of what it set there.
        *(CHECKPOINT_INTERVAL, "delta.checkpointPolicy", CHECKPOINT_INTERVAL_BEFORE),
        # The protocol, in the words of properties.
        *("delta.minReaderVersion", "delta.minWriterVersion"),
        # Where row tracking keeps what it knows of rewritten rows: Delta chooses these names.
        "delta.rowTracking.materializedRowIdColumnName",
        "delta.rowTracking.materializedRowCommitVersionColumnName",
    }
)
_FEATURE = "delta.feature."


def is_housekeeping(properties: str | None) -> bool:
    """Whether SET or UNSET TBLPROPERTIES named only properties that change nothing readers see or writers heed.

    `delta.enableRowTracking`, `delta.enableDeletionVectors`, `delta.autoOptimize.*`, `delta.dataSkippingStatsColumns`
    and their like are no housekeeping: people set them, and RESTORE takes them back (measured).

    Args:
        properties: the commit's parameter of that name.
    """
    changed = property_changes(properties)
    return bool(changed) and all(name in _HOUSEKEEPING or name.startswith(_FEATURE) for name in changed)


def property_changes(properties: str | None) -> Mapping[str, str | None]:
    """Properties as SET or UNSET TBLPROPERTIES left them, None where unset; nothing where the text cannot be read.

    Args:
        properties: the commit's parameter of that name: a JSON object after SET, a JSON list after UNSET.
    """
    try:
        read = json.loads(properties or "")
    except ValueError:
        return {}
    if isinstance(read, dict):
        return {str(name): str(value) for name, value in read.items()}
    return dict.fromkeys(map(str, read)) if isinstance(read, list) else {}
