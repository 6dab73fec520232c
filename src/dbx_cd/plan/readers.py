"""Who reads what a node makes, directly or through others: the models, and the dashboards with their owners."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.keys import only_in_keys
from dbx_cd.dbt.names import numbered

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
            # A model of which a key alone refers to a table reads nothing of it.
            unread = only_in_keys(manifest, node) if node.resource_type == "model" else ()
            for parent in (p for p in node.depends_on if p not in unread):
                self._read_by[parent].append(node.unique_id)

    def of(self, unique_id: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The models and snapshots downstream of a node, and the exposures, each in words and in order."""
        if unique_id not in self._found:
            nodes = [self._nodes[i] for i in self.below([unique_id])]
            readers = sorted(
                {f"{node.resource_type} {numbered(node)}" for node in nodes if node.resource_type in _READERS}
            )
            self._found[unique_id] = tuple(readers), _exposures(nodes)
        return self._found[unique_id]

    def exposures(self, unique_ids: Iterable[str]) -> tuple[str, ...]:
        """The exposures downstream of any of these nodes, each once, in words and in order."""
        return _exposures(self._nodes[i] for i in self.below(unique_ids))

    def below(self, unique_ids: Iterable[str]) -> frozenset[str]:
        """The unique ids of all that is downstream of these nodes, without them."""
        first = frozenset(unique_ids)
        reached: set[str] = set()
        waiting = list(first)
        while waiting:
            new = {reader for reader in self._read_by.get(waiting.pop(), ()) if reader not in reached}
            reached |= new
            waiting += new
        return frozenset(reached - first)


def _exposures(nodes: Iterable[Node]) -> tuple[str, ...]:
    return tuple(sorted({_exposure(node) for node in nodes if node.resource_type == "exposure"}))


def _exposure(node: Node) -> str:
    """An exposure as `dashboard Weekly sales (owner Ada <ada@example.org>, https://bi.example.org/weekly)`."""
    owner = node.raw.get("owner") or {}
    emails = owner.get("email") or ()
    emails = [emails] if isinstance(emails, str) else emails
    whose = " ".join([*([str(owner["name"])] if owner.get("name") else []), *(f"<{email}>" for email in emails)])
    parts = [*([f"owner {whose}"] if whose else []), *([str(node.raw["url"])] if node.raw.get("url") else [])]
    name = f"{node.raw.get('type') or 'exposure'} {node.raw.get('label') or node.name}"
    return f"{name} ({', '.join(parts)})" if parts else name
