"""Statements about whole tables: statistics, how they are made, copies, renaming to another schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest
from emulated_statements import Run, runner
from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

from dbx_cd.errors import DbxCdError

SCHEMA = "dev_anna.statements"


@pytest.fixture(scope="module")
def run(spark: SparkSession) -> Iterator[Run]:
    run = runner(spark)
    run(f"CREATE SCHEMA {SCHEMA}")
    run(f"CREATE SCHEMA {SCHEMA}_2")
    run(f"USE {SCHEMA}")
    yield run
    run(f"DROP SCHEMA {SCHEMA} CASCADE")
    run(f"DROP SCHEMA {SCHEMA}_2 CASCADE")


def files_of(run: Run, table: str) -> list[Path]:
    location = run(f"DESCRIBE DETAIL {table}")[0][4]
    return [path for path in Path(urlparse(location).path).rglob("*.parquet") if "_delta_log" not in path.parts]


@pytest.mark.deep
def test_analyze_reads_the_table_and_checks_its_columns(run: Run) -> None:
    run("CREATE TABLE analyzed AS SELECT 1 AS id, 'a' AS name")
    for statement in (
        "ANALYZE TABLE analyzed COMPUTE STATISTICS",
        "ANALYZE TABLE analyzed COMPUTE STATISTICS NOSCAN",
        "ANALYZE TABLE analyzed COMPUTE STATISTICS FOR COLUMNS id, `name`",
        "ANALYZE TABLE analyzed COMPUTE STATISTICS FOR ALL COLUMNS",
        f"ANALYZE TABLE {SCHEMA}.analyzed COMPUTE DELTA STATISTICS",
        f"ANALYZE TABLES IN {SCHEMA} COMPUTE STATISTICS",
    ):
        assert run(statement) == []
    with pytest.raises(AnalysisException, match="UNRESOLVED_COLUMN"):
        run("ANALYZE TABLE analyzed COMPUTE STATISTICS FOR COLUMNS nothing")
    with pytest.raises(AnalysisException, match="TABLE_OR_VIEW_NOT_FOUND"):
        run("ANALYZE TABLE nowhere COMPUTE STATISTICS NOSCAN")
    run("CREATE VIEW analyzed_view AS SELECT id FROM analyzed")
    with pytest.raises(DbxCdError, match="ANALYZE_VIEW"):
        run("ANALYZE TABLE analyzed_view COMPUTE STATISTICS")
    for path in files_of(run, "analyzed"):
        path.unlink()
    with pytest.raises(Exception, match="FAILED_READ_FILE"):
        run("ANALYZE TABLE analyzed COMPUTE STATISTICS")


CREATED = r"""CREATE TABLE `dev_anna`.`statements`.`made` (
  `id` BIGINT NOT NULL COMMENT 'it\'s the \\key',
  `day` DATE,
  `name` VARCHAR(10) DEFAULT 'x',
  `odd``one``` STRUCT<Inner: INT>,
  `twice` BIGINT GENERATED ALWAYS AS (id * 2),
  CONSTRAINT `made_pk` PRIMARY KEY (`id`),
  CONSTRAINT `positive` CHECK (id > 0))
USING delta
PARTITIONED BY (`day`)
COMMENT 'a table'
TBLPROPERTIES (
  'delta.feature.allowColumnDefaults' = 'supported',
  'own' = 'a \'b\'')
"""


def made_again(run: Run, name: str) -> tuple[str, str]:
    """The statement that SHOW CREATE TABLE gives, and the one it gives once that has been run."""
    ((text,),) = run(f"SHOW CREATE TABLE {name}")
    kind = "VIEW" if text.startswith("CREATE VIEW") else "TABLE"
    run(f"DROP {kind} {name}")
    run(text)
    return text, run(f"SHOW CREATE TABLE {name}")[0][0]


def test_show_create_table_gives_a_statement_that_makes_the_table_again(run: Run) -> None:
    run(CREATED)
    text, again = made_again(run, "made")
    assert text == again
    features = [line for line in text.splitlines() if "delta.feature" not in line]
    assert features == [line for line in CREATED.splitlines() if "delta.feature" not in line]
    run("INSERT INTO made (id, day) VALUES (1, DATE'2026-01-01')")
    assert run("SELECT name, twice FROM made") == [("x", 2)]


@pytest.mark.deep
def test_show_create_table_of_clustered_external_and_emulated_parts(run: Run, tmp_path: Path) -> None:
    run(f"CREATE TABLE outside (a INT, b INT) USING delta CLUSTER BY (a, b) LOCATION '{tmp_path}/outside'")
    text, _ = made_again(run, "outside")
    assert "CLUSTER BY (`a`, `b`)\n" in text
    assert f"LOCATION 'file:{tmp_path}/outside'\n" in text
    run("CREATE TABLE required (a INT, b INT)")
    run("ALTER TABLE required ALTER COLUMN a SET NOT NULL")
    text, again = made_again(run, "required")
    assert "`a` INT NOT NULL" in text
    assert "__nn_" not in text
    assert "`a` INT NOT NULL" in again


@pytest.mark.deep
def test_show_create_table_of_a_view_makes_it_again(run: Run) -> None:
    run("CREATE TABLE viewed AS SELECT 1 AS id")
    run("CREATE VIEW of_it (id COMMENT 'key') COMMENT 'a view' TBLPROPERTIES ('own' = 'b') AS SELECT id FROM viewed")
    text, again = made_again(run, "of_it")
    assert text == again
    assert "COMMENT 'key'" in text
    assert "COMMENT 'a view'" in text
    assert "'own' = 'b'" in text


def test_a_deep_clone_stands_alone(run: Run) -> None:
    defaults = "TBLPROPERTIES ('delta.feature.allowColumnDefaults' = 'supported')"
    run(f"CREATE TABLE source (id BIGINT, day BIGINT DEFAULT 0) PARTITIONED BY (day) {defaults}")
    run("INSERT INTO source SELECT id, id % 2 FROM range(4)")
    run("INSERT INTO source (id) VALUES (9)")
    ((size, number, *_, copied, _removed, copied_size),) = run("CREATE TABLE copy DEEP CLONE source")
    assert (number, copied, copied_size) == (3, 3, size)
    assert len(files_of(run, "copy")) == 3
    for path in files_of(run, "source"):
        path.unlink()
    run("DROP TABLE source")
    assert sorted(run("SELECT id FROM copy WHERE day = 0")) == [(0,), (2,), (9,)]
    assert [row[4] for row in run("DESCRIBE HISTORY copy")] == ["CLONE"]
    assert run("DESCRIBE HISTORY copy")[0][5]["isShallow"] == "false"
    run("INSERT INTO copy VALUES (10, 0)")
    run("DELETE FROM copy WHERE id = 9")
    assert run("SELECT count(*) FROM copy") == [(5,)]


def test_a_table_stays_as_it_is_where_it_cannot_become_a_deep_clone(run: Run) -> None:
    run("CREATE TABLE kept AS SELECT 1 AS id")
    with pytest.raises(AnalysisException, match="misspelt"):
        run("CREATE OR REPLACE TABLE kept DEEP CLONE misspelt")
    assert run("SELECT id FROM kept") == [(1,)]
    run("CREATE OR REPLACE TABLE kept DEEP CLONE kept")
    assert run("SELECT id FROM kept") == [(1,)]


@pytest.mark.deep
def test_a_deep_clone_of_a_version_replaces_a_table_and_keeps_its_history(run: Run, tmp_path: Path) -> None:
    run("CREATE TABLE versions AS SELECT 1 AS id")
    run("INSERT INTO versions VALUES (2)")
    run("CREATE TABLE replaced AS SELECT 'other' AS name")
    run("CREATE OR REPLACE TABLE replaced CLONE versions VERSION AS OF 0")
    assert run("SELECT id FROM replaced") == [(1,)]
    assert [row[4] for row in run("DESCRIBE HISTORY replaced")] == ["CLONE", "CREATE TABLE AS SELECT"]
    run("CREATE TABLE IF NOT EXISTS replaced DEEP CLONE versions")
    assert run("SELECT id FROM replaced") == [(1,)]
    with pytest.raises(AnalysisException, match="TABLE_OR_VIEW_ALREADY_EXISTS"):
        run("CREATE TABLE replaced CLONE versions")
    with pytest.raises(Exception, match="7"):
        run("CREATE TABLE versions_2 CLONE versions VERSION AS OF 7")
    run(f"CREATE TABLE versions_2 CLONE versions LOCATION '{tmp_path}/outside'")  # after one that failed
    assert run("SELECT count(*) FROM versions_2") == [(2,)]
    assert run("SELECT table_type FROM information_schema.tables WHERE table_name = 'versions_2'") == [("EXTERNAL",)]
    run("VACUUM replaced")
    assert run("SELECT id FROM replaced") == [(1,)]
    run("CREATE VIEW no_table AS SELECT 1 AS id")
    with pytest.raises(DbxCdError, match="DELTA_CLONE_UNSUPPORTED_SOURCE"):
        run("CREATE TABLE of_view DEEP CLONE no_table")


def test_a_table_is_renamed_to_another_schema_with_all_it_has(run: Run) -> None:
    run("CREATE TABLE moving (id INT NOT NULL, CONSTRAINT moving_pk PRIMARY KEY (id))")
    run("INSERT INTO moving VALUES (1)")
    run("ALTER TABLE moving SET TAGS ('owner' = 'sales')")
    run(f"ALTER TABLE moving RENAME TO {SCHEMA}_2.moved")
    with pytest.raises(AnalysisException, match="TABLE_OR_VIEW_NOT_FOUND"):
        run("SELECT * FROM moving")
    run("CREATE TABLE moving AS SELECT 5 AS id")  # at the old place
    run("DROP TABLE moving")
    run(f"INSERT INTO {SCHEMA}_2.moved VALUES (2)")
    assert sorted(run(f"SELECT id FROM {SCHEMA}_2.moved")) == [(1,), (2,)]
    assert len(run(f"DESCRIBE HISTORY {SCHEMA}_2.moved")) == 3
    constraints = "SELECT table_name, constraint_name FROM information_schema.table_constraints"
    assert run(f"{constraints} WHERE table_schema = 'statements_2'") == [("moved", "moving_pk")]
    tags = run("SELECT table_name, tag_value FROM information_schema.table_tags WHERE schema_name = 'statements_2'")
    assert tags == [("moved", "sales")]


@pytest.mark.deep
def test_renaming_goes_to_schemas_of_the_same_catalog_that_exist_and_have_no_such_table(run: Run) -> None:
    run("CREATE TABLE staying AS SELECT 1 AS id")
    run(f"CREATE TABLE {SCHEMA}_2.taken AS SELECT 2 AS id")
    run("CREATE VIEW view_of_it AS SELECT id FROM staying")
    for kind, name in (("TABLE", "staying"), ("VIEW", "view_of_it")):
        with pytest.raises(Exception, match=r"cannot be renamed from the catalog dev_anna to stg\.default\.t"):
            run(f"ALTER {kind} {name} RENAME TO stg.default.t")
        with pytest.raises(AnalysisException, match=r"SCHEMA_NOT_FOUND.*`dev_anna`.`nowhere`"):
            run(f"ALTER {kind} {name} RENAME TO dev_anna.nowhere.t")
        with pytest.raises(AnalysisException, match="ALREADY_EXISTS"):
            run(f"ALTER {kind} {name} RENAME TO {SCHEMA}_2.taken")
    run(f"ALTER VIEW view_of_it RENAME TO {SCHEMA}_2.view_elsewhere")
    assert run(f"SELECT id FROM {SCHEMA}_2.view_elsewhere") == [(1,)]
