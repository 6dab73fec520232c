"""The story of the shop, told once for all tests of this folder; their workspace is in `tests/conftest.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from shop_story import Observed

    from dbx_cd.local.workspace import EmbeddedWorkspace


# Imported by who asks for the story: on another Spark there is no embedded workspace.
@pytest.fixture(scope="session")
def story(workspace: EmbeddedWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """What was seen in the releases of the shop, in which users have the standard grants alone."""
    from shop_story import tell

    from wide_rights import let_everybody, let_nobody

    let_nobody(workspace)
    try:
        return tell(workspace, tmp_path_factory.mktemp("story"))
    finally:
        let_everybody(workspace)
