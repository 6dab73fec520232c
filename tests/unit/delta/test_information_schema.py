"""What is missing, and what a catalog merely does not show: only the first may be built over and dropped again."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from dbx_cd.delta import information_schema
from dbx_cd.delta.catalog_settings import catalog_settings
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.tables import NOTHING_KNOWN, Constraint
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName

ORDERS = RelationName("prod", "shop", "orders")
INFORMATION = r"FROM `prod`\.information_schema\.(\w+)"
TABLE_NOT_FOUND = "TABLE_OR_VIEW_NOT_FOUND"


class Port:
    """A port that answers each kind of statement with rows, or with one of Spark's conditions.

    Args:
        information: rows, or a condition, by relation of information_schema; "*" for all others.
        schemas: what SHOW SCHEMAS answers.
        described: what DESCRIBE TABLE answers.
    """

    def __init__(
        self,
        information: Mapping[str, str | list[dict[str, Any]]],
        *,
        schemas: str | None = None,
        described: str | None = TABLE_NOT_FOUND,
        after_describe: Callable[[], None] = lambda: None,
    ) -> None:
        self.information = dict(information)
        self._schemas, self._described, self._after_describe = schemas, described, after_describe

    def query(self, statement: str) -> list[Any]:
        asked = re.search(INFORMATION, statement)
        if asked:
            found = self.information.get(asked[1], self.information.get("*", []))
        elif statement.startswith("DESCRIBE TABLE"):
            found = self._described or []
            self._after_describe()
        else:
            found = self._schemas or []
        if isinstance(found, str):
            raise SqlFailed(f"[{found}] {statement}", condition=found)
        return found


def kind(port: Port) -> str:
    return information_schema.entries(port, [ORDERS])[ORDERS.key].kind  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "condition", ["CATALOG_NOT_FOUND", "NO_SUCH_CATALOG_EXCEPTION", "REQUIRES_SINGLE_PART_NAMESPACE"]
)
def test_relations_of_a_catalog_that_does_not_exist_are_missing(condition: str) -> None:
    assert kind(Port({"*": condition}, described=condition)) == "missing"
    assert kind(Port({"*": TABLE_NOT_FOUND}, schemas=condition, described=condition)) == "missing"


@pytest.mark.parametrize("condition", [TABLE_NOT_FOUND, "SCHEMA_NOT_FOUND"])
def test_a_catalog_without_information_schema_is_not_taken_for_a_missing_one(condition: str) -> None:
    with pytest.raises(SqlFailed, match="catalog prod exists, but its information_schema cannot be read"):
        kind(Port({"*": condition}))


@pytest.mark.parametrize("port", [{"*": "INSUFFICIENT_PERMISSIONS"}, {"*": TABLE_NOT_FOUND}])
def test_a_catalog_that_may_not_be_used_is_not_taken_for_a_missing_one(port: dict[str, Any]) -> None:
    with pytest.raises(SqlFailed, match="INSUFFICIENT_PERMISSIONS"):
        kind(Port(port, schemas="INSUFFICIENT_PERMISSIONS"))


def test_a_relation_that_is_not_listed_is_missing_where_no_statement_finds_it() -> None:
    assert kind(Port({})) == "missing"
    assert kind(Port({}, described="SCHEMA_NOT_FOUND")) == "missing"


def test_a_relation_that_is_there_and_not_listed_stops_everything() -> None:
    with pytest.raises(SqlFailed, match=r"prod\.shop\.orders exists, but information_schema does not show it"):
        kind(Port({}, described=None))
    for condition in ("INSUFFICIENT_PERMISSIONS", "DELTA_TABLE_NOT_FOUND", "PATH_NOT_FOUND", "CREDENTIAL_NOT_FOUND"):
        with pytest.raises(SqlFailed, match=condition):
            kind(Port({}, described=condition))


def test_a_relation_that_is_created_while_it_is_asked_for_is_there() -> None:
    row = {
        "table_schema": "shop", "table_name": "orders", "table_type": "MANAGED", "data_source_format": "DELTA",
        "comment": None, "created": None,
    }  # fmt: skip
    port = Port({}, described=None, after_describe=lambda: port.information.update(tables=[row]))
    assert kind(port) == "table"


def of(**given: str | None) -> dict[str, Any]:
    return {"table_schema": "shop", "schema_name": "shop", "table_name": "orders", **given}


def test_all_that_a_catalog_keeps_is_read() -> None:
    named = {"constraint_schema": "shop", "constraint_name": "fk"}
    information: dict[str, str | list[dict[str, Any]]] = {
        "tables": [of(table_owner="ann")],
        "table_constraints": [of(**named, constraint_type="FOREIGN KEY")],
        "key_column_usage": [of(**named, column_name=c) | {"ordinal_position": n} for n, c in ((2, "b"), (1, "a"))],
        "referential_constraints": [
            {**named, "unique_constraint_catalog": "prod", "unique_constraint_schema": "shop",
             "unique_constraint_name": "pk"}
        ],
        "table_tags": [of(tag_name="pii", tag_value=None)],
        "column_tags": [of(column_name="a", tag_name="pii", tag_value="yes")],
        "table_privileges": [
            of(privilege_type="SELECT", grantee="analysts", inherited_from="NONE"),
            of(privilege_type="MODIFY", grantee="bot", inherited_from="SCHEMA"),
        ],
        "row_filters": [of(filter_name="prod.shop.own_rows", target_columns="a, b")],
        "column_masks": [
            of(column_name="a", mask_name="prod.shop.hide", using_columns="b"),
            of(column_name="b", mask_name="prod.shop.hide", using_columns=None),
        ],
    }  # fmt: skip
    found = catalog_settings(Port(information), [ORDERS])[ORDERS.key]  # type: ignore[arg-type]
    assert found.keys == (Constraint("fk", "FOREIGN KEY", ("a", "b"), "prod.shop.pk"),)
    assert str(found.keys[0]) == "foreign key fk (a, b) references prod.shop.pk"
    assert (found.tags, found.column_tags) == ({"pii": ""}, {"a.pii": "yes"})
    assert (found.grants, found.owner) == (("SELECT to analysts",), "ann")
    assert found.fine_grained == (
        "row filter prod.shop.own_rows on (a, b)",
        "column mask prod.shop.hide using (b) on a",
        "column mask prod.shop.hide on b",
    )


def test_what_a_platform_does_not_keep_is_unknown_and_not_empty() -> None:
    found = catalog_settings(Port({"*": TABLE_NOT_FOUND}), [ORDERS])[ORDERS.key]  # type: ignore[arg-type]
    assert found == NOTHING_KNOWN
    with pytest.raises(SqlFailed, match="INSUFFICIENT_PERMISSIONS"):
        catalog_settings(Port({"*": "INSUFFICIENT_PERMISSIONS"}), [ORDERS])  # type: ignore[arg-type]


def test_only_a_platform_that_does_not_know_the_statement_has_no_undrop() -> None:
    class Refusing:
        def __init__(self, condition: str) -> None:
            self.condition = condition

        def query(self, statement: str) -> list[Any]:
            raise SqlFailed(statement, condition=self.condition)

    assert SparkTables(Refusing("PARSE_SYNTAX_ERROR")).dropped(catalog="prod", schema="shop") is None  # type: ignore[arg-type]
    with pytest.raises(SqlFailed, match="SHOW TABLES DROPPED IN"):
        SparkTables(Refusing("INSUFFICIENT_PERMISSIONS")).dropped(catalog="prod", schema="shop")  # type: ignore[arg-type]
