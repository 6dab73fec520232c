"""Source tables from files, and files from a workspace: a sample of one target's sources is loaded as another's."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from artifact_folders import manifest, node
from git_repositories import fill
from pyspark.sql import SparkSession

from dbx_cd import ConfigError, run_dbt
from dbx_cd.cli.main import main
from dbx_cd.config import WARM_DBT
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.local.emulation import emulate
from dbx_cd.local.sources.declared import DeclaredColumn
from dbx_cd.local.sources.loading import load_sources
from dbx_cd.local.sources.reading import read
from dbx_cd.local.sources.tables import SourceTable, source_tables, with_files
from dbx_cd.local.workspace import OWNER, EmbeddedWorkspace
from dbx_cd.warm.parent import WarmParent

PROJECT = {
    "dbt_project.yml": "name: small\nprofile: small\n",
    "models/sources.yml": """
sources:
  - name: crm
    database: "{{ target.database }}"
    schema: sampled
    tables:
      - name: people
        columns: [{name: born, config: {meta: {pii: true}}}]
      - name: mails
      - name: nothing
      - name: only_declared
        columns: [{name: id, data_type: bigint}, {name: note}]
      - name: unknown
""",
}
REAL = (
    "CREATE SCHEMA dev_anna.sampled",
    """CREATE TABLE dev_anna.sampled.people TBLPROPERTIES ('delta.columnMapping.mode' = 'name') AS SELECT * FROM VALUES
      (1L, 'Ärzte', 'a@x.org', DATE'1990-01-02', 10.50BD, TIMESTAMP'2026-01-02 03:04:05.123456',
       TIMESTAMP_NTZ'2026-01-02 03:04:05', named_struct('city', 'Köln', 'zips', array(1, 2)), double('NaN')),
      (2L, NULL, NULL, NULL, -0.01BD, NULL, NULL, NULL, 0.5D)
      AS t (id, `größe in cm`, email, born, amount, seen, noted, address, score)""",
    "ALTER TABLE dev_anna.sampled.people ALTER COLUMN email SET TAGS ('pii' = '')",
    "CREATE TABLE dev_anna.sampled.mails AS SELECT 'a@x.org' AS mail, id FROM range(5)",
    "ALTER TABLE dev_anna.sampled.mails ALTER COLUMN mail SET TAGS ('classification' = 'confidential')",
    "CREATE TABLE dev_anna.sampled.nothing (id BIGINT, price DECIMAL(10, 3))",
)


@dataclass
class Sampled:
    """What `sample` left, and the sources of the target that it is loaded as."""

    folder: Path
    code: int
    manifests: dict[str, Manifest]
    project: Path

    def tables(self) -> list[SourceTable]:
        return with_files(source_tables(self.manifests), self.folder, self.manifests)


@pytest.fixture(scope="module")
def sampled(workspace: EmbeddedWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sampled]:
    """The real workspace is `dev_anna`; the laptop's is `prod`."""
    folder = tmp_path_factory.mktemp("sampled")
    for statement in REAL:
        answer = emulate(workspace.spark, statement)
        if isinstance(answer, str):
            workspace.spark.sql(answer)
    connection = workspace.connection
    output = {
        "type": "databricks",
        "host": connection.sql_host,
        "http_path": connection.http_path,
        "token": "{{ env_var('PEOPLE_TOKEN') }}",
        "schema": "s",
        "connection_parameters": {
            "_connection_uri": f"{connection.sql_host}{connection.http_path}",
            "enable_telemetry": False,
        },
    }
    outputs = {name: {**output, "catalog": catalog} for name, catalog in (("prod", "dev_anna"), ("laptop", "prod"))}
    project = fill(folder / "project", PROJECT | {"profiles.yml": json.dumps({"small": {"outputs": outputs}})})
    with pytest.MonkeyPatch.context() as patch, WarmParent("dbx_cd.dbt.warm") as parent:
        patch.setenv(WARM_DBT, str(parent.address))
        patch.setenv("PEOPLE_TOKEN", connection.tokens[OWNER])
        arguments = ["sample", str(folder / "sample"), "--project", str(project), "--rows", "3"]
        code = main(arguments)
        ran = run_dbt("parse", target="laptop", project_dir=project, work_dir=folder / "work")
    yield Sampled(folder / "sample", code, {"laptop": Manifest.load(ran.files_dir / "manifest.json")}, project)
    workspace.spark.sql("DROP SCHEMA dev_anna.sampled CASCADE")


def rows(spark: SparkSession, table: str) -> list[dict[str, Any]]:
    return [row.asDict(recursive=True) for row in spark.table(table).collect()]


def test_a_sample_masks_by_tags_and_by_the_project_and_keeps_what_joins(sampled: Sampled) -> None:
    people = pq.read_table(sampled.folder / "crm.people.parquet").to_pylist()
    mails = pq.read_table(sampled.folder / "crm.mails.parquet").to_pylist()
    assert [person["born"] for person in people] == [None, None]
    digest, none = (person["email"] for person in sorted(people, key=lambda p: p["id"]))
    assert none is None
    assert len(digest) == 32
    assert {row["mail"] for row in mails} == {digest}
    assert b"a@x.org" not in b"".join(path.read_bytes() for path in sampled.folder.iterdir())


def test_a_sample_says_what_is_in_it_and_is_seen_by_neither_others_nor_git(sampled: Sampled) -> None:
    record = json.loads((sampled.folder / "_sample.json").read_text())
    assert {file: (t["rows"], t["masked"]) for file, t in record["tables"].items()} == {
        "crm.people.parquet": (2, ["email", "born"]),
        "crm.mails.parquet": (3, ["mail"]),
        "crm.nothing.parquet": (0, []),
    }
    assert sampled.folder.stat().st_mode & 0o777 == 0o700
    assert (sampled.folder / ".gitignore").read_text() == "*\n"
    assert [path.name for path in sampled.folder.parent.glob(".sample*")] == []


def test_sources_that_cannot_be_read_are_told_by_the_exit_code(sampled: Sampled) -> None:
    assert sampled.code == 1
    assert not list(sampled.folder.glob("crm.unknown.*"))


@pytest.fixture(scope="module")
def said(sampled: Sampled, spark: SparkSession) -> Iterator[list[str]]:
    """What the first load says."""
    lines: list[str] = []
    load_sources(spark, sampled.tables(), project_dir=sampled.project, say=lines.append)
    yield lines
    spark.sql("DROP SCHEMA prod.sampled CASCADE")


def test_a_sample_is_loaded_with_every_type_and_value(said: list[str], spark: SparkSession) -> None:
    types = ["bigint", "string", "string", "date", "decimal(4,2)", "timestamp", "timestamp_ntz"]
    struct = "struct<city:string,zips:array<int>>"
    assert [kind for _, kind in spark.table("prod.sampled.people").dtypes] == [*types, struct, "double"]
    first, second = sorted(rows(spark, "prod.sampled.people"), key=lambda row: row["id"])
    assert (first["größe in cm"], first["amount"]) == ("Ärzte", Decimal("10.50"))
    assert first["noted"] == datetime(2026, 1, 2, 3, 4, 5)
    assert spark.table("prod.sampled.people").where("seen = TIMESTAMP'2026-01-02 03:04:05.123456'").count() == 1
    assert first["address"] == {"city": "Köln", "zips": [1, 2]}
    assert math.isnan(first["score"])
    assert (second["address"], second["score"], second["amount"]) == (None, 0.5, Decimal("-0.01"))
    assert spark.table("prod.sampled.nothing").dtypes == [("id", "bigint"), ("price", "decimal(10,3)")]


def test_what_has_no_file_is_told_line_by_line(said: list[str], spark: SparkSession) -> None:
    assert said[0] == "source prod.sampled.people has 2 rows from crm.people.parquet"
    (empty,) = [line for line in said if "EMPTY" in line]
    assert empty.startswith("source prod.sampled.only_declared is EMPTY: it has no file; its columns are those that")
    assert spark.table("prod.sampled.only_declared").dtypes == [("id", "bigint"), ("note", "string")]
    (none,) = [line for line in said if "does not exist" in line]
    assert "prod.sampled.unknown" in none
    assert "Next: put crm.unknown.csv" in none


def test_loading_again_changes_nothing(said: list[str], sampled: Sampled, spark: SparkSession) -> None:
    def versions() -> list[int]:
        return [spark.sql(f"DESCRIBE HISTORY prod.sampled.{t}").count() for t in ("people", "mails", "only_declared")]

    before, lines = versions(), []
    load_sources(spark, sampled.tables(), project_dir=sampled.project, say=lines.append)
    assert versions() == before
    assert lines[-1] == "sources: 4 as an earlier start has loaded them"
    assert len(lines) == 2  # and the one that nothing is known of


def test_a_table_that_somebody_has_written_stays_and_a_changed_file_is_loaded_anew(
    said: list[str], sampled: Sampled, spark: SparkSession, tmp_path: Path
) -> None:
    by_name = {table.short: table for table in sampled.tables()}
    spark.sql("INSERT INTO prod.sampled.mails VALUES ('own', 9)")
    files = fill(tmp_path, {"crm.mails.csv": "mail,id\nnew,1\n", "crm.nothing.json": '{"id": 7}\n{"id": 8}\n'})
    changed = [replace(by_name[f"crm.{name}"], file=files / f"crm.{name}.{kind}") for name, kind in
               (("mails", "csv"), ("nothing", "json"))]  # fmt: skip
    lines: list[str] = []
    load_sources(spark, changed, project_dir=sampled.project, say=lines.append)
    assert lines == [
        "source prod.sampled.mails is left as it is, crm.mails.csv is not loaded: something else has written it. "
        "Next: drop it to have it loaded",
        "source prod.sampled.nothing has 2 rows again from crm.nothing.json",
    ]
    assert {row["mail"] for row in rows(spark, "prod.sampled.mails")} >= {"own"}
    assert [row["id"] for row in rows(spark, "prod.sampled.nothing")] == [7, 8]


# ---------------------------------------------------------------- types


def column(name: str, data_type: str | None) -> DeclaredColumn:
    return DeclaredColumn(name, data_type, "models/s.yml:7")


def test_text_becomes_what_is_declared(spark: SparkSession, tmp_path: Path) -> None:
    text = '{"a": 1, "b": "2026-01-02", "c": {"x": 1.5}, "d": "NaN", "e": [1]}\n'
    fill(tmp_path, {"s.t.json": text, "s.t.csv": 'a,b,c,d,e\n1,2026-01-02,"{""x"": 1.5}",NaN,\n'})
    declared = [
        *(column("A", "decimal(12, 2)"), column("b", "DATE")),
        *(column("c", "struct<x: double>"), column("d", "double"), column("e", None)),
    ]
    for kind, undeclared in (("json", "array<bigint>"), ("csv", "string")):
        frame = read(spark, tmp_path / f"s.t.{kind}", declared, temporary=tmp_path)
        assert [t for _, t in frame.dtypes] == ["decimal(12,2)", "date", "struct<x:double>", "double", undeclared]
        row = frame.collect()[0]
        assert (row["a"], row["b"], row["c"]["x"]) == (Decimal("1.00"), date(2026, 1, 2), 1.5)
        assert math.isnan(row["d"])


@pytest.mark.parametrize(
    ("text", "declared", "message"),
    [
        ("a\n1\n2\nmany\n", column("a", "bigint"), r"a is 'many', which is no bigint.*models/s\.yml:7.*s\.t\.csv:4"),
        ("a\n1.25\n1.255\n", column("a", "decimal(9,2)"), r"a is '1\.255', which is no decimal.*s\.t\.csv:3"),
        ("a\nx\n", column("a", "map<string,int>"), r"a is 'x', which is no map"),
        ("a\n1\n", column("a", "strng"), r"'strng', declared for the column a, is no type \(models/s\.yml:7\)"),
        ("amount\n1\n", column("amuont", None), r"has no column amuont.*models/s\.yml:7\); it has amount"),
    ],
)
def test_a_file_that_contradicts_the_project_is_refused_with_both_places(
    spark: SparkSession, tmp_path: Path, text: str, declared: DeclaredColumn, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        read(spark, fill(tmp_path, {"s.t.csv": text}) / "s.t.csv", [declared], temporary=tmp_path)


def test_nanoseconds_as_pandas_writes_them_are_loaded_and_leave_no_file(spark: SparkSession, tmp_path: Path) -> None:
    import pandas as pd

    file, temporary = tmp_path / "s.t.parquet", tmp_path / "temporary"
    temporary.mkdir()
    pd.DataFrame({"at": pd.to_datetime(["2026-01-02 03:04:05.123456789"])}).to_parquet(file)
    found = {"prod": Manifest.from_json(manifest(sources=[node("source.p.s.t", relation="prod.nanoseconds.t")]))}
    tables = [replace(table, file=file) for table in source_tables(found)]
    load_sources(spark, tables, project_dir=tmp_path, say=print, temporary=temporary)
    assert spark.table("prod.nanoseconds.t").dtypes == [("at", "timestamp_ntz")]
    assert [row["at"].microsecond for row in spark.table("prod.nanoseconds.t").collect()] == [123456]
    assert list(temporary.iterdir()) == []
    spark.sql("DROP SCHEMA prod.nanoseconds CASCADE")
