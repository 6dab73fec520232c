"""What is called restorable is restored, and what is not is said to be lost, however old a table's last commit is.

`make test-deep` takes pairs of values, `make test-matrix` every combination; see `aged_cases`.
"""

from __future__ import annotations

import os
import uuid
from datetime import timedelta

import pytest
from aged_cases import Case, pairwise, whole
from aged_release import Seen, play
from pyspark.sql import SparkSession

from dbx_cd.smoke.baseline import NoBaseline

pytestmark = pytest.mark.deep

BATCH = 32
"""Tables of one release."""


def chosen() -> list[Case]:
    """The pairs; or, where the environment has `AGED_MATRIX=2/8`, the second of eight parts of all combinations."""
    part, _, parts = os.environ.get("AGED_MATRIX", "").partition("/")
    return list(whole())[int(part) - 1 :: int(parts)] if parts else pairwise()


CASES = chosen()


@pytest.fixture(scope="module")
def matrix(spark: SparkSession) -> dict[Case, Seen]:
    seen: dict[Case, Seen] = {}
    for first in range(0, len(CASES), BATCH):
        seen |= play(spark, f"aged_{uuid.uuid4().hex[:8]}", CASES[first : first + BATCH])
    return seen


@pytest.fixture(params=CASES, ids=str)
def seen(matrix: dict[Case, Seen], request: pytest.FixtureRequest) -> Seen:
    return matrix[request.param]


def test_what_is_called_restorable_is_restored_and_what_is_not_is_said_before_the_deploy(seen: Seen) -> None:
    """All that a table goes through, in order: a case is one story."""
    case, item = seen.case, seen.item
    kept = timedelta(days={"shorter": 2, "longer": 7 if case.build == "reset" else 20}.get(case.retention, 7))
    lost = not case.alterable and timedelta(days=case.days) >= kept
    assert (seen.ready.status, seen.ready.is_lost) == (("rebuild", True) if lost else ("restorable", False))
    assert seen.refused == lost
    if case.alterable:
        assert seen.ready.until is not None
        assert seen.ready.until - seen.taken_at > kept * 6 / 7 - timedelta(minutes=5)

    gone = (lost or case.moment == "past") and case.retention != "lengthened"
    assert item.later_writes == ()
    if gone:
        assert item.action == "rebuild", item
        assert "extend_retention(" in item.reason
        assert isinstance(seen.baseline, NoBaseline)
        assert seen.item_extended is not None
        item = seen.item_extended
    if not gone or not (case.vacuum or case.clean_up):
        assert item.action == "restore", item
    if not gone:
        assert seen.baseline == tuple(map(str, seen.before.rows))
    if item.action != "restore":
        assert item.reason.startswith(f"version {item.to_version} cannot be read"), item
        assert seen.done is None
        return
    assert seen.done is not None
    assert seen.done.ok, seen.done
    assert (seen.now.rows, seen.now.schema) == (seen.before.rows, seen.before.schema)
    # Turned off by the build and on again by RESTORE: since when is Delta's to say, and the plan names it.
    since = {k for k, _ in seen.now.properties if k.startswith("delta.inCommitTimestampEnablement")}
    assert not since or any("delta.inCommitTimestampEnablement" in d for d in item.differences)
    now = {k: v for k, v in seen.now.properties if k not in since}
    assert now == dict(seen.before.properties) | dict(item.keep_properties)
