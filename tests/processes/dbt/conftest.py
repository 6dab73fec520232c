"""One warm parent for the tests that run dbt itself, and a folder of their own for the parses they keep."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbx_cd.config import WARM_DBT
from dbx_cd.warm.parent import WarmParent


@pytest.fixture(scope="session", autouse=True)
def temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Parses are kept below the system's temporary folder: for these tests one of their own."""
    folder = tmp_path_factory.mktemp("temporary")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(folder))
        yield folder


@pytest.fixture(scope="session")
def warm_parent() -> Iterator[WarmParent]:
    """It imports dbt when the first test uses it."""
    with WarmParent("dbx_cd.dbt.warm") as parent:
        yield parent


@pytest.fixture
def warm_dbt(warm_parent: WarmParent, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run_dbt` uses the warm parent."""
    monkeypatch.setenv(WARM_DBT, str(warm_parent.address))
