"""Which columns count as sensitive: by tags of the workspace, and by what the dbt project says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from artifact_folders import manifest, node

from dbx_cd import ConfigError
from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName
from dbx_cd.setup.sensitive import MASK_TAGS, WHOLE_TABLE, declared_columns, tagged_columns

ORDERS = RelationName("raw", "shop", "orders")


class Tags:
    """The tags of a catalog, by the relation of `information_schema` that has them."""

    def __init__(self, **rows: list[tuple[str, ...]]) -> None:
        self.rows = rows

    def query(self, statement: str) -> Sequence[Any]:
        for relation, rows in self.rows.items():
            if f".information_schema.{relation} " in statement:
                return rows
        raise SqlFailed("PERMISSION_DENIED: no USE CATALOG")


def source(**more: Any) -> Node:
    raw = node("source.shop.raw", relation="raw.shop.orders", source_name="raw", original_file_path="m.yml", **more)
    return Manifest.from_json(manifest(sources=[raw])).nodes["source.shop.raw"]


@pytest.mark.parametrize(
    ("name", "value", "counts"),
    [
        ("pii", "", True),
        ("PII", "true", True),
        ("classification", "Sensitive_high", True),
        ("class.email_address", "", True),
        ("owner", "finance", False),
        ("piirates", "", False),
    ],
)
def test_a_column_is_sensitive_by_the_name_or_the_value_of_a_tag(name: str, value: str, counts: bool) -> None:
    tags = Tags(column_tags=[("shop", "orders", "EMail", name, value)], table_tags=[])
    assert tagged_columns(tags, [ORDERS], MASK_TAGS) == ({ORDERS.key: {"email"}} if counts else {})


def test_a_tag_on_the_table_is_of_all_its_columns() -> None:
    tags = Tags(column_tags=[], table_tags=[("shop", "orders", "pii", "")])
    assert tagged_columns(tags, [ORDERS], MASK_TAGS) == {ORDERS.key: {WHOLE_TABLE}}


def test_a_tag_of_one_s_own_counts_too() -> None:
    tags = Tags(column_tags=[("shop", "orders", "iban", "bank", "yes")], table_tags=[])
    assert tagged_columns(tags, [ORDERS], [*MASK_TAGS, "BANK"]) == {ORDERS.key: {"iban"}}


@pytest.mark.parametrize("tags", [Tags(), Tags(column_tags=[])], ids=["of columns", "of tables"])
def test_tags_that_cannot_be_read_refuse_the_sample(tags: Tags) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: PERMISSION_DENIED.*raw\.information_schema.*--no-mask"):
        tagged_columns(tags, [ORDERS], MASK_TAGS)


@pytest.mark.parametrize(
    ("column", "counts"),
    [
        ({"tags": ["pii"]}, True),
        ({"config": {"tags": ["PII"]}}, True),
        ({"meta": {"pii": True}}, True),
        ({"config": {"meta": {"data_class": ["public", "confidential"]}}}, True),
        ({"meta": {"pii": False}}, False),
        ({"tags": ["finance"], "meta": {"owner": "anna"}}, False),
    ],
)
def test_the_project_marks_a_column_by_tags_or_meta(column: dict[str, Any], counts: bool) -> None:
    columns = {"Mail": {"name": "Mail", **column}, "id": {"name": "id"}}
    assert declared_columns(source(columns=columns), MASK_TAGS) == ({"mail"} if counts else set())


def test_the_project_marks_a_whole_source() -> None:
    assert declared_columns(source(tags=["pii"], columns={}), MASK_TAGS) == {WHOLE_TABLE}
