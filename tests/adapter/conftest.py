"""dbt's own fixtures (`dbt.tests.fixtures.project`), pointed at the SQL endpoint of the embedded workspace.

dbt runs in this process, as its test suite has it, with the dbt-databricks that is installed and nothing of it changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import freezegun
import pytest
from dbt.adapters.databricks.impl import DatabricksAdapter
from dbt.tests.fixtures.project import *  # noqa: F403 - a plugin can be named in the topmost conftest only
from dbt_common.behavior_flags import BehaviorFlagRendered

from dbx_cd.local.workspace import EmbeddedWorkspace
from dbx_cd.sql_endpoint import connection_block

CATALOG = "dev_anna"

# Tests of microbatch and of sample mode stop the clock of dbt, which is that of this process; the endpoint's goes on.
freezegun.configure(extend_ignore_list=["dbx_cd", "pyspark", "py4j"])


# Who made a flag is only told in a warning. dbt looks it up by `inspect.stack()`, once a flag and a run: with the
# modules of this process that takes several times as long as all the rest of a run.
BehaviorFlagRendered._default_source = staticmethod(lambda: DatabricksAdapter.__module__)  # type: ignore[method-assign]


@pytest.fixture(scope="session")
def reachable(workspace: EmbeddedWorkspace) -> Iterator[None]:
    """The environment of a process that trusts the endpoint's certificate."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in workspace.endpoint.client_environment().items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="class")
def dbt_profile_target(workspace: EmbeddedWorkspace, reachable: None) -> dict[str, Any]:
    return {"type": "databricks", "catalog": CATALOG, "threads": 2, **connection_block(workspace.endpoint)}


@pytest.fixture(scope="class")
def logs_dir(tmp_path_factory: pytest.TempPathFactory, prefix: str) -> Iterator[str]:
    """dbt's own fixture writes to a folder of the repository."""
    folder: Path = tmp_path_factory.mktemp(prefix)
    os.environ["DBT_LOG_PATH"] = str(folder)
    yield str(folder)
    del os.environ["DBT_LOG_PATH"]
