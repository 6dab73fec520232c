"""The hash by which `dbt deps` knows whether its lock file is of the packages that a project names.

dbt takes SHA-1 of the packages as it holds them (dbt-core 1.11, `_create_sha1_hash` in task/deps.py), and writes it
into the lock file as `sha1_hash`. A file that says the same in other words, such as with a comment, has the same hash.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

# What dbt holds of a package where the file says nothing (dbt-core 1.11, contracts/project.py).
_OF_GIT = {"revision": None, "subdirectory": None, "warn-unpinned": None}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "package": {"install_prerelease": False},
    "git": _OF_GIT,
    "private": {"provider": None, **_OF_GIT},
    "local": {},
    "tarball": {},
}


def lock_hashes(named: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The hashes that a lock file of these packages may have, by dbt 1.8 and newer or by 1.7.

    Args:
        named: the packages as the project writes them.

    Returns:
        The hashes; none where only dbt can say, as for Jinja, which it renders.
    """
    packages = list(named)
    try:
        if any("{" in json.dumps(list(entry.values())) for entry in packages):
            return frozenset()
        return frozenset((_hash(packages, unrendered=True), _hash(packages, unrendered=False)))
    except (StopIteration, TypeError):  # an entry of no kind that is known, or a value such as a date
        return frozenset()


def _hash(packages: Iterable[Mapping[str, Any]], *, unrendered: bool) -> str:
    lines = []
    for entry in packages:
        kind = next(kind for kind in _DEFAULTS if kind in entry)
        spec = {**_DEFAULTS[kind], **entry, **({"unrendered": entry} if unrendered else {})}
        lines.append(json.dumps(spec, sort_keys=True))
    return hashlib.sha1("\n".join(sorted(lines)).encode()).hexdigest()
