"""YAML with the line each mapping and key came from, so that a message can name file and line."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from dbx_cd.errors import SuiteError
from dbx_cd.yaml_text import PlainLoader

# Values of a document, those behind an alias counted wherever it is used: a few lines can mean millions of them.
_MOST_VALUES = 100_000


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
        SuiteError: the file is missing, is not YAML, repeats a key, is nested too deeply or by an alias within itself,
            or holds more than 100,000 values.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise SuiteError(f"cannot be read: {exc}", where=path, next_step="fix the file") from exc
    try:
        return _Values(text, path).document()
    except yaml.MarkedYAMLError as exc:
        line = exc.problem_mark.line + 1 if exc.problem_mark else 1
        raise SuiteError(f"not valid YAML: {exc.problem}", where=f"{path}:{line}", next_step="fix the file") from exc
    except yaml.reader.ReaderError as exc:
        line = text.count("\n", 0, exc.position) + 1
        problem = f"not valid YAML: the character #x{exc.character:04x}: {exc.reason}"
        raise SuiteError(problem, where=f"{path}:{line}", next_step="fix the file") from exc
    except yaml.YAMLError as exc:
        raise SuiteError(f"not valid YAML: {exc}", where=path, next_step="fix the file") from exc
    except RecursionError as exc:
        raise SuiteError("it is nested too deeply", where=path, next_step="fix the file") from exc


class _Values:
    """Makes the values of one document."""

    def __init__(self, text: str, path: Path) -> None:
        self._loader = PlainLoader(text)
        self._path = path
        self._count = 0
        self._open: set[int] = set()

    def document(self) -> Any:
        try:
            node = self._loader.get_single_node()
            return None if node is None else self._value(node)
        finally:
            self._loader.dispose()

    def _value(self, node: yaml.Node) -> Any:
        self._count += 1
        if self._count > _MOST_VALUES:
            raise self._error(f"it holds more than {_MOST_VALUES:,} values, counted wherever an alias is used", node)
        if id(node) in self._open:
            raise self._error("an alias (`*name`) stands within what it means", node)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node)
            if isinstance(node, yaml.SequenceNode):
                return [self._value(child) for child in node.value]
        finally:
            self._open.remove(id(node))
        value = self._loader.construct_object(node)
        return _as_written(value, str(node.value)) if isinstance(value, float) else value

    def _mapping(self, node: yaml.MappingNode) -> Located:
        self._loader.flatten_mapping(node)
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = str(self._value(key_node))
            if key in values:
                raise self._error(f"the key `{key}` is given twice", key_node, next_step="keep one")
            values[key] = self._value(value_node)
            lines[key] = key_node.start_mark.line + 1
        return Located(values, line=node.start_mark.line + 1, lines=lines)

    def _error(self, problem: str, node: yaml.Node, *, next_step: str = "fix the file") -> SuiteError:
        return SuiteError(problem, where=f"{self._path}:{node.start_mark.line + 1}", next_step=next_step)


def _as_written(value: float, text: str) -> Decimal:
    """A number from its digits; `.inf`, `.nan` and `1:30.5`, a number in sixties, from what YAML makes of them."""
    try:
        return Decimal(text.replace("_", ""))
    except InvalidOperation:
        return Decimal(str(value))
