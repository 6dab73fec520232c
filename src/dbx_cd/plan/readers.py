"""Who reads what a node makes, directly or through others: the models, and the dashboards with their owners."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from dbx_cd.dbt.artifacts import Manifest, Node

_READERS = ("model", "snapshot")


class Readers:
    """The edges of a manifest, backwards.

    Args:
        manifest: whose nodes read one another.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._nodes = manifest.nodes
        self._found: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._read_by: Mapping[str, list[str]] = defaultdict(list)
        for node in manifest.nodes.values():
            for parent in node.depends_on:
                self._read_by[parent].append(node.unique_id)

    def of(self, unique_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The models and snapshots downstream of a node, and the exposures, each in words and in order."""
        if unique_id not in self._found:
            self._found[unique_id] = self._look_for(unique_id)
        return self._found[unique_id]

    def _look_for(self, unique_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        reached: set[str] = set()
        waiting = [unique_id]
        while waiting:
            for reader in self._read_by.get(waiting.pop(), ()):
                if reader not in reached and reader != unique_id:
                    reached.add(reader)
                    waiting.append(reader)
        nodes = [self._nodes[i] for i in reached]
        readers = sorted({_model(node) for node in nodes if node.resource_type in _READERS})
        exposures = sorted({_exposure(node) for node in nodes if node.resource_type == "exposure"})
        return tuple(readers), tuple(exposures)


def _model(node: Node) -> str:
    version = f".v{node.version}" if node.version is not None else ""
    return f"{node.resource_type} {node.name}{version}"


def _exposure(node: Node) -> str:
    """An exposure as `dashboard Weekly sales (owner Ada <ada@example.org>, https://bi.example.org/weekly)`."""
    owner = node.raw.get("owner") or {}
    emails = owner.get("email") or ()
    emails = [emails] if isinstance(emails, str) else emails
    whose = " ".join([*([str(owner["name"])] if owner.get("name") else []), *(f"<{email}>" for email in emails)])
    parts = [*([f"owner {whose}"] if whose else []), *([str(node.raw["url"])] if node.raw.get("url") else [])]
    name = f"{node.raw.get('type') or 'exposure'} {node.raw.get('label') or node.name}"
    return f"{name} ({', '.join(parts)})" if parts else name
