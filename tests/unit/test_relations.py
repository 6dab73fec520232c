from __future__ import annotations

import pytest

from dbx_cd import DbxCdError, RelationName
from dbx_cd.relations import quote, string_literal


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("prod.shop.orders", ("prod", "shop", "orders")),
        ("`prod`.`shop`.`orders`", ("prod", "shop", "orders")),
        ("prod.`my schema`.orders", ("prod", "my schema", "orders")),
        ("`a.b`.c.`d``e`", ("a.b", "c", "d`e")),
        ("prod.größe.表", ("prod", "größe", "表")),
        ("prod.shop-eu.2024", ("prod", "shop-eu", "2024")),
    ],
)
def test_name_is_read_with_or_without_backticks(text: str, parts: tuple[str, str, str]) -> None:
    name = RelationName.parse(text)
    assert (name.catalog, name.schema, name.identifier) == parts
    assert RelationName.parse(name.quoted) == name


@pytest.mark.parametrize(
    "text", ["", "orders", "shop.orders", "a.b.c.d", "a..c", "a.b.", ".a.b", "a.b.c ", "a b.c.d", "`a.b.c", "``.b.c"]
)
def test_anything_but_three_parts_is_refused(text: str) -> None:
    with pytest.raises(DbxCdError, match=r"write it as catalog\.schema\.table"):
        RelationName.parse(text)


def test_plain_form_is_for_people_and_quoted_form_for_sql() -> None:
    name = RelationName("prod", "my schema", "or`ders")
    assert str(name) == "prod.my schema.or`ders"
    assert name.quoted == "`prod`.`my schema`.`or``ders`"


def test_names_are_compared_without_case_by_their_key() -> None:
    assert RelationName("Prod", "Shop", "ORDERS").key == RelationName("prod", "shop", "orders").key


def test_identifier_in_backticks_has_its_backticks_doubled() -> None:
    assert quote("a`; drop table x; --") == "`a``; drop table x; --`"


@pytest.mark.parametrize(
    ("text", "literal"), [("it's", r"'it\'s'"), ("a\\", r"'a\\'"), (r"\'", r"'\\\''"), ("${env:A}", r"'\u0024{env:A}'")]
)
def test_text_in_a_string_literal_cannot_end_it(text: str, literal: str) -> None:
    assert string_literal(text) == literal
