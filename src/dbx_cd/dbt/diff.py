"""What changed in a project between two manifests."""

from __future__ import annotations

import json
from dataclasses import dataclass

from dbx_cd.dbt.artifacts import Manifest


@dataclass(frozen=True)
class ArtifactDiff:
    """What changed between two manifests, by unique id."""

    added: tuple[str, ...]
    """Nodes that only the newer manifest has."""
    removed: tuple[str, ...]
    """Nodes that only the older manifest has."""
    modified: tuple[str, ...]
    """Nodes of both whose code, configuration or documented columns differ."""

    def __str__(self) -> str:
        return f"{len(self.added)} added, {len(self.removed)} removed, {len(self.modified)} modified"


def diff_manifests(old: Manifest, new: Manifest) -> ArtifactDiff:
    """Compare two manifests by each node's checksum, config and documented columns.

    The catalog is left out, so that two environments compare as the same project. A macro's change is not seen.
    """
    a, b = _fingerprints(old), _fingerprints(new)
    return ArtifactDiff(
        added=tuple(sorted(b.keys() - a.keys())),
        removed=tuple(sorted(a.keys() - b.keys())),
        modified=tuple(sorted(i for i in a.keys() & b.keys() if a[i] != b[i])),
    )


def _fingerprints(manifest: Manifest) -> dict[str, object]:
    return {
        n.unique_id: (
            # An object of name and checksum for most nodes, bare text for unit tests (measured, dbt 1.11).
            json.dumps(n.raw.get("checksum"), sort_keys=True),
            json.dumps({k: v for k, v in n.config.items() if k != "database"}, sort_keys=True, default=str),
            json.dumps(n.columns, sort_keys=True, default=str),
        )
        for n in manifest.nodes.values()
    }
