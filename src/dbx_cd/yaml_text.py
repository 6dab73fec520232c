"""YAML as this library takes it: a key that stands twice is a mistake, not a choice of the last one.

Whatever is wrong with a document is a `yaml.YAMLError`. PyYAML itself (6.0) lets through what Python says of a date
that does not exist or of a number with too many digits (ValueError), of a tag that does not fit its text (IndexError
and others), and of a document nested too deeply (RecursionError).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import yaml

_MERGE = "<<"
_SHOWN = 40


def load_yaml(text: str, *, last_counts: bool = False) -> Any:
    """Read one YAML document.

    Args:
        text: the document.
        last_counts: take the last of two equal keys, as PyYAML does without a word (measured with 6.0): for what was
            published when that still counted.

    Raises:
        yaml.YAMLError: it is not YAML, or a mapping in it has a key twice; the message has the line.
    """
    with _nested_too_deeply():
        if not last_counts:
            # Before anything is constructed: to construct a merge (`<<`) rewrites the nodes of what it brings.
            for node in _nodes(yaml.compose(text, Loader=PlainLoader), set()):
                if isinstance(node, yaml.MappingNode):
                    _refuse_twice(node)
        return yaml.load(text, Loader=PlainLoader)


def keys_of(text: str) -> frozenset[str]:
    """The keys of a document's outermost mapping, whatever is in it: nothing of it is constructed.

    Raises:
        yaml.YAMLError: it is not YAML.
    """
    with _nested_too_deeply():
        node = yaml.compose(text, Loader=PlainLoader)
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return frozenset(key.value for key, _ in pairs if isinstance(key, yaml.ScalarNode))


class PlainLoader(yaml.SafeLoader):
    """PyYAML's safe loader, which says the line of a value that cannot be made of its text."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Make the value of a node.

        Raises:
            yaml.YAMLError: there is no such value.
        """
        try:
            return super().construct_object(node, deep)
        except (yaml.YAMLError, RecursionError):
            raise
        except Exception as exc:
            problem = f"{_start(node.value)!r} is no {node.tag.rpartition(':')[2]}: {exc}"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from exc


@contextmanager
def _nested_too_deeply() -> Iterator[None]:
    try:
        yield
    except RecursionError as exc:
        raise yaml.YAMLError("it is nested too deeply") from exc


def _start(value: object) -> str:
    text = str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


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
