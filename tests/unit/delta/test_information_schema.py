"""Catalogs that are not there: a release may ask for what was never built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from dbx_cd.delta import information_schema
from dbx_cd.errors import SqlFailed
from dbx_cd.relations import RelationName

ORDERS = RelationName("prod", "shop", "orders")


@dataclass(frozen=True)
class Refusing:
    """A port on which every query fails with one of Spark's conditions."""

    condition: str

    def query(self, statement: str) -> list[Any]:
        raise SqlFailed(f"[{self.condition}] {statement}", condition=self.condition)


@pytest.mark.parametrize(
    "condition",
    ["TABLE_OR_VIEW_NOT_FOUND", "CATALOG_NOT_FOUND", "NO_SUCH_CATALOG_EXCEPTION", "REQUIRES_SINGLE_PART_NAMESPACE"],
)
def test_relations_of_a_catalog_that_does_not_exist_are_missing(condition: str) -> None:
    found = information_schema.entries(Refusing(condition), [ORDERS])  # type: ignore[arg-type]
    assert found[ORDERS.key].kind == "missing"


def test_a_catalog_that_may_not_be_read_is_not_taken_for_a_missing_one() -> None:
    with pytest.raises(SqlFailed, match="INSUFFICIENT_PERMISSIONS"):
        information_schema.entries(Refusing("INSUFFICIENT_PERMISSIONS"), [ORDERS])  # type: ignore[arg-type]
