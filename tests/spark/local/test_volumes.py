"""Volumes: created by SQL, found by SQL, over REST and in tasks, and gone with their files."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa
import pytest
from databricks import sql
from databricks.sdk.errors import NotFound
from databricks.sdk.service.jobs import NotebookTask, Source, SubmitTask
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dbx_cd.errors import DbxCdError
from dbx_cd.local.emulation import emulate
from dbx_cd.local.workspace import OWNER, RELEASE_BOT, EmbeddedWorkspace

SCHEMA = "stg.volumes"
Run = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def run(workspace: EmbeddedWorkspace) -> Iterator[Run]:
    """Statements as the workspace itself runs them."""
    session = workspace.spark.newSession()

    def run_emulated(statement: str) -> list[tuple[Any, ...]]:
        answer = emulate(session, statement)
        if isinstance(answer, pa.Table):
            return [tuple(row.values()) for row in answer.to_pylist()]
        return [tuple(row) for row in session.sql(answer).collect()]

    run_emulated(f"CREATE SCHEMA {SCHEMA}")
    yield run_emulated
    run_emulated(f"DROP SCHEMA {SCHEMA} CASCADE")


def test_a_volume_is_created_described_listed_and_dropped_with_its_files(
    run: Run, workspace: EmbeddedWorkspace
) -> None:
    run(f"CREATE VOLUME IF NOT EXISTS {SCHEMA}.Files COMMENT 'it''s for files'")
    run(f"CREATE VOLUME {SCHEMA}.`more_files`")
    (row,) = run(f"DESCRIBE VOLUME {SCHEMA}.files")
    assert (*row[:3], *row[4:]) == ("files", "stg", "volumes", None, "MANAGED", "it's for files")
    assert run(f"SHOW VOLUMES IN {SCHEMA}") == [("volumes", "files"), ("volumes", "more_files")]
    assert run(f"SHOW VOLUMES FROM {SCHEMA} LIKE 'more*'") == [("volumes", "more_files")]
    run(f"COMMENT ON VOLUME {SCHEMA}.files IS NULL")
    assert run(
        "SELECT volume_catalog, volume_schema, volume_name, volume_type, comment "
        "FROM system.information_schema.volumes WHERE volume_schema = 'volumes' ORDER BY volume_name"
    ) == [("stg", "volumes", name, "MANAGED", None) for name in ("files", "more_files")]
    files = workspace.client(OWNER).files
    files.upload("/Volumes/stg/volumes/files/a/b", io.BytesIO(b"x"))
    run(f"DROP VOLUME {SCHEMA}.files")
    assert not workspace.volume_path("/Volumes/stg/volumes/files").exists()
    with pytest.raises(NotFound, match=r"Volume 'stg\.volumes\.files' does not exist"):
        files.download("/Volumes/stg/volumes/files/a/b")
    run(f"CREATE VOLUME {SCHEMA}.files")
    assert list(files.list_directory_contents("/Volumes/stg/volumes/files")) == []


def test_a_schema_holds_its_volumes_and_takes_them_with_it(run: Run, workspace: EmbeddedWorkspace) -> None:
    run("CREATE SCHEMA stg.volumes_gone")
    run("CREATE VOLUME stg.volumes_gone.v")
    with pytest.raises(Exception, match="SCHEMA_NOT_EMPTY"):
        run("DROP SCHEMA stg.volumes_gone")
    run("DROP SCHEMA stg.volumes_gone CASCADE")
    assert not workspace.volume_path("/Volumes/stg/volumes_gone/v").exists()
    run("CREATE SCHEMA stg.volumes_gone")
    assert run("SHOW VOLUMES IN stg.volumes_gone") == []
    run("DROP SCHEMA stg.volumes_gone")


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        (f"CREATE VOLUME {SCHEMA}.twice", r"\[VOLUME_ALREADY_EXISTS\].*`stg`.`volumes`.`twice`.*42000"),
        (f"DROP VOLUME {SCHEMA}.nothing", r"\[VOLUME_DOES_NOT_EXIST\] Volume stg\.volumes\.nothing .*42704"),
        (f"DESCRIBE VOLUME {SCHEMA}.nothing", r"\[VOLUME_DOES_NOT_EXIST\]"),
        (f"COMMENT ON VOLUME {SCHEMA}.nothing IS 'x'", r"\[VOLUME_DOES_NOT_EXIST\]"),
        ("CREATE VOLUME stg.no_such_schema.v", r"\[SCHEMA_NOT_FOUND\] The schema `stg`.`no_such_schema`.*42704"),
        (f"CREATE VOLUME {SCHEMA}.`a/b`", "cannot be the name of a volume"),
        (f"CREATE VOLUME {SCHEMA}.`..`", "cannot be the name of a volume"),
        (f"CREATE EXTERNAL VOLUME {SCHEMA}.e LOCATION 's3://x'", r"\[UNSUPPORTED_FEATURE\] CREATE EXTERNAL VOLUME"),
    ],
)
def test_what_cannot_be_done_with_a_volume_is_refused_in_the_platform_s_words(
    run: Run, statement: str, error: str
) -> None:
    run(f"CREATE VOLUME IF NOT EXISTS {SCHEMA}.twice")
    with pytest.raises((DbxCdError, PySparkException), match=error):
        run(statement)
    run(f"DROP VOLUME IF EXISTS {SCHEMA}.nothing")


def test_volumes_are_created_through_the_connector_in_the_session_s_own_schema(
    run: Run, workspace: EmbeddedWorkspace
) -> None:
    run(f"GRANT USE CATALOG ON CATALOG stg TO `{RELEASE_BOT}`")
    run(f"GRANT USE SCHEMA, CREATE VOLUME ON SCHEMA {SCHEMA} TO `{RELEASE_BOT}`")
    connection = workspace.connection
    with (
        sql.connect(
            server_hostname="127.0.0.1",
            http_path=connection.http_path,
            access_token=connection.tokens[RELEASE_BOT],
            _connection_uri=connection.sql_host + connection.http_path,
            enable_telemetry=False,
            catalog="stg",
            schema="volumes",
        ) as opened,
        opened.cursor() as cursor,
    ):
        cursor.execute("-- by the bot\nCREATE VOLUME of_the_bot")
        cursor.execute("DESCRIBE VOLUME of_the_bot")
        assert cursor.fetchall()[0].asDict()["owner"] == RELEASE_BOT
        cursor.execute("SHOW VOLUMES LIKE 'of_the*'")
        assert [tuple(row) for row in cursor.fetchall()] == [("volumes", "of_the_bot")]
    assert workspace.volume_path("/Volumes/stg/volumes/of_the_bot").is_dir()


def test_a_statement_that_only_mentions_volumes_is_left_as_it_is(spark: SparkSession) -> None:
    for statement in ("CREATE TABLE volume AS SELECT 1 /* not a volume */", "DROP TABLE volume", "SHOW TABLES"):
        assert emulate(spark, statement) is statement
    comment = "CREATE VIEW v AS SELECT 1 -- create volume x\n"
    assert emulate(spark, comment) is comment


def test_a_task_writes_to_a_volume_that_was_created_and_to_no_other(run: Run, workspace: EmbeddedWorkspace) -> None:
    run(f"CREATE VOLUME IF NOT EXISTS {SCHEMA}.tasks")
    run(f"GRANT USE CATALOG ON CATALOG stg TO `{OWNER}`")
    run(f"GRANT USE SCHEMA ON SCHEMA {SCHEMA} TO `{OWNER}`")
    run(f"GRANT READ VOLUME, WRITE VOLUME ON VOLUME {SCHEMA}.tasks TO `{OWNER}`")
    folder = workspace.state_dir / "Workspace"
    folder.mkdir(exist_ok=True)
    (folder / "writes.py").write_text(
        "# Databricks notebook source\n"
        "from pathlib import Path\n"
        "place = Path(dbutils.widgets.get('place'))\n"
        "place.mkdir(parents=True, exist_ok=True)\n"
        "(place / 'file').write_text('x')\n"
        "dbutils.notebook.exit((place / 'file').read_text())\n"
    )
    client = workspace.client(OWNER)

    def write(volume: str) -> str:
        place = str(workspace.volume_path(f"/Volumes/stg/volumes/{volume}/deep"))
        task = SubmitTask(
            task_key="writes",
            notebook_task=NotebookTask("/Workspace/writes", base_parameters={"place": place}, source=Source.WORKSPACE),
        )
        run_id = client.jobs.submit(run_name="writes", tasks=[task]).response.run_id
        workspace.rest.wait(run_id)
        (ended,) = client.jobs.get_run(run_id).tasks or ()
        output = client.jobs.get_run_output(ended.run_id or 0)
        return str(output.error or (output.notebook_output and output.notebook_output.result))

    assert write("tasks") == "x"
    assert write("never_created") == (
        f"OSError: [Errno 95] Operation not supported: '{workspace.volume_path('/Volumes/stg/volumes/never_created')}'"
    )
