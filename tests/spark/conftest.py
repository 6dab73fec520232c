"""One embedded workspace for all tests of this folder: starting one takes longer than most tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession
from shop_story import Observed, tell

from dbx_cd.config import CdConfig
from dbx_cd.local import rights
from dbx_cd.local.standard_grants import grant_everything, take_everything
from dbx_cd.local.workspace import RELEASE_BOT, EmbeddedWorkspace

CATALOGS = ("stg", "prod", "dev_anna")
EVERY_CATALOG = (*CATALOGS, "ops")


def let_everybody(workspace: EmbeddedWorkspace) -> None:
    """Let the workspace's users do everything, and people what only an owner of the job's views may."""
    for user in workspace.connection.tokens:
        grant_everything(workspace.spark, user, catalogs=EVERY_CATALOG)
    for owner in workspace.owners:
        rights.put_user(workspace.spark, owner, groups=(CdConfig.approvers, RELEASE_BOT))


def let_nobody(workspace: EmbeddedWorkspace) -> None:
    """Take that back; what else they were granted stays."""
    for user in workspace.connection.tokens:
        take_everything(workspace.spark, user, catalogs=EVERY_CATALOG)
    for owner in workspace.owners:
        rights.put_user(workspace.spark, owner, groups=(CdConfig.approvers,))


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedWorkspace]:
    """Spark with Delta, the SQL endpoint and the REST server, with the catalogs of `CATALOGS`, `ops` and `system`.

    Its users may do everything with them; the story is told with the standard grants alone.
    """
    with EmbeddedWorkspace(tmp_path_factory.mktemp("embedded"), catalogs=CATALOGS) as embedded:
        let_everybody(embedded)
        yield embedded


@pytest.fixture(scope="session")
def spark(workspace: EmbeddedWorkspace) -> SparkSession:
    """The workspace's session; tests use schemas of their own."""
    return workspace.spark


@pytest.fixture(scope="session")
def story(workspace: EmbeddedWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Observed:
    """What was seen in the releases of the shop, in which users have the standard grants alone."""
    let_nobody(workspace)
    try:
        return tell(workspace, tmp_path_factory.mktemp("story"))
    finally:
        let_everybody(workspace)
