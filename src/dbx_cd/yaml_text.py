"""YAML as this library takes it: a key that stands twice is a mistake, not a choice of the last one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

_MERGE = "<<"


def load_yaml(text: str, *, last_counts: bool = False) -> Any:
    """Read one YAML document.

    Args:
        text: the document.
        last_counts: take the last of two equal keys, as PyYAML does without a word (measured with 6.0): for what was
            published when that still counted.

    Raises:
        yaml.YAMLError: it is not YAML, or a mapping in it has a key twice; the message has the line.
    """
    if not last_counts:
        # Before anything is constructed: to construct a merge (`<<`) rewrites the nodes of what it brings.
        for node in _nodes(yaml.compose(text, Loader=yaml.SafeLoader), set()):
            if isinstance(node, yaml.MappingNode):
                _refuse_twice(node)
    return yaml.safe_load(text)


def _nodes(node: yaml.Node | None, seen: set[int]) -> Iterator[yaml.Node]:
    """Every node of a document once, keys too; `seen` holds those that came, as anchors may make circles."""
    if node is None or id(node) in seen:
        return
    seen.add(id(node))
    yield node
    inner = node.value if isinstance(node, yaml.SequenceNode) else ()
    if isinstance(node, yaml.MappingNode):
        inner = [part for pair in node.value for part in pair]
    for part in inner:
        yield from _nodes(part, seen)


def _refuse_twice(node: yaml.MappingNode) -> None:
    """Refuse a mapping that has a key twice; keys that a merge brings may be overridden."""
    seen: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value == _MERGE:
            continue
        if (key.tag, key.value) in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} is there twice", key.start_mark)
        seen.add((key.tag, key.value))
