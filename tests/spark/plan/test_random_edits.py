"""`changed_only` leaves production as a full build would, row for row, whatever was edited: ten edits of one project.

Full builds are made, and computed from the project's parts: the three are equal. A hundred edits of ten projects,
against what is computed: `python -m benchmarks.edited_releases --edits 100`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.edited_releases import check
from benchmarks.embedded_releases import reached_by_dbt

from dbx_cd.local.workspace import EmbeddedWorkspace

SEED = 1


@pytest.fixture
def reached(workspace: EmbeddedWorkspace) -> Iterator[EmbeddedWorkspace]:
    with reached_by_dbt(workspace):
        yield workspace


@pytest.mark.deep
def test_ten_random_edits_leave_what_a_full_build_leaves(reached: EmbeddedWorkspace, tmp_path: Path) -> None:
    assert list(check(reached, tmp_path, edits=10, seed=SEED, also_full=True, catalog="dev_anna")) == []
