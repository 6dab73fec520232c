"""The library runs on Spark 3.5 and on Spark Connect: its code uses nothing that either lacks.

What it does there is tested by `make test-spark35` and `make test-connect`. This looks at the code alone, in a second.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import dbx_cd
from pyspark_names import CLASSES, names, recorded

ROOT = Path(dbx_cd.__file__).parent
CLASSIC = {"newSession", "rdd", "sparkContext", "_jvm", "_jsparkSession", "_jdf", "_jsc", "_sc"}
"""What Spark Connect does not have."""
ASKED_FIRST = {
    "delta/sql.py": {"newSession"},
    "sql_endpoint/collect.py": {
        *("_jdf", "toArrow", "_load_from_socket", "pyspark.rdd", "pyspark.util", "pyspark.serializers", "read_int"),
    },
    "sql_endpoint/missing_schema.py": {"_jvm", "_jsparkSession", "_sc"},
    "sql_endpoint/session.py": {"newSession", "sparkContext"},
    "sql_endpoint/sql_state.py": {"_jvm"},
}
"""What a module uses only where it is there: it asks first, or goes on without it, which its own tests show."""
ANYBODYS = {"exists", "name", "outer", "scalar", "plot", "changes", "transform", "xml", "getMessage", "dropTable"}
"""Newer members of PySpark's classes whose names others have as well."""


@cache
def newer() -> frozenset[str]:
    """Members that PySpark's classes have here and had not in 3.5."""
    old, new = recorded(), names()
    return frozenset(n for _, of in CLASSES for n in set(new[of]) - set(old[of])) - ANYBODYS


def wrong(code: str) -> Iterator[str]:
    """The names in a module that Spark Connect or PySpark 3.5 lacks."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pyspark":
            known = recorded().get(node.module or "")
            if known is None:
                yield node.module or ""
            for alias in node.names:
                if known is None:
                    yield alias.name
                elif alias.name not in known:
                    yield f"{node.module}.{alias.name}"
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "pyspark")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (node.attr in CLASSIC or (node.attr in newer() and "pyspark" in code)):
            yield node.attr
        if isinstance(node, ast.Module | ast.FunctionDef):
            yield from functions_called(node)


def functions_called(scope: ast.Module | ast.FunctionDef) -> Iterator[str]:
    """The functions of PySpark that a scope calls by the name that it imports them under."""
    known = recorded()["pyspark.sql.functions"]
    imports = [node for node in scope.body if isinstance(node, ast.ImportFrom) and node.module == "pyspark.sql"]
    called = {a.asname or a.name for node in imports for a in node.names if a.name == "functions"}
    attributes = (node for node in ast.walk(scope) if isinstance(node, ast.Attribute))
    for node in attributes:
        if isinstance(node.value, ast.Name) and node.value.id in called and node.attr not in known:
            yield f"pyspark.sql.functions.{node.attr}"


def modules() -> Iterator[Path]:
    """All but the embedded workspace, which is Spark 4.2 and classic."""
    for path in sorted(ROOT.rglob("*.py")):
        if path.relative_to(ROOT).parts[0] not in ("local", "bundle"):
            yield path


def test_no_module_uses_what_spark_connect_or_spark_3_5_lacks() -> None:
    found = {path.relative_to(ROOT).as_posix(): set(wrong(path.read_text(encoding="utf-8"))) for path in modules()}
    assert {name: lacking for name, lacking in found.items() if lacking} == ASKED_FIRST


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("spark._jvm", ["_jvm"]),
        ("frame.rdd.map(f)", ["rdd"]),
        ("from pyspark.sql import SparkSession, DataFrame", []),
        ("from pyspark.sql import VariantVal", ["pyspark.sql.VariantVal"]),
        ("from pyspark.errors import PySparkImportError", ["pyspark.errors.PySparkImportError"]),
        ("from pyspark.sql import functions as f\nf.parse_json(f.col('a'))", ["pyspark.sql.functions.parse_json"]),
        ("from pyspark.sql.functions import try_parse_json", ["pyspark.sql.functions.try_parse_json"]),
        ("from pyspark.sql import DataFrame\ndef to(frame: DataFrame): return frame.toArrow()", ["toArrow"]),
        ("from pyspark.core.context import SparkContext", ["pyspark.core.context", "SparkContext"]),
        ("import pyspark", ["pyspark"]),
    ],
)  # fmt: skip
def test_it_would_notice(code: str, expected: list[str]) -> None:
    assert list(wrong(code)) == expected
