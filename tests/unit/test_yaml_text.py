from __future__ import annotations

import pytest
import yaml

from dbx_cd.yaml_text import keys_of, load_yaml


def test_documents_are_read_as_pyyaml_reads_them() -> None:
    text = "a: 1\nb: [x, {c: true}]\n"
    assert load_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("a: 1\nb: 2\na: 3\n", "a", 3),
        ("t:\n  prod: {gate: approval}\n  prod: {}\n", "prod", 3),
        ("[{x: 1, x: 2}]", "x", 1),
    ],
    ids=["at the top", "inside", "in a list"],
)
def test_a_key_that_stands_twice_is_refused_with_its_line(text: str, key: str, line: int) -> None:
    with pytest.raises(yaml.MarkedYAMLError, match=f"the key '{key}' is there twice") as refused:
        load_yaml(text)
    assert refused.value.problem_mark is not None
    assert refused.value.problem_mark.line + 1 == line


def test_what_a_merge_brings_may_be_overridden() -> None:
    assert load_yaml("base: &b {x: 1, y: 2}\nmore:\n  <<: *b\n  x: 3\n")["more"] == {"x": 3, "y": 2}


def test_no_objects_are_made() -> None:
    with pytest.raises(yaml.YAMLError):
        load_yaml("!!python/object/apply:os.system ['true']")


def test_a_merge_of_a_merge_may_be_overridden_wherever_it_stands() -> None:
    text = "a: &a {x: 0}\nwrapper: {base: &b {<<: *a, x: 1}}\nother: {<<: *b, x: 2}\nmore: {<<: *b}\n"
    assert load_yaml(text) == yaml.safe_load(text)


def test_a_key_twice_below_an_anchor_or_in_a_key_is_refused_too() -> None:
    for text in ("a: &a {b: {x: 1, x: 2}}\nc: *a\n", "? {x: 1, x: 2}\n: 1\n"):
        with pytest.raises(yaml.MarkedYAMLError, match="the key 'x' is there twice"):
            load_yaml(text)


def test_a_document_that_holds_itself_is_read() -> None:
    loaded = load_yaml("a: &a [*a]\n")
    assert loaded["a"][0] is loaded["a"]


@pytest.mark.parametrize("last_counts", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "a: 2024-13-45",
        "a: \0",
        "a: " + "9" * 5000,
        "a: !!int ''",
        "a: !!bool x",
        "a: " + "[" * 3000,
        "a: " + "{a: " * 900,
    ],
    ids=["a date", "a NUL", "a number", "no number", "no boolean", "lists", "mappings"],
)
def test_whatever_is_wrong_is_an_error_of_yaml(text: str, *, last_counts: bool) -> None:
    with pytest.raises(yaml.YAMLError):
        load_yaml(text, last_counts=last_counts)


def test_a_value_that_does_not_exist_is_named_with_its_line() -> None:
    with pytest.raises(yaml.MarkedYAMLError, match="'2024-13-45' is no timestamp: month must be") as refused:
        load_yaml("a:\n- b: {c: 2024-13-45}\n")
    assert refused.value.problem_mark is not None
    assert refused.value.problem_mark.line + 1 == 2


def test_the_keys_of_a_document_are_known_whatever_its_values_are() -> None:
    assert keys_of("a: 2024-13-45\n? [b]\n: {c: 1}\nd: !unknown 1\n") == {"a", "d"}
    assert keys_of("[a]") == keys_of("") == frozenset()
