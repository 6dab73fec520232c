from __future__ import annotations

import pytest
import yaml

from dbx_cd.yaml_text import load_yaml


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
