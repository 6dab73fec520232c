"""docs/promises.md says by which tests the README's promises are kept: each promise, and each name, is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README, PROMISES = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/promises.md"))
_NUMBERED = re.compile(r"^(\d+)\. ", re.M)
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")
NAMED = _TEST.findall(PROMISES)


def numbers(text: str) -> list[int]:
    return [int(number) for number in _NUMBERED.findall(text)]


def test_every_promise_of_the_readme_is_there() -> None:
    safe = README.split("## What makes it safe")[1].split("\n## ")[0]
    assert numbers(safe) == numbers(PROMISES) == list(range(1, 11))


@pytest.mark.parametrize("number", range(1, 11))
def test_every_promise_names_its_tests(number: int) -> None:
    text = re.split(r"^\d+\. ", PROMISES, flags=re.M)[number]
    assert len(_TEST.findall(text)) >= 3


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_test_that_is_named_exists(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
