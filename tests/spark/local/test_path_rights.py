"""Files of a table are the table's, whatever leads to them: who lacks a right on it gets at them by no path."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from emulated_statements import Run, runner
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from dbx_cd.local import rights
from dbx_cd.local.session_user import act_as
from dbx_cd.local.workspace import EmbeddedWorkspace

SCHEMA, OWN = "stg.path_rights", "stg.path_rights_own"
KEEPER, GUEST = "keeper@example.com", "guest@example.com"
V2_FILES = "spark.sql.sources.useV1SourceList"


@dataclass(frozen=True)
class Folders:
    """Where the tables are: `secret`, `files` (Parquet) and `open`, which alone the guest may read."""

    schema: str
    link: str

    @property
    def secret(self) -> str:
        return f"{self.schema}/secret"

    @property
    def files(self) -> str:
        return f"{self.schema}/files"


@pytest.fixture(scope="module")
def keeper(workspace: EmbeddedWorkspace) -> Iterator[SparkSession]:
    """Owns the tables."""
    spark = workspace.spark.newSession()
    for user in (KEEPER, GUEST):
        rights.put_user(spark, user)
    for privilege in ("ALL PRIVILEGES", "MANAGE"):
        rights.grant(spark, KEEPER, privilege, "CATALOG stg")
    keeper = act_as(spark, KEEPER)
    for statement in (
        f"CREATE SCHEMA {SCHEMA}",
        f"CREATE SCHEMA {OWN}",
        f"CREATE TABLE {SCHEMA}.secret TBLPROPERTIES (delta.enableChangeDataFeed = true) AS SELECT 42 AS id",
        f"CREATE TABLE {SCHEMA}.open AS SELECT 1 AS id",
        f"CREATE TABLE {SCHEMA}.files (id INT) USING parquet",
        f"INSERT INTO {SCHEMA}.files SELECT 43",
    ):
        keeper.sql(statement)
    for need in (
        ("USE CATALOG", "CATALOG stg"),
        ("USE SCHEMA", f"SCHEMA {SCHEMA}"),
        ("SELECT", f"TABLE {SCHEMA}.open"),
        ("ALL PRIVILEGES", f"SCHEMA {OWN}"),
    ):
        rights.grant(spark, GUEST, *need)
    yield keeper
    for schema in (SCHEMA, OWN):
        spark.sql(f"DROP SCHEMA {schema} CASCADE")
    for user, privilege in ((KEEPER, "ALL PRIVILEGES"), (KEEPER, "MANAGE"), (GUEST, "USE CATALOG")):
        rights.revoke(spark, user, privilege, "CATALOG stg")


@pytest.fixture(scope="module")
def folders(keeper: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """The tables' folders, and a link to one of them from elsewhere."""
    schema = f"{keeper.conf.get('spark.sql.warehouse.dir')}/stg/path_rights".removeprefix("file:")
    link = tmp_path_factory.mktemp("links") / "link"
    link.symlink_to(Path(schema) / "secret")
    return Folders(schema, str(link))


@pytest.fixture
def guest(keeper: SparkSession) -> SparkSession:
    return act_as(keeper, GUEST)


def denial(privilege: str, table: str) -> str:
    return f"User does not have {privilege} on Table '{SCHEMA}.{table}'"


def by_newer_readers(session: SparkSession, path: str) -> Any:
    session.conf.set(V2_FILES, "")
    return session.read.parquet(path)


Reader = Callable[[SparkSession, Folders], Any]
READERS: dict[str, tuple[Reader, str]] = {
    "one of several paths": (lambda s, at: s.read.parquet(f"{at.schema}/open", at.files), "files"),
    "a glob": (lambda s, at: s.read.parquet(f"{at.schema}/{{open,files}}"), "files"),
    "a folder around it": (
        lambda s, at: (
            s.read.option("recursiveFileLookup", True).schema("id INT").parquet(f"{at.schema}/../path_rights")
        ),
        "secret",
    ),
    "a link": (lambda s, at: s.read.format("delta").load(at.link), "secret"),
    "Spark's newer readers of files": (lambda s, at: by_newer_readers(s, at.files), "files"),
    "changes by path": (lambda s, at: s.sql(f"SELECT * FROM table_changes_by_path('{at.secret}', 0)"), "secret"),
    "changes by path, of Python": (
        lambda s, at: (
            s.read.option("readChangeFeed", True).option("startingVersion", 0).format("delta").load(at.secret)
        ),
        "secret",
    ),
    "its history by the path of a version": (lambda s, at: s.sql(f"DESCRIBE HISTORY delta.`{at.secret}@v0`"), "secret"),
    "its columns": (lambda s, at: s.sql(f"DESCRIBE TABLE delta.`{at.secret}`"), "secret"),
}


@pytest.mark.parametrize(("reader", "table"), READERS.values(), ids=READERS)
def test_a_table_is_read_by_no_path_without_the_right_to(
    reader: Reader, table: str, keeper: SparkSession, guest: SparkSession, folders: Folders
) -> None:
    with pytest.raises(AnalysisException) as refused:
        reader(guest, folders)
    assert denial("SELECT", table) in str(refused.value)
    assert reader(act_as(keeper, KEEPER), folders).count() > 0


PLACING = {
    "CREATE TABLE {own}.t USING delta LOCATION '{secret}'": "secret",
    "CREATE TABLE {own}.t (id INT) USING parquet LOCATION '{files}'": "files",
    "CREATE OR REPLACE TABLE {own}.t LOCATION '{secret}' AS SELECT 1 AS id": "secret",
    "CREATE TABLE {own}.t LOCATION '{link}/below' AS SELECT 1 AS id": "secret",
    "CREATE TABLE {own}.t LIKE {schema}.open LOCATION '{secret}'": "secret",
    "CREATE TABLE {own}.t (id INT) USING parquet OPTIONS (path '{files}')": "files",
}


@pytest.mark.parametrize("statement", PLACING)
def test_nobody_makes_a_table_of_his_own_in_the_folder_of_another(
    statement: str, guest: SparkSession, folders: Folders
) -> None:
    text = statement.format(own=OWN, schema=SCHEMA, secret=folders.secret, files=folders.files, link=folders.link)
    with pytest.raises(AnalysisException) as refused:
        guest.sql(text)
    assert denial("MANAGE", PLACING[statement]) in str(refused.value)


def test_nor_gives_one_that_folder_later_or_by_python(guest: SparkSession, folders: Folders) -> None:
    guest.sql(f"CREATE TABLE {OWN}.moved (id INT)")
    row = guest.sql("SELECT 1 AS id")
    for attempt in (
        lambda: guest.sql(f"ALTER TABLE {OWN}.moved SET LOCATION '{folders.secret}'"),
        lambda: row.write.option("path", folders.secret).saveAsTable(f"{OWN}.t"),
        lambda: row.writeTo(f"{OWN}.t").tableProperty("location", folders.secret).using("delta").create(),
    ):
        with pytest.raises(AnalysisException) as refused:
            attempt()
        assert denial("MANAGE", "secret") in str(refused.value)


def test_a_schema_in_the_folder_of_tables_takes_their_owner(
    keeper: SparkSession, guest: SparkSession, folders: Folders
) -> None:
    rights.grant(keeper, GUEST, "CREATE SCHEMA", "CATALOG stg")
    try:
        with pytest.raises(AnalysisException, match=r"does not have MANAGE on Table 'stg\.path_rights"):
            guest.sql(f"CREATE SCHEMA stg.path_rights_2 LOCATION '{folders.schema}'")
    finally:
        rights.revoke(keeper, GUEST, "CREATE SCHEMA", "CATALOG stg")


def test_a_stream_of_files_is_not_written_into_a_table(guest: SparkSession, folders: Folders, tmp_path: Path) -> None:
    source = guest.readStream.table(f"{SCHEMA}.open").writeStream.option("checkpointLocation", str(tmp_path))
    with pytest.raises(AnalysisException) as refused:
        source.format("parquet").trigger(availableNow=True).start(folders.files)
    assert denial("MODIFY", "files") in str(refused.value)


def test_a_table_is_dropped_by_no_path_either(guest: SparkSession, folders: Folders) -> None:
    with pytest.raises(AnalysisException) as refused:
        guest.sql(f"DROP TABLE delta.`{folders.secret}`")
    assert denial("MANAGE", "secret") in str(refused.value)


def test_a_folder_of_nobody_s_table_is_free(guest: SparkSession, tmp_path: Path) -> None:
    folder = f"delta.`{tmp_path}/free`"
    run: Run = runner(guest)
    run(f"CREATE TABLE {folder} (id INT)")
    run(f"INSERT INTO {folder} VALUES (1)")
    run(f"ALTER TABLE {folder} ADD COLUMNS (more INT)")
    assert run(f"DESCRIBE DETAIL {folder}")
    run(f"OPTIMIZE {folder}")
    run(f"VACUUM {folder}")
    run(f"CREATE TABLE {OWN}.copied SHALLOW CLONE {folder}")
    assert run(f"SELECT * FROM {OWN}.copied") == [(1, None)]
    run(f"CREATE TABLE {OWN}.placed LOCATION '{tmp_path}/placed' AS SELECT 1 AS id")
    run(f"CREATE OR REPLACE TABLE {OWN}.placed LOCATION '{tmp_path}/placed' AS SELECT 2 AS id")
    assert run(f"SELECT * FROM {OWN}.placed") == [(2,)]


def test_the_owner_names_his_table_by_its_path(keeper: SparkSession, folders: Folders) -> None:
    run = runner(keeper)
    path = f"delta.`{folders.secret}`"
    assert run(f"DESCRIBE DETAIL {path}")
    assert run(f"DESCRIBE TABLE {path}")
    run(f"OPTIMIZE {path}")
    run(f"CREATE TABLE {SCHEMA}.copied SHALLOW CLONE {path}")
    assert run(f"SELECT * FROM {SCHEMA}.copied") == [(42,)]
