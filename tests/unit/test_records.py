from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from dbx_cd import DbxCdError
from dbx_cd.records import Record
from dbx_cd.relations import RelationName


@dataclass(frozen=True)
class Part:
    name: str
    size: int | None = None


@dataclass(frozen=True)
class Delivery(Record):
    """A record with the kinds of fields that real ones have."""

    KIND: ClassVar[str] = "delivered"

    relation: RelationName
    at: datetime
    folder: Path
    parts: tuple[Part, ...] = ()
    digests: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Parcel(Record):
    """A record whose second format renamed a field."""

    FORMAT: ClassVar[int] = 2

    recipient: str

    @classmethod
    def upgrade(cls, d: dict[Any, Any], written: int) -> dict[Any, Any]:
        return {**d, "recipient": d["to"]} if written == 1 else d


DELIVERY = Delivery(
    relation=RelationName("prod", "shop", "orders"),
    at=datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    folder=Path("some/folder"),
    parts=(Part("ü"), Part("b", 3)),
    digests={"a": "1"},
)


def test_record_survives_a_round_trip_through_json() -> None:
    assert Delivery.read(json.loads(json.dumps(DELIVERY.to_dict()))) == DELIVERY


def test_record_says_its_format_and_the_wheel_that_wrote_it() -> None:
    written = DELIVERY.to_dict()
    assert written["format"] == 1
    assert written["wheel_version"]


def test_kind_is_the_name_of_the_event() -> None:
    assert DELIVERY.kind == "delivered"


def test_unknown_fields_are_ignored() -> None:
    assert Delivery.read({**DELIVERY.to_dict(), "added_later": [1, 2]}) == DELIVERY


def test_fields_with_defaults_may_be_missing() -> None:
    written = DELIVERY.to_dict()
    del written["parts"], written["digests"]
    assert Delivery.read(written).parts == ()


def test_newer_format_is_refused_with_the_wheel_to_install() -> None:
    with pytest.raises(DbxCdError, match=r"Delivery of format 2 cannot be read.*Next: install dbx-cd 9\.9\.9 or later"):
        Delivery.read({**DELIVERY.to_dict(), "format": 2, "wheel_version": "9.9.9"})


def test_older_format_is_brought_up_to_date() -> None:
    assert Parcel.read({"format": 1, "to": "Ada"}) == Parcel("Ada")


def test_record_without_a_format_counts_as_the_first() -> None:
    assert Parcel.read({"to": "Ada"}) == Parcel("Ada")


@pytest.mark.parametrize(
    "damage",
    [
        {"relation": None},
        {"relation": "prod.shop.orders"},
        {"at": "yesterday"},
        {"parts": 3},
        {"parts": [{"size": 1}]},
        {"digests": []},
        {"format": "one"},
    ],
)
def test_damaged_record_is_reported_as_such(damage: dict[str, object]) -> None:
    with pytest.raises(DbxCdError, match="Delivery"):
        Delivery.read({**DELIVERY.to_dict(), **damage})


def test_missing_field_is_named() -> None:
    written = DELIVERY.to_dict()
    del written["folder"]
    with pytest.raises(DbxCdError, match=r"not a valid Delivery record.*folder"):
        Delivery.read(written)


def test_record_is_shown_as_html_in_a_notebook() -> None:
    shown = DELIVERY._repr_html_()
    assert shown == DELIVERY.to_html()
    assert "some/folder" in shown


def test_html_of_a_record_escapes_its_values() -> None:
    assert "<script>" not in Parcel("<script>alert(1)</script>").to_html()
