"""Whose name the history of a table has, as `userName`, and that SQL cannot change it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
import yaml
from databricks import sql
from databricks.sdk.service.jobs import JobRunAs, NotebookTask, Source, SubmitTask
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from dbx_cd.local.run import submit_notebook
from dbx_cd.local.session_user import act_as
from dbx_cd.local.workspace import CI, DEVELOPER, OWNER, RELEASE_BOT, EmbeddedWorkspace

ANNA, BEN = "anna@example.org", "ben@example.org"


@pytest.fixture(scope="module")
def anna(spark: SparkSession) -> SparkSession:
    spark.sql("CREATE SCHEMA IF NOT EXISTS stg.commit_user")
    return act_as(spark, ANNA)


@pytest.fixture
def table(anna: SparkSession) -> str:
    return f"stg.commit_user.t_{uuid.uuid4().hex[:8]}"


@pytest.fixture
def commits(spark: SparkSession) -> Callable[[str], list[tuple[str, str | None]]]:
    """Operation and user of each commit of a table, oldest first."""

    def ask(name: str) -> list[tuple[str, str | None]]:
        rows = spark.sql(f"DESCRIBE HISTORY {name}").orderBy("version").collect()
        return [(row["operation"], row["userName"]) for row in rows]

    return ask


Commits = Callable[[str], list[tuple[str, str | None]]]


def log_of(spark: SparkSession, table: str) -> Path:
    location = spark.sql(f"DESCRIBE DETAIL {table}").collect()[0]["location"]
    return Path(urlparse(location).path) / "_delta_log"


@pytest.mark.deep
def test_every_kind_of_commit_names_the_user_of_the_session(anna: SparkSession, table: str, commits: Commits) -> None:
    anna.sql("SET spark.databricks.delta.vacuum.logging.enabled = true")
    anna.sql(f"CREATE TABLE {table} AS SELECT 1 AS id")
    anna.range(3).write.mode("append").saveAsTable(table)
    anna.range(3).writeTo(table).append()
    anna.sql(f"UPDATE {table} SET id = 9 WHERE id = 2")
    anna.sql(f"DELETE FROM {table} WHERE id = 0")
    anna.sql(f"MERGE INTO {table} t USING (SELECT 9 AS id) s ON t.id = s.id WHEN MATCHED THEN DELETE")
    anna.sql(f"OPTIMIZE {table}")
    anna.sql(f"ALTER TABLE {table} ADD COLUMN note STRING")
    anna.sql(f"VACUUM {table}")
    anna.sql(f"RESTORE TABLE {table} TO VERSION AS OF 1")
    # Two commits of Delta's own: the protocol and row ids for the rows that are there.
    anna.sql(f"ALTER TABLE {table} SET TBLPROPERTIES ('delta.enableRowTracking' = 'true')")
    anna.sql(f"CREATE OR REPLACE TABLE {table} AS SELECT 2 AS id")
    seen = commits(table)
    assert {operation for operation, _ in seen} == {
        *("CREATE TABLE AS SELECT", "WRITE", "UPDATE", "DELETE", "MERGE", "OPTIMIZE", "ADD COLUMNS", "VACUUM START"),
        *("VACUUM END", "RESTORE", "UPGRADE PROTOCOL", "ROW TRACKING BACKFILL", "SET TBLPROPERTIES"),
        "CREATE OR REPLACE TABLE AS SELECT",
    }
    assert {user for _, user in seen} == {ANNA}


@pytest.mark.deep
def test_converted_and_cloned_tables_name_who_made_them(
    anna: SparkSession, table: str, commits: Commits, tmp_path: Path
) -> None:
    anna.range(3).write.parquet(f"{tmp_path}/files")
    anna.sql(f"CONVERT TO DELTA parquet.`{tmp_path}/files`")
    assert commits(f"delta.`{tmp_path}/files`") == [("CONVERT", ANNA)]
    act_as(anna, BEN).sql(f"CREATE TABLE {table} SHALLOW CLONE delta.`{tmp_path}/files`")
    assert commits(table)[-1] == ("CLONE", BEN)


@pytest.mark.deep
def test_stream_writes_as_the_user_of_the_session_that_started_it(
    anna: SparkSession, table: str, commits: Commits, tmp_path: Path
) -> None:
    anna.sql(f"CREATE TABLE {table} AS SELECT 1 AS id")
    target = f"{tmp_path}/streamed"
    stream = anna.readStream.table(table).writeStream.format("delta").option("checkpointLocation", f"{tmp_path}/state")
    stream.trigger(availableNow=True).start(target).awaitTermination()
    assert commits(f"delta.`{target}`") == [("STREAMING UPDATE", ANNA)]


def test_plain_session_names_nobody(spark: SparkSession, table: str, commits: Commits) -> None:
    spark.sql(f"CREATE TABLE {table} AS SELECT 1 AS id")
    assert commits(table) == [("CREATE TABLE AS SELECT", None)]


def test_new_session_of_a_user_s_session_has_the_same_user(anna: SparkSession, table: str, commits: Commits) -> None:
    own = anna.newSession().newSession()
    own.conf.set("spark.databricks.delta.commitInfo.userMetadata", "signed")
    own.sql(f"CREATE TABLE {table} AS SELECT 1 AS id")
    assert commits(table) == [("CREATE TABLE AS SELECT", ANNA)]


def test_sessions_of_two_users_in_one_process_do_not_mix(anna: SparkSession, table: str, commits: Commits) -> None:
    ben = act_as(anna, BEN)
    anna.sql(f"CREATE TABLE {table} (id BIGINT)")
    ben.createDataFrame([(1,)], "id BIGINT").write.mode("append").saveAsTable(table)
    anna.sql(f"INSERT INTO {table} VALUES (2)")
    assert [user for _, user in commits(table)] == [ANNA, BEN, ANNA]


@pytest.mark.parametrize(
    "statement",
    [
        "SET spark.delta.logStore.file.impl = io.delta.storage.HDFSLogStore",
        "SET spark.delta.logStore.file.impl = there.is.NoSuchClass",
        "SET spark.databricks.delta.logStore.file.impl = there.is.NoSuchClass",
        "SET spark.delta.logStore.class = there.is.NoSuchClass",
        'SET spark.databricks.delta.commitInfo.userMetadata = ","userName":"mallory',
        'SET spark.databricks.delta.commitInfo.userMetadata = {"commitInfo":{"userName":"mallory"}}',
        "SET userName = mallory",
        "SET spark.databricks.delta.commitInfo.enabled = false",
        "SET spark.sql.optimizer.excludedRules = dbxcd.local.SessionUser",
    ],
)
def test_no_setting_changes_the_user(anna: SparkSession, table: str, commits: Commits, statement: str) -> None:
    session = anna.newSession()
    session.sql(statement)
    session.sql(f"CREATE TABLE {table} AS SELECT 1 AS id")
    assert commits(table) == [("CREATE TABLE AS SELECT", ANNA)]


def test_no_property_or_option_changes_the_user(anna: SparkSession, table: str, commits: Commits) -> None:
    anna.sql(f"CREATE TABLE {table} TBLPROPERTIES ('userName' = 'mallory') AS SELECT 1L AS id")
    options = {"userName": "mallory", "userMetadata": '","userName":"mallory'}
    anna.range(1).write.options(**options).mode("append").saveAsTable(table)
    assert [user for _, user in commits(table)] == [ANNA, ANNA]


@pytest.mark.parametrize("arguments", ["'set', 'mallory'", "'set', '', 'mallory'", "'active'"])
def test_sql_cannot_call_what_sets_the_user(anna: SparkSession, arguments: str) -> None:
    with pytest.raises(PySparkException, match="DATATYPE_MISMATCH"):
        anna.sql(f"SELECT reflect('dbxcd.local.SessionUser', {arguments})").collect()


def test_a_name_that_is_not_the_session_s_is_taken_out(spark: SparkSession, tmp_path: Path) -> None:
    jvm, conf = spark._jvm, spark._jsc.hadoopConfiguration()  # type: ignore[union-attr]
    info = {"timestamp": 1, "userId": "7", "userName": "mallory", "operation": "WRITE", "rate": 0.25, "note": "Zoë"}
    actions = jvm.java.util.ArrayList()
    actions.add(json.dumps({"commitInfo": info}, separators=(",", ":")))
    actions.add('{"add":{"path":"x","stats":"{\\"commitInfo\\":{\\"userName\\":\\"mallory\\"}}"}}')
    jvm.org.apache.spark.sql.classic.SparkSession.setActiveSession(spark._jsparkSession)
    written = tmp_path / f"{0:020}.json"
    store = jvm.dbxcd.local.CommitLog(conf)
    store.write(jvm.org.apache.hadoop.fs.Path(written.as_uri()), actions.iterator(), False, conf)
    first, second = written.read_text().splitlines()
    assert json.loads(first) == {"commitInfo": {k: v for k, v in info.items() if not k.startswith("user")}}
    assert second == actions[1], "other actions are not looked at"


def test_tables_with_in_commit_timestamps_and_checkpoints_are_read_as_ever(
    anna: SparkSession, spark: SparkSession, table: str, commits: Commits
) -> None:
    properties = "'delta.enableInCommitTimestamps' = 'true', 'delta.checkpointInterval' = '2'"
    anna.sql(f"CREATE TABLE {table} TBLPROPERTIES ({properties}) AS SELECT 0 AS id")
    for number in range(1, 5):
        anna.sql(f"INSERT INTO {table} VALUES ({number})")
    log = log_of(spark, table)
    assert {"_last_checkpoint", f"{4:020}.checkpoint.parquet"} <= {file.name for file in log.iterdir()}
    first_lines = [json.loads(f.read_text().splitlines()[0])["commitInfo"] for f in sorted(log.glob("*.json"))]
    rows = spark.sql(f"DESCRIBE HISTORY {table}").orderBy("version").collect()
    assert [int(row["timestamp"].timestamp() * 1000) for row in rows] == [i["inCommitTimestamp"] for i in first_lines]
    assert [row["userName"] for row in rows] == [ANNA] * 5
    at_two = spark.sql(f"SELECT count(*) FROM {table} TIMESTAMP AS OF '{rows[2]['timestamp']}'").collect()[0][0]
    assert at_two == 3


def test_each_token_s_statements_over_the_endpoint_name_its_user(
    workspace: EmbeddedWorkspace, table: str, commits: Commits
) -> None:
    tokens = workspace.connection.tokens

    def run(statement: str, token: str) -> None:
        with sql.connect(
            "127.0.0.1", workspace.endpoint.http_path, access_token=token, enable_telemetry=False,
            _connection_uri=f"{workspace.endpoint.host}{workspace.endpoint.http_path}",
        ) as connection:  # fmt: skip
            connection.cursor().execute(statement)

    run(f"CREATE TABLE {table} AS SELECT 1 AS id", tokens[OWNER])
    run(f"INSERT INTO {table} VALUES (2)", tokens[DEVELOPER])
    run(f"ALTER TABLE {table} ALTER COLUMN id SET NOT NULL", tokens[CI])
    run(f"INSERT INTO {table} VALUES (3)", workspace.endpoint.token)
    assert [user for _, user in commits(table)] == [OWNER, DEVELOPER, CI, None], "the endpoint's own token is nobody's"


def notebook(workspace: EmbeddedWorkspace, name: str, source: str) -> None:
    file = workspace.state_dir / "Workspace" / "notebooks" / f"{name}.py"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"# Databricks notebook source\n{source}")


def test_notebook_writes_as_the_user_of_its_run(workspace: EmbeddedWorkspace, table: str, commits: Commits) -> None:
    cells = f"spark.sql('CREATE TABLE {table} (id INT)')\nspark.newSession().sql('INSERT INTO {table} VALUES (1)')"
    notebook(workspace, "commit_user_spark", cells)
    submit_notebook(workspace.client(DEVELOPER), "commit_user_spark", {})
    assert [user for _, user in commits(table)] == [DEVELOPER, DEVELOPER]


def test_dbt_in_a_task_writes_as_the_user_whom_the_run_runs_as(
    workspace: EmbeddedWorkspace, table: str, commits: Commits, tmp_path: Path
) -> None:
    catalog, schema, name = table.split(".")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / f"{name}.sql").write_text("{{ config(materialized='table') }} select 1 as id")
    (tmp_path / "dbt_project.yml").write_text(yaml.safe_dump({"name": "p", "version": "1.0", "profile": "p"}))
    output: dict[str, Any] = {"type": "databricks", "catalog": catalog, "schema": schema, "threads": 1}
    profile = {"p": {"target": "t", "outputs": {"t": output | workspace.profile_connection}}}
    (tmp_path / "profiles.yml").write_text(yaml.safe_dump(profile))
    notebook(
        workspace,
        "commit_user_dbt",
        "from pathlib import Path\nfrom dbx_cd.dbt.process import start_dbt\n"
        f"process = start_dbt(['run', '--profiles-dir', '.'], cwd=Path({str(tmp_path)!r}))\n"
        "assert process.stdout is not None\nsaid = process.stdout.read()\nassert process.wait() == 0, said\n"
        "dbutils.notebook.exit(type(process).__name__)",
    )
    client = workspace.client(CI)  # an administrator: may have a run under another name
    task = SubmitTask(
        task_key="dbt", notebook_task=NotebookTask("/Workspace/notebooks/commit_user_dbt", source=Source.WORKSPACE)
    )
    run = client.jobs.submit(run_name="dbt", tasks=[task], run_as=JobRunAs(service_principal_name=RELEASE_BOT)).result()
    attempt = (run.tasks or [])[0].run_id or 0
    output_of_run = client.jobs.get_run_output(attempt)
    assert output_of_run.error is None
    assert output_of_run.notebook_output is not None
    assert output_of_run.notebook_output.result == "WarmProcess", "the user's token keeps nobody from a fork"
    assert {user for _, user in commits(table)} == {RELEASE_BOT}
