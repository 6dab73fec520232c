"""How the library speaks: hover help under every field of its records, no `print`, no words that need a second look."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import dbx_cd

ROOT = Path(dbx_cd.__file__).parent

# Their output is what they are for.
COMMAND_LINES = (
    *(
        f"cli.{name}"
        for name in ("command", "init", "trigger", "rollback", "diff", "sample", "setup", "check", "lock_dbt")
    ),
    *("__main__", "local.__main__", "local.java_catalog", "local.record_classes"),
)


def trees() -> Iterator[tuple[str, ast.Module]]:
    for path in sorted(ROOT.rglob("*.py")):
        inside = path.relative_to(ROOT)
        if inside.parts[0] != "bundle":  # the notebooks, which are data here
            name = ".".join(inside.with_suffix("").parts).removesuffix(".__init__")
            yield name, ast.parse(path.read_text(encoding="utf-8"))


TREES = dict(trees())


def is_dataclass(node: ast.stmt) -> bool:
    return isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(d) for d in node.decorator_list)


DATACLASSES = {
    (module, node.name): node
    for module, tree in TREES.items()
    for node in tree.body
    if isinstance(node, ast.ClassDef) and is_dataclass(node)
}
IMPORTED = {
    module: {
        alias.asname or alias.name: (str(node.module).removeprefix("dbx_cd."), alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for module, tree in TREES.items()
}


def fields(node: ast.ClassDef) -> dict[str, bool]:
    """The fields of a dataclass, each with whether a docstring is right under it."""
    under = [*node.body[1:], None]
    return {
        ast.unparse(field.target): isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
        for field, after in zip(node.body, under, strict=True)
        if isinstance(field, ast.AnnAssign) and "ClassVar" not in ast.unparse(field.annotation)
    }


def named_by(module: str, node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """The dataclasses that a dataclass inherits from, or that its fields consist of."""
    annotations = [field.annotation for field in node.body if isinstance(field, ast.AnnAssign)]
    for part in [*node.bases, *annotations]:
        for name in (n.id for n in ast.walk(part) if isinstance(n, ast.Name)):
            found = IMPORTED[module].get(name, (module, name))
            if found in DATACLASSES:
                yield found


def public_dataclasses() -> set[tuple[str, str]]:
    """Those of `dbx_cd.__all__`, and those that they are made of."""
    open_ends = {key for key in DATACLASSES if key[1] in dbx_cd.__all__}
    found: set[tuple[str, str]] = set()
    while open_ends:
        key = open_ends.pop()
        found.add(key)
        open_ends |= set(named_by(key[0], DATACLASSES[key])) - found
    return found


PUBLIC = sorted(public_dataclasses())


def test_public_dataclasses_are_found_with_what_they_are_made_of() -> None:
    assert {
        ("artifacts.version", "ArtifactVersion"),
        ("artifacts.version", "FileRecord"),
        ("policies", "Policies"),
        ("smoke.report", "CheckResult"),
        ("dbt.artifacts", "Node"),
    } <= set(PUBLIC)


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_every_field_of_a_public_dataclass_has_a_docstring(module: str, name: str) -> None:
    found = fields(DATACLASSES[module, name])
    assert [field for field, documented in found.items() if not documented] == []


@pytest.mark.parametrize(("module", "name"), list(DATACLASSES))
def test_docstring_of_a_dataclass_explains_no_fields(module: str, name: str) -> None:
    node = DATACLASSES[module, name]
    docstring = ast.get_docstring(node) or ""
    explained = [field for field in fields(node) if f"`{field}`" in docstring]
    assert len(explained) < 2
    assert "Attributes:" not in docstring


def test_no_docstring_begins_by_pointing_at_another() -> None:
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = [
        f"{module}: {docstring}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, documented)
        and (docstring := ast.get_docstring(node) or "").startswith(("The same,", "The same for"))
    ]
    assert found == []


# Words that need a second look, each with the one that says it: of variables, and of text of any kind.
VARIABLES = {"said": "messages", "told": "reported", "held": "blocked"}
TEXT = {"mend": "fix", "mends": "fixes", "mended": "fixed"}


def test_variables_are_called_what_they_are() -> None:
    found = {
        (module, node.id)
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id in VARIABLES
    }
    assert found == set()


def test_people_are_asked_to_fix_things() -> None:
    found = {
        (path.name, word)
        for path in [*ROOT.rglob("*.py"), *(ROOT / "bundle" / "notebooks").glob("*.py")]
        for word in re.findall(r"[a-z]+", path.read_text(encoding="utf-8").lower())
        if word in TEXT
    }
    assert found == set()


def test_only_command_lines_print() -> None:
    found = {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "print"
    }
    assert found - set(COMMAND_LINES) == set()


def test_no_comparison_chains_is() -> None:
    found = [
        f"{module}:{node.lineno}"
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Compare) and len(node.ops) > 1
        if any(isinstance(operator, ast.Is | ast.IsNot) for operator in node.ops)
    ]
    assert found == []


def test_loggers_are_named_alike() -> None:
    """`_log`, and the module's own name, so that a room can be listened to by its name."""
    found = {
        module: ast.unparse(node)
        for module, tree in TREES.items()
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("logging.getLogger")
    }
    assert {"smoke.data", "smoke.run", "artifacts.store", "sql_endpoint.executor"} <= set(found)
    assert set(found.values()) == {"_log = logging.getLogger(__name__)"}


def test_smoke_touches_spark_in_one_module() -> None:
    found = {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if module.startswith("smoke.")
        and isinstance(node, ast.Attribute)
        and node.attr in ("sql", "table", "read", "catalog", "createDataFrame")
        and "spark" in ast.unparse(node.value)
    }
    assert found == {"smoke.data"}
