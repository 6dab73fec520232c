"""The state directory after the process was killed: nothing that was acknowledged is lost."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

START = """
import json, sys
from dbx_cd.local.emulation import emulate
from dbx_cd.local.rights import owner_of
from dbx_cd.local.spark_session import start_spark

spark = start_spark(sys.argv[1], catalogs=["stg"], memory="1g")
def run(sql):
    answer = emulate(spark, sql)
    return spark.sql(answer) if isinstance(answer, str) else answer
"""

BEFORE = (
    START
    + """
from pathlib import Path
mine = Path(sys.argv[1], "mine", "notes")
mine.mkdir(parents=True)
(mine / "kept.txt").write_text("mine")
for sql in (
    "CREATE SCHEMA stg.shop COMMENT 'a shop'",
    "CREATE TABLE stg.shop.orders (id BIGINT NOT NULL COMMENT 'key', CONSTRAINT pk PRIMARY KEY (id)) COMMENT 'all'",
    "INSERT INTO stg.shop.orders VALUES (1), (2)",
    f"CREATE TABLE stg.shop.outside USING delta LOCATION '{sys.argv[1]}/elsewhere' AS SELECT 1 AS id",
    "CREATE TABLE stg.shop.renamed_from AS SELECT 1 AS id",
    "ALTER TABLE stg.shop.renamed_from RENAME TO stg.shop.renamed",
    "CREATE TABLE stg.shop.gone AS SELECT 1 AS id",
    "DROP TABLE stg.shop.gone",
    "USE stg.shop",
    "CREATE VIEW cheap (id COMMENT 'same key') COMMENT 'a view' TBLPROPERTIES ('a' = 'b') AS SELECT id FROM orders",
    "ALTER TABLE stg.shop.orders SET TAGS ('owner' = 'sales')",
    "CREATE VOLUME IF NOT EXISTS stg.shop.files COMMENT 'kept'",
    f"CREATE SCHEMA stg.placed LOCATION '{mine.parent}'",
    "CREATE TABLE stg.placed.t AS SELECT 1 AS id",
    "CREATE SCHEMA stg.`\u00e4`",
    "CREATE SCHEMA stg.`\u00f6`",
    "CREATE TABLE stg.`\u00e4`.t AS SELECT 'a' AS id",
    "CREATE TABLE stg.`\u00f6`.t AS SELECT 'o' AS id",
    "CREATE TABLE stg.shop.files USING parquet PARTITIONED BY (day) AS SELECT 1 AS id, 2 AS day",
    "CREATE TABLE stg.shop.clone SHALLOW CLONE stg.shop.orders",
    "CREATE FUNCTION twice(x BIGINT) RETURNS BIGINT RETURN x * 2",
    "CREATE FUNCTION few(n INT) RETURNS TABLE(id BIGINT) RETURN SELECT twice(id) FROM orders WHERE id < n",
    "CREATE CATALOG later COMMENT 'made later'",
    "CREATE TABLE later.default.t AS SELECT 7 AS id",
    "GRANT SELECT, MODIFY ON stg.shop.orders TO `anna@example.org`",
    "REVOKE MODIFY ON stg.shop.orders FROM `anna@example.org`",
    "ALTER VIEW stg.shop.cheap OWNER TO readers",
    "CREATE SCHEMA stg.elsewhere",
    "CREATE TABLE stg.shop.moving AS SELECT 8 AS id",
    "ALTER TABLE stg.shop.moving RENAME TO stg.elsewhere.moved",
):
    run(sql)
put = Path(sys.argv[1], "warehouse", "stg", "shop", "put")
put.mkdir()
(put / "kept.txt").write_text("mine")
number = 0
while True:
    run(f"CREATE TABLE stg.shop.t{number} AS SELECT {number} AS id")
    print(number, flush=True)
    number += 1
"""
)

AFTER = (
    START
    + """
rows = lambda sql: [list(row) for row in spark.sql(sql).collect()]
found = {
    "comment": rows("SELECT comment FROM stg.information_schema.schemata WHERE schema_name = 'shop'"),
    "orders": rows("SELECT id FROM stg.shop.cheap ORDER BY id"),
    "volumes": rows("SELECT volume_name, comment FROM stg.information_schema.volumes"),
    "history": len(rows("DESCRIBE HISTORY stg.shop.orders")),
    "tables": sorted(row[1] for row in rows("SHOW TABLES IN stg.shop")),
    "types": rows("SELECT table_type FROM stg.information_schema.tables WHERE table_name = 'outside'"),
    "view": rows("SHOW CREATE TABLE stg.shop.cheap")[0][0],
    "keys": rows("SELECT constraint_name FROM stg.information_schema.table_constraints"),
    "tags": rows("SELECT tag_name, tag_value FROM stg.information_schema.table_tags"),
    "functions": rows("SELECT stg.shop.twice(id) FROM stg.shop.few(2)"),
    "later": rows("SELECT id FROM later.default.t"),
    "moved": rows("SELECT id FROM stg.elsewhere.moved"),
    "moved from": rows("SHOW TABLES IN stg.shop LIKE 'mov*'"),
}
found["schemas"] = rows("SELECT * FROM stg.`\u00e4`.t, stg.`\u00f6`.t")
found["files"] = rows("SELECT id, day FROM stg.shop.files")
found["clone"] = rows("SELECT table_type FROM stg.information_schema.tables WHERE table_name = 'clone'")
found["grants"] = [list(row.values()) for row in run("SHOW GRANTS ON stg.shop.orders").to_pylist()]
found["owner"] = owner_of(spark, "VIEW stg.shop.cheap")
spark.sql("DROP SCHEMA stg.placed CASCADE")
spark.sql("INSERT INTO stg.shop.orders VALUES (3)")
spark.sql("DROP TABLE stg.shop.renamed")
spark.sql("CREATE TABLE stg.shop.renamed AS SELECT 2 AS id")
found["created again"] = rows("SELECT id FROM stg.shop.renamed")
print(json.dumps(found))
"""
)


ASCII = {**os.environ, "LANG": "C", "LC_ALL": "C"}
"""What a cron job or a container without a locale has."""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A state directory whose process was killed while it created tables, and how many of them it had acknowledged."""
    state = tmp_path_factory.mktemp("killed")
    process = subprocess.Popen(
        [sys.executable, "-c", BEFORE, str(state)], stdout=subprocess.PIPE, text=True, start_new_session=True, env=ASCII
    )
    assert process.stdout is not None
    acknowledged = 0
    for _line in process.stdout:
        acknowledged += 1
        if acknowledged == 5:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert acknowledged == 5
    return state, acknowledged


@pytest.fixture(scope="module")
def found(killed: tuple[Path, int]) -> dict[str, Any]:
    """What the next start finds."""
    state, _ = killed
    _leave_unfinished(state)
    answer = subprocess.run(
        [sys.executable, "-c", AFTER, str(state)], capture_output=True, text=True, check=True, env=ASCII
    )
    assert answer.stderr == ""
    contents: dict[str, Any] = json.loads(answer.stdout)
    return contents


def test_functions_and_catalogs_survive_a_restart(found: dict[str, Any]) -> None:
    assert found["functions"] == [[4]]
    assert found["later"] == [[7]]


def test_what_was_granted_and_given_away_survives_a_restart(found: dict[str, Any]) -> None:
    assert found["grants"] == [["anna@example.org", "SELECT", "TABLE", "stg.shop.orders"]]
    assert found["owner"] == "readers"


def test_table_renamed_to_another_schema_is_found_there_alone(found: dict[str, Any]) -> None:
    assert found["moved"] == [[8]]
    assert found["moved from"] == []


def test_killed_workspace_is_found_as_it_was(killed: tuple[Path, int], found: dict[str, Any]) -> None:
    state, acknowledged = killed
    numbered = {f"t{number}" for number in range(acknowledged)}
    named = {"orders", "outside", "renamed", "cheap", "files", "clone", "adopted"}
    assert numbered | named <= set(found["tables"])
    assert set(found["tables"]) - numbered - named <= {f"t{acknowledged}", f"t{acknowledged + 1}"}
    assert found["comment"] == [["a shop"]]
    assert found["orders"] == [[1], [2]]
    assert found["history"] == 2
    assert found["types"] == [["EXTERNAL"]]
    assert "COMMENT 'same key'" in found["view"]
    assert "'a' = 'b'" in found["view"]
    assert found["keys"] == [["pk"]]
    assert found["volumes"] == [["files", "kept"]]
    assert found["tags"] == [["owner", "sales"]]
    assert found["created again"] == [[2]]
    assert found["schemas"] == [["a", "o"]]
    assert found["files"] == [[1, 2]]
    assert found["clone"] == [["MANAGED_SHALLOW_CLONE"]]
    shop = state / "warehouse" / "stg" / "shop"
    assert (state / "mine" / "notes" / "kept.txt").read_text() == "mine"
    assert (shop / "put" / "kept.txt").read_text() == "mine"
    assert not (shop / "half").exists()
    assert not (state / "mine" / "t").exists()


def _leave_unfinished(state: Path) -> None:
    """As a kill leaves it: a table whose first commit is there, and one without; the registry names both as begun."""
    shop = state / "warehouse" / "stg" / "shop"
    shutil.copytree(shop / "t0", shop / "adopted")
    (shop / "half").mkdir()
    (shop / "half" / "part-0.parquet").write_bytes(b"")
    path = state / "catalog.json"
    registry = json.loads(path.read_text())
    registry["unfinished"] += [
        {"address": {"database": "stg__shop", "name": name}, "location": (shop / name).as_uri()}
        for name in ("adopted", "half")
    ]
    path.write_text(json.dumps(registry))


MOVED_UNTIL = (
    START
    + """
import os, signal
from dbx_cd.local import rights
from pyspark.java_gateway import ensure_callback_server_started

class Stop:
    def onEvent(self, event):
        if event.getClass().getSimpleName() == sys.argv[2]:
            os.killpg(0, signal.SIGKILL)

    class Java:
        implements = ["org.apache.spark.sql.catalyst.catalog.ExternalCatalogEventListener"]

for sql in (
    "CREATE SCHEMA stg.shop",
    "CREATE SCHEMA stg.elsewhere",
    "CREATE TABLE stg.shop.moving (id BIGINT NOT NULL, CONSTRAINT pk PRIMARY KEY (id))",
    "INSERT INTO stg.shop.moving VALUES (8)",
    "ALTER TABLE stg.shop.moving SET TAGS ('owner' = 'sales')",
):
    run(sql)
rights.set_owner(spark, "anna", "TABLE stg.shop.moving")
ensure_callback_server_started(spark.sparkContext._gateway)
spark._jsparkSession.sharedState().externalCatalog().addListener(Stop())
run("ALTER TABLE stg.shop.moving RENAME TO stg.elsewhere.moved")
"""
)

AFTER_THE_MOVE = (
    START
    + """
from dbx_cd.local import rights
rows = lambda sql: [list(row) for row in spark.sql(sql).collect()]
(table,) = rows("SELECT table_schema, table_name FROM stg.information_schema.tables")
name = ".".join(["stg", *table])
other = {"stg.elsewhere.moved": "shop", "stg.shop.moving": "elsewhere"}[name]
spark.sql(f"DROP SCHEMA stg.{other} CASCADE")
print(json.dumps({
    "name": name,
    "rows": rows(f"SELECT id FROM {name}"),
    "operations": [row[4] for row in rows(f"DESCRIBE HISTORY {name}")],
    "keys": rows("SELECT table_schema, constraint_name FROM stg.information_schema.table_constraints"),
    "tags": rows("SELECT schema_name, tag_value FROM stg.information_schema.table_tags"),
    "owner": rights.owner_of(spark, f"TABLE {name}"),
}))
"""
)


@pytest.mark.parametrize(
    ("step", "name"),
    [
        pytest.param("nothing", "stg.shop.moving", id="before its files", marks=pytest.mark.deep),
        pytest.param("CreateTablePreEvent", "stg.elsewhere.moved", id="after its files", marks=pytest.mark.deep),
        pytest.param("CreateTableEvent", "stg.elsewhere.moved", id="known by both names"),
        pytest.param("AlterTablePreEvent", "stg.elsewhere.moved", id="with its tags", marks=pytest.mark.deep),
        pytest.param("DropTablePreEvent", "stg.elsewhere.moved", id="as an external one", marks=pytest.mark.deep),
    ],
)
def test_table_whose_move_was_killed_is_there_once_and_whole(tmp_path: Path, step: str, name: str) -> None:
    event = "CreateTablePreEvent" if step == "nothing" else step
    stopped = subprocess.run(
        [sys.executable, "-c", MOVED_UNTIL, str(tmp_path), event],
        start_new_session=True,
        capture_output=True,
        env=ASCII,
    )
    assert stopped.returncode == -signal.SIGKILL, stopped.stderr.decode()
    if step == "nothing":
        schemas = tmp_path / "warehouse" / "stg"
        (schemas / "elsewhere" / "moved").rename(schemas / "shop" / "moving")
    answer = subprocess.run(
        [sys.executable, "-c", AFTER_THE_MOVE, str(tmp_path)], capture_output=True, text=True, env=ASCII
    )
    assert answer.stderr == ""
    schema = name.split(".")[1]
    assert json.loads(answer.stdout) == {
        "name": name,
        "rows": [[8]],
        "operations": ["WRITE", "CREATE TABLE"],
        "keys": [[schema, "pk"]],
        "tags": [[schema, "sales"]],
        "owner": "anna",
    }
