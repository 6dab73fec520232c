"""What is secret is masked in text and in files, as it is and as JSON writes it."""

from __future__ import annotations

import json
from pathlib import Path

from dbx_cd.dbt.hidden import Hidden

SECRET = 'p"ass\\wörd'


def test_a_secret_is_masked_as_it_is_and_as_json_has_it(tmp_path: Path) -> None:
    hidden = Hidden([SECRET])
    text = f"{SECRET} {json.dumps({'a': SECRET})} {json.dumps([SECRET], ensure_ascii=False)}"
    assert hidden.text(text) == '***** {"a": "*****"} ["*****"]'
    (tmp_path / "log").write_text(text)
    assert hidden.copy(tmp_path / "log", tmp_path / "copy")
    assert (tmp_path / "copy").read_text() == '***** {"a": "*****"} ["*****"]'


def test_of_two_secrets_the_longer_goes_first() -> None:
    assert Hidden(["12345678", "0123456789"]).text("0123456789 12345678") == "***** *****"


def test_a_short_value_is_left_to_dbt_lest_the_manifest_be_another_one() -> None:
    assert Hidden(["prod"]).text("prod.orders") == "prod.orders"


def test_nothing_hidden_changes_nothing_not_even_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xff\x00")
    assert not Hidden().copy(tmp_path / "log", tmp_path / "copy")
    assert not Hidden(["not in there"]).copy(tmp_path / "log", tmp_path / "again")
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "again").read_bytes() == b"\xff\x00"


def test_no_secret_is_in_its_own_words() -> None:
    assert SECRET not in repr(Hidden([SECRET]))
