"""The columns that a project declares for a source, with their types and the lines where they stand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from dbx_cd.dbt.artifacts import Node


@dataclass(frozen=True)
class DeclaredColumn:
    """A column as the project has it."""

    name: str
    """Its name."""
    data_type: str | None
    """Its type, as it is written; None where the project says none."""
    where: str
    """The file, relative to the project, and the line where that is known."""


def declared_columns(source: Node, project_dir: Path) -> list[DeclaredColumn]:
    """The columns of a source.

    Args:
        source: the source, as the manifest has it.
        project_dir: the folder in which its file lies; where the file is another by now, no line is told.
    """
    lines = _lines(source, project_dir)
    return [
        DeclaredColumn(
            str(column["name"]),
            str(column["data_type"]) if column.get("data_type") else None,
            f"{source.path}:{lines[name.lower()]}" if name.lower() in lines else source.path,
        )
        for name, column in source.columns.items()
    ]


def _lines(source: Node, project_dir: Path) -> dict[str, int]:
    """The line of each column, by its name in lower case."""
    try:
        root = yaml.compose((project_dir / source.path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):
        return {}
    return {
        name.lower(): node.start_mark.line + 1
        for entry in _named(root, "sources", str(source.raw.get("source_name")))
        for table in _named(entry, "tables", source.name)
        for name, node in _names(_value(table, "columns"))
    }


def _named(node: yaml.Node | None, key: str, wanted: str) -> Iterator[yaml.Node]:
    return (item for name, item in _names(_value(node, key)) if name == wanted)


def _names(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    for item in node.value if isinstance(node, yaml.SequenceNode) else ():
        name = _value(item, "name")
        if isinstance(name, yaml.ScalarNode):
            yield str(name.value), item


def _value(node: yaml.Node | None, key: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for name, value in pairs if name.value == key), None)
