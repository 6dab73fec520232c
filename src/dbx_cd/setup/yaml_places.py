"""YAML with the line of every value by its place, so that a finding can name file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

import yaml

from dbx_cd.errors import ConfigError
from dbx_cd.yaml_text import PlainLoader

Place: TypeAlias = tuple[str | int, ...]
"""Where a value is in a document: keys of mappings, and numbers of items from 0."""

# Values of a document, those behind an alias counted wherever it is used: a few lines can mean millions of them.
_MOST_VALUES = 100_000
_MERGE = "<<"


def read_places(text: str, *, file: Path) -> tuple[dict[str, Any], dict[Place, int]]:
    """Read a mapping, and the line (from 1) of each of its keys and items, at any depth.

    What an alias stands for has the lines of its anchor, but for the key in front of it.

    Args:
        text: the document.
        file: where it comes from, for messages.

    Raises:
        ConfigError: it is no YAML, no mapping, has a key twice, an alias within what it means, or too many values.
    """
    try:
        loader = PlainLoader(text)
        try:
            node = loader.get_single_node()
            reader = _Reader(loader, file)
            values = None if node is None else reader.value(node, ())
        finally:
            loader.dispose()
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        where = file if mark is None else f"{file}:{mark.line + 1}"
        problem = getattr(exc, "problem", None) or exc
        raise ConfigError(f"cannot be read as YAML: {problem}", where=where, next_step="correct it there") from exc
    except RecursionError as exc:
        raise ConfigError("cannot be read as YAML: it is nested too deeply", where=file) from exc
    if not isinstance(values, dict):
        raise ConfigError("must be a mapping", where=file, next_step="correct it")
    return values, reader.lines


class _Reader:
    """Makes the values of one document."""

    def __init__(self, loader: PlainLoader, file: Path) -> None:
        self.lines: dict[Place, int] = {}
        self._loader = loader
        self._file = file
        self._count = 0
        self._open: set[int] = set()
        self._flat: set[int] = set()

    def value(self, node: yaml.Node, place: Place) -> Any:
        self._count += 1
        if self._count > _MOST_VALUES:
            raise self._error(f"more than {_MOST_VALUES:,} values, counted wherever an alias is used", node)
        if id(node) in self._open:
            raise self._error("an alias (`*name`) stands within what it means", node)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node, place)
            if isinstance(node, yaml.SequenceNode):
                for number, child in enumerate(node.value):
                    self.lines[*place, number] = child.start_mark.line + 1
                return [self.value(child, (*place, number)) for number, child in enumerate(node.value)]
        finally:
            self._open.remove(id(node))
        return self._loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        written = [(key.tag, str(key.value)) for key, _ in node.value if id(node) not in self._flat]
        for number, (key_node, _) in enumerate(node.value if written else ()):
            if written[number] in written[:number] and key_node.value != _MERGE:
                raise self._error(f"the key {key_node.value!r} is there twice", key_node)
        self._flat.add(id(node))
        # What a merge brings may be overridden, and is put before what is written: afterwards keys may be there twice.
        self._loader.flatten_mapping(node)
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(self._loader.construct_object(key_node, deep=True))
            self.lines[*place, key] = key_node.start_mark.line + 1
            values[key] = self.value(value_node, (*place, key))
        return values

    def _error(self, problem: str, node: yaml.Node) -> ConfigError:
        where = f"{self._file}:{node.start_mark.line + 1}"
        return ConfigError(f"cannot be read as YAML: {problem}", where=where, next_step="correct it there")
