"""What the warm parent of notebook processes imports, and how its forks run one: as `process` does when started cold."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Sequence

import dbx_cd
from dbx_cd.local.notebooks import process

_IMPORTED = (
    "databricks.sdk",
    "databricks.sdk.service.jobs",
    "pandas",
    "pyspark.java_gateway",
    "pyspark.sql",
    "dbx_cd.smoke.gx",
    "dbx_cd.smoke.gx_engine",
)


def preload() -> None:
    """Import what the notebooks of a release import, Great Expectations among it."""
    for name in dir(dbx_cd):
        getattr(dbx_cd, name)
    for name in _IMPORTED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def run(argv: Sequence[str]) -> None:  # noqa: ARG001
    """Run the notebook that standard input orders; does not return."""
    process.run_and_leave()
