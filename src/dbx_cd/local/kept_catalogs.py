"""Which catalogs a state directory holds something of: a later start has them again, whoever named them before."""

from __future__ import annotations

import json
from pathlib import Path

CATALOG_FILE = "catalog.json"


def kept_catalogs(state_dir: Path) -> tuple[str, ...]:
    """The catalogs with a schema in a state directory, in their order, without those that CREATE CATALOG made.

    A release's tables may be in a catalog that the newest commit, or the profile, no longer names, and a rollback needs
    them. What cannot be read here is for Spark's catalog to say.
    """
    try:
        found = json.loads((state_dir / CATALOG_FILE).read_text(encoding="utf-8"))
        created = {catalog["name"] for catalog in found["catalogs"]}
        return tuple(dict.fromkeys(n["catalog"] for n in found["namespaces"] if n["catalog"] not in created))
    except (OSError, ValueError, KeyError, TypeError):
        return ()
