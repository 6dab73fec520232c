"""YAML as this library takes it: a key that stands twice is a mistake, not a choice of the last one."""

from __future__ import annotations

from typing import Any

import yaml

_MERGE = "<<"


class _OneKeyOnce(yaml.SafeLoader):
    """PyYAML's safe loader lets the last of two equal keys win, without a word (measured with 6.0)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        refuse_twice(node)
        return super().construct_mapping(node, deep=deep)


def load_yaml(text: str) -> Any:
    """Read one YAML document.

    Args:
        text: the document.

    Raises:
        yaml.YAMLError: it is not YAML, or a mapping in it has a key twice; the message has the line.
    """
    return yaml.load(text, Loader=_OneKeyOnce)  # a subclass of the safe loader


def refuse_twice(node: yaml.MappingNode) -> None:
    """Refuse a mapping that has a key twice; keys that a merge (`<<`) brings may be overridden.

    Raises:
        yaml.YAMLError: with the key and the line of its second place.
    """
    seen: set[tuple[str, str]] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode) or key.value == _MERGE:
            continue
        if (key.tag, key.value) in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key.value!r} is there twice", key.start_mark)
        seen.add((key.tag, key.value))
