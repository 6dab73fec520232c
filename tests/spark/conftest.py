"""The story of the shop, told once for all tests of this folder; their workspace is in `tests/conftest.py`."""

from __future__ import annotations

import pytest
from shop_story import Observed, tell

from dbx_cd.local.standard_grants import grant_everything, take_everything
from dbx_cd.local.workspace import EmbeddedWorkspace


@pytest.fixture(scope="session")
def story(workspace: EmbeddedWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """What was seen in the releases of the shop, in which users have the standard grants alone."""
    users = list(workspace.connection.tokens)
    for user in users:
        take_everything(workspace.spark, user, catalogs=workspace.catalogs)
    try:
        return tell(workspace, tmp_path_factory.mktemp("story"))
    finally:
        for user in users:
            grant_everything(workspace.spark, user, catalogs=workspace.catalogs)
