"""docs/fidelity.md is what its generator prints, and the tests that it names exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from dbx_cd.local.emulation.dispatch import EMULATED
from dbx_cd.local.emulation.elsewhere import ELSEWHERE, Elsewhere, rights_of_commands
from dbx_cd.local.emulation.fidelity import page
from dbx_cd.local.emulation.needs import OWNERSHIP
from dbx_cd.local.emulation.statement import Emulated

ROOT = Path(__file__).parents[3]
JAVA = ROOT / "src" / "dbx_cd" / "local" / "java" / "dbxcd" / "local" / "rights"


def named(entry: Emulated) -> str:
    return entry.statement


def test_the_page_is_what_the_generator_prints() -> None:
    assert (ROOT / "docs" / "fidelity.md").read_text(encoding="utf-8") == page(), (
        "run: python -m dbx_cd.local.emulation.fidelity > docs/fidelity.md"
    )


@pytest.mark.parametrize("named_test", sorted(set(re.findall(r"`(tests/[\w/]+\.py::\w+)`", page()))))
def test_the_tests_that_are_named_exist(named_test: str) -> None:
    file, name = named_test.split("::")
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("entry", EMULATED, ids=named)
def test_every_emulated_statement_says_what_it_does_and_how_it_is_tested(entry: Emulated) -> None:
    assert entry.does
    assert entry.because
    assert entry.tests


PRIVILEGES = set(re.findall(r"^  ([A-Z_]+)\(", (JAVA / "Privilege.java").read_text(encoding="utf-8"), re.M))
KINDS = set(re.findall(r"^  ([A-Z]+)\(", (JAVA / "SecurableKind.java").read_text(encoding="utf-8"), re.M))


@pytest.mark.parametrize("entry", EMULATED, ids=named)
def test_every_emulated_statement_says_what_rights_it_needs_or_why_none(entry: Emulated) -> None:
    assert entry.needs
    for need in () if isinstance(entry.needs, str) else entry.needs:
        assert need.privilege == OWNERSHIP or need.privilege.replace(" ", "_") in PRIVILEGES
        assert need.kind in KINDS
        assert not isinstance(need.on, str) or need.kind == "METASTORE" or need.on in entry.pattern.groupindex
        assert f"{need}" in page()


@pytest.mark.parametrize("entry", ELSEWHERE, ids=lambda entry: entry.title)
def test_what_is_done_below_the_statements_says_what_it_does_and_how_it_is_tested(entry: Elsewhere) -> None:
    assert entry.does().endswith(".")
    assert "{@" not in entry.does()
    assert entry.tests
    assert all((JAVA.parent / f"{name}.java").is_file() for name in entry.also)


def test_every_catalog_and_extension_that_spark_is_started_with_is_on_the_page() -> None:
    started = (JAVA.parents[3] / "spark_session.py").read_text(encoding="utf-8")
    named = set(re.findall(r'"dbxcd\.local\.(\w+)[$"]', started))
    listed = {name for entry in ELSEWHERE for name in (entry.source, *entry.also)}
    assert len(named) >= 10
    assert named - listed == set()


def test_every_command_with_a_right_of_its_own_is_on_the_page() -> None:
    source = (JAVA.parent / "CommandTargets.java").read_text(encoding="utf-8")
    known = set(re.findall(r'"(\w+)"', source.split("COMMANDS =")[1].split("RULES")[0]))
    assert {name for names in rights_of_commands().values() for name in names} == known
