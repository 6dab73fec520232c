"""YAML with the line each mapping and key came from, so that a message can name file and line."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from dbx_cd.errors import SuiteError


class Located(dict[str, Any]):
    """A YAML mapping that knows its lines (1-based): `line` of itself, `lines` of its keys."""

    def __init__(self, values: Mapping[str, Any], *, line: int, lines: Mapping[str, int]) -> None:
        super().__init__(values)
        self.line = line
        self.lines = lines

    def line_of(self, key: str) -> int:
        """The line of a key; the mapping's own line when the key is not there."""
        return self.lines.get(key, self.line)


def read_located(path: Path) -> Any:
    """Read one YAML document, with every mapping as `Located`; None for an empty file.

    A number with a point is a `Decimal`: as a double it would lose digits.

    Raises:
        SuiteError: the file is missing, is not YAML, or repeats a key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise SuiteError(f"cannot be read: {exc}", where=path, next_step="fix the file") from exc
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        return None if node is None else _value(node, loader, path)
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise SuiteError(f"not valid YAML: {exc.problem}", where=f"{path}:{line}", next_step="fix the file") from exc
    except yaml.YAMLError as exc:
        raise SuiteError(f"not valid YAML: {exc}", where=path, next_step="fix the file") from exc
    finally:
        loader.dispose()


def _value(node: yaml.Node, loader: yaml.SafeLoader, path: Path) -> Any:
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = str(_value(key_node, loader, path))
            line = key_node.start_mark.line + 1
            if key in values:
                raise SuiteError(f"the key `{key}` is given twice", where=f"{path}:{line}", next_step="keep one")
            values[key] = _value(value_node, loader, path)
            lines[key] = line
        return Located(values, line=node.start_mark.line + 1, lines=lines)
    if isinstance(node, yaml.SequenceNode):
        return [_value(child, loader, path) for child in node.value]
    value = loader.construct_object(node)
    return _as_written(value, str(node.value)) if isinstance(value, float) else value


def _as_written(value: float, text: str) -> Decimal:
    """A number from its digits; `.inf`, `.nan` and `1:30.5`, a number in sixties, from what YAML makes of them."""
    try:
        return Decimal(text.replace("_", ""))
    except InvalidOperation:
        return Decimal(str(value))
