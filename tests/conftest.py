"""How the tests are shared out when several processes run them (`make test`, by pytest-xdist).

Each group runs in one process, in its order, so that what is costly is made once: an embedded workspace with its JVM,
the story of the shop's releases, a file's own fixtures. The groups that take longest come first.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest

import other_sparks
import spark_kind

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from dbx_cd.local.workspace import EmbeddedWorkspace

STORY = {"test_walkthrough.py", "test_runbook.py", "test_shop.py"}
"""The files that look at the story of the shop."""
APART = STORY | {"test_restore_kill.py", "test_catalog_dbt.py"}
"""What has an embedded workspace beside that of the rest of `tests/spark`: the story, and some of the deep tests."""
OWN = {"test_run.py", "test_catalog_restart.py", "test_three_catalogs.py"}
"""What starts and ends workspaces of its own (`tests/spark/local`), and shares none."""
CATALOGS = ("stg", "prod", "dev_anna")


def group_of(nodeid: str) -> str:
    """The group of a test."""
    file = PurePosixPath(nodeid.split("::")[0])
    if "adapter" in file.parts:
        return "adapter"  # dbt's own tests: the workspace of whichever process is free for them
    if "spark" not in file.parts:
        return "dbt" if file.parts[-3:-1] == ("processes", "dbt") else str(file)  # one process that imports dbt
    if file.parent.name == "local" and file.name in OWN:
        return str(file)
    return "spark, apart" if file.name in APART else "spark"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """On another Spark only the files that run on every one."""
    is_test = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if is_test and not other_sparks.is_wanted(collection_path) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Nobody else may use the story: it would be told a second time, for minutes."""
    other_sparks.leave_out(config, items)
    stray = {i.path.name for i in items if "story" in getattr(i, "fixturenames", ())} - STORY
    if stray:
        raise pytest.UsageError(f"{', '.join(sorted(stray))}: uses the story of the shop and is not in STORY")


SAID = pytest.StashKey[list[str]]()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """On another Spark: find out what ran and what did not, and fail where that was too little."""
    reporter: Any = session.config.pluginmanager.get_plugin("terminalreporter")
    if spark_kind.KIND == "embedded" or reporter is None or session.config.option.collectonly:
        return
    is_whole = session.config.args_source == pytest.Config.ArgsSource.TESTPATHS and not session.config.option.keyword
    passed = len(reporter.stats.get("passed", ()))
    lines, enough = other_sparks.summary(passed, kind=spark_kind.KIND, is_whole=is_whole)
    session.config.stash[SAID] = lines
    if not enough:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """What `pytest_sessionfinish` has found."""
    for line in config.stash.get(SAID, []):
        terminalreporter.write_line(line)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """The scheduler for groups, in the order of collection: `tests/spark` is the first of `testpaths`."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    config.option.loadscopereorder = False
    return Groups(config, log)


# Imported by the first test that needs them: a process that runs unit tests alone starts in a second.
@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedWorkspace]:
    """Spark with Delta, the SQL endpoint and the REST server, with the catalogs of `CATALOGS`, `ops` and `system`.

    One for all tests of a process: starting one takes longer than most tests. Its users may do everything with these
    catalogs; the story is told with the standard grants alone.
    """
    from dbx_cd.local.workspace import EmbeddedWorkspace
    from wide_rights import let_everybody

    with EmbeddedWorkspace(tmp_path_factory.mktemp("embedded"), catalogs=CATALOGS) as embedded:
        let_everybody(embedded)
        yield embedded


@pytest.fixture(scope="session")
def spark(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """The workspace's session, or that of another Spark (`spark_kind.py`); tests use schemas of their own."""
    if spark_kind.KIND == "embedded":
        yield request.getfixturevalue("workspace").spark
        return
    with spark_kind.other_spark(tmp_path_factory.mktemp("spark")) as other:
        yield other
