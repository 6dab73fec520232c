"""Lists in messages: cut at a number of items, and said how many more there are."""

from __future__ import annotations

from dbx_cd.enumeration import listed


def test_what_is_left_out_of_a_list_is_counted() -> None:
    assert listed(["a", "b", "c", "d"], most=2) == "a, b and 2 more"
    assert listed(["a", "b", "c", "d"], most=2, separator="; ") == "a; b; and 2 more"


def test_a_list_that_fits_is_written_whole() -> None:
    assert listed(["a", "b"], most=2) == "a, b"
    assert listed([], most=2) == ""
