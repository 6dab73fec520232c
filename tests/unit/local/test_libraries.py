"""A task's libraries on a volume are read as who the task runs as."""

from __future__ import annotations

import pytest
from local_rest import USERS, VOLUMES

from dbx_cd.local.rest.identity import Directory
from dbx_cd.local.rest.libraries import Libraries, LibraryRefused

LIBRARIES = Libraries(Directory(USERS), VOLUMES)
WHEEL = {"whl": "/Volumes/ops/dbt_meta/artifacts/a.whl"}


@pytest.mark.parametrize("library", [WHEEL, {"requirements": "/Volumes/OPS/dbt_meta/Artifacts/r/x.txt"}])
def test_without_read_volume_a_task_is_refused_and_told_what_is_missing(library: dict[str, str]) -> None:
    with pytest.raises(LibraryRefused, match=r"READ VOLUME on Volume 'ops\.dbt_meta\.artifacts'") as refused:
        LIBRARIES.require([library], run_as="lent-identity")
    assert "GRANT READ VOLUME ON VOLUME `ops`.`dbt_meta`.`artifacts` TO `lent-identity`" in str(refused.value)


def test_with_it_nothing_is_said() -> None:
    LIBRARIES.require([WHEEL], run_as="job-identity")


@pytest.mark.parametrize(
    "library",
    [
        {"whl": "/Volumes/ops/dbt_meta/wheels/a.whl"},  # no such volume here
        {"whl": "/Workspace/a.whl"},
        {"pypi": {"package": "x"}},
        {"requirements": "/Volumes/ops"},
        {},
    ],
)
def test_what_is_on_no_volume_of_this_workspace_is_passed_over(library: dict[str, object]) -> None:
    LIBRARIES.require([library], run_as="lent-identity")
