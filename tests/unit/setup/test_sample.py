"""A sample's folder is whole or not there, and what a file is called."""

from __future__ import annotations

import errno
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from artifact_folders import manifest, node

from dbx_cd import ConfigError
from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.errors import SqlFailed
from dbx_cd.setup.sample import take_sample
from dbx_cd.setup.sample_folder import RECORD


class MemoryWarehouse:
    """Tables in memory; a statement is remembered, and one about a table that is not here fails."""

    host = "https://acme.cloud.databricks.com"

    def __init__(self, **columns: list[tuple[str, str]]) -> None:
        self._columns = columns
        self.statements: list[str] = []

    def _named(self, statement: str) -> list[tuple[str, str]]:
        self.statements.append(statement)
        name = statement.split("FROM ")[1].split("`")[5]
        if name not in self._columns:
            raise SqlFailed("TABLE_OR_VIEW_NOT_FOUND")
        return self._columns[name]

    def query(self, statement: str) -> Sequence[Any]:
        self.statements.append(statement)
        return []

    def columns(self, statement: str) -> list[tuple[str, str]]:
        return self._named(statement)

    def arrow(self, statement: str, **parameters: str) -> pa.Table:
        return pa.table({name: pa.array(["x"], pa.string()) for name, _ in self._named(statement)})


def sources(*relations: str, package: str = "shop", **more: Any) -> list[Node]:
    entries = [
        node(f"source.{package}.raw_{relation.split('.')[2]}", relation=relation, source_name="raw", **more)
        | {"name": relation.split(".")[2], "original_file_path": "models/s.yml"}
        for relation in relations
    ]
    return list(Manifest.from_json(manifest(sources=entries)).nodes.values())


def take(warehouse: MemoryWarehouse, found: list[Node], folder: Path, **more: Any) -> list[str]:
    lines: list[str] = []
    take_sample(warehouse, found, folder=folder, rows=10, say=lines.append, **more)  # type: ignore[arg-type]
    return lines


def left(folder: Path) -> list[str]:
    """All that is below a folder, hidden names too."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_a_new_sample_takes_the_place_of_an_older_one_as_a_whole(tmp_path: Path) -> None:
    warehouse = MemoryWarehouse(orders=[("id", "string")], lines=[("id", "string")])
    take(warehouse, sources("r.shop.orders", "r.shop.lines"), tmp_path / "sample")
    take(warehouse, sources("r.shop.orders"), tmp_path / "sample")
    assert left(tmp_path) == ["sample", "sample/.gitignore", f"sample/{RECORD}", "sample/raw.orders.parquet"]
    assert list(json.loads((tmp_path / "sample" / RECORD).read_text())["tables"]) == ["raw.orders.parquet"]


def test_a_sample_that_fails_leaves_the_older_one_and_nothing_beside_it(tmp_path: Path) -> None:
    take(MemoryWarehouse(orders=[("id", "string")]), sources("r.shop.orders"), tmp_path / "sample")
    before = left(tmp_path)
    with pytest.raises(ConfigError, match=r"no source can be read.*Next: get SELECT"):
        take(MemoryWarehouse(), sources("r.shop.orders"), tmp_path / "sample")
    assert left(tmp_path) == before


def test_a_sample_that_cannot_be_moved_leaves_the_older_one_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = MemoryWarehouse(orders=[("id", "string")])
    take(warehouse, sources("r.shop.orders"), tmp_path / "sample")
    before, really = left(tmp_path), Path.rename

    def rename(path: Path, target: Path) -> Path:
        if path.name.endswith(".new"):
            raise OSError(errno.EIO, "Input/output error")
        return really(path, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(ConfigError, match="cannot be written: Input/output error"):
        take(warehouse, sources("r.shop.orders"), tmp_path / "sample")
    assert left(tmp_path) == before


def test_a_folder_with_anything_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "sample").mkdir()
    (tmp_path / "sample" / "raw.orders.csv").write_text("id\n1\n")
    warehouse = MemoryWarehouse(orders=[("id", "string")])
    with pytest.raises(ConfigError, match="holds other files than a sample"):
        take(warehouse, sources("r.shop.orders"), tmp_path / "sample")
    assert left(tmp_path) == ["sample", "sample/raw.orders.csv"]
    assert warehouse.statements == []


def test_tags_that_cannot_be_read_leave_nothing(tmp_path: Path) -> None:
    class NoTags(MemoryWarehouse):
        def query(self, statement: str) -> Sequence[Any]:
            raise SqlFailed("PERMISSION_DENIED")

    warehouse = NoTags(orders=[("id", "string")])
    with pytest.raises(ConfigError, match=r"PERMISSION_DENIED.*--no-mask"):
        take(warehouse, sources("r.shop.orders"), tmp_path / "sample")
    assert left(tmp_path) == []
    assert warehouse.statements == []
    assert take(warehouse, sources("r.shop.orders"), tmp_path / "sample", mask_tags=None) == [
        "raw.orders.parquet: 1 rows of r.shop.orders"
    ]


def test_a_source_that_cannot_be_read_is_said_and_the_others_are_taken(tmp_path: Path) -> None:
    lines = take(MemoryWarehouse(orders=[("id", "string")]), sources("r.shop.gone", "r.shop.orders"), tmp_path / "s")
    assert lines[0] == "r.shop.gone is not in the sample: TABLE_OR_VIEW_NOT_FOUND"
    assert (tmp_path / "s" / "raw.orders.parquet").is_file()


def test_a_sensitive_column_is_never_asked_for_as_it_is(tmp_path: Path) -> None:
    warehouse = MemoryWarehouse(people=[("mail", "string"), ("born", "date"), ("id", "bigint")])
    columns = {name: {"name": name, "tags": ["pii"]} for name in ("mail", "born")}
    take(warehouse, sources("r.shop.people", columns=columns), tmp_path / "s")
    assert warehouse.statements[-1] == (
        "SELECT left(sha2(concat(:salt, `mail`), 256), 32) AS `mail`, if(false, `born`, NULL) AS `born`, `id` "
        "FROM `r`.`shop`.`people` LIMIT 10"
    )


def test_sources_of_one_name_in_two_packages_have_the_names_of_their_tables(tmp_path: Path) -> None:
    found = [*sources("r.shop.orders"), *sources("r.web.orders", package="other")]
    lines = take(MemoryWarehouse(orders=[("id", "string")]), found, tmp_path / "s")
    assert [line.split(":")[0] for line in lines] == ["r.shop.orders.parquet", "r.web.orders.parquet"]


@pytest.mark.parametrize("name", ["r.shop.a/b", "r.shop.orders"])
def test_names_that_cannot_be_files_of_their_own_are_refused(tmp_path: Path, name: str) -> None:
    found = [*sources(name), *sources(name, package="other")]
    with pytest.raises(ConfigError, match="by --select"):
        take(MemoryWarehouse(orders=[("id", "string")]), found, tmp_path / "s")
    assert left(tmp_path) == []
