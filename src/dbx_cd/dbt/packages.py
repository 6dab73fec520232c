"""Which packages a dbt project names, where `dbt deps` puts them, and which of them lie beside it in the checkout.

The files are read leniently: dbt renders Jinja in them and reports what is wrong with them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PACKAGE_FILES = ("packages.yml", "dependencies.yml")
LOCK_FILE = "package-lock.yml"
# What dbt-core 1.11 takes where dbt_project.yml sets no `packages-install-path` (config/project.py).
_INSTALL_PATH = "dbt_packages"
_LOCAL = re.compile(r"""^[\s-]*["']?local["']?\s*:\s*["']?([^"'#\n]+)""", re.MULTILINE)


def project_settings(project: Path) -> dict[str, Any]:
    """What `dbt_project.yml` sets; nothing where it cannot be read."""
    try:
        loaded = yaml.safe_load((project / "dbt_project.yml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def install_path(project: Path) -> str:
    """Where `dbt deps` puts packages, as dbt_project.yml writes it."""
    return str(project_settings(project).get("packages-install-path") or _INSTALL_PATH)


def names_packages(project: Path) -> bool:
    """Whether a project names packages, which `dbt deps` then installs."""
    return any(_lists_packages(project / name) for name in PACKAGE_FILES if (project / name).is_file())


def needs_deps(project: Path) -> bool:
    """Whether a project names packages that are not installed."""
    return names_packages(project) and not (project / install_path(project)).is_dir()


def local_packages(project: Path) -> Iterator[str]:
    """The paths of packages that lie on the same disk, as they are written; those with Jinja are left to dbt."""
    for path in (project / name for name in PACKAGE_FILES):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, ValueError):
            continue
        found = _LOCAL.findall(text)
        try:
            packages = (yaml.safe_load(text) or {}).get("packages") or []
            found = [str(p["local"]) for p in packages if isinstance(p, dict) and p.get("local")]
        except (yaml.YAMLError, AttributeError, TypeError):
            pass
        yield from (written for name in found if "{" not in (written := name.strip()))


def _lists_packages(path: Path) -> bool:
    try:
        named = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return bool(named.get("packages") or named.get("projects"))
    except (yaml.YAMLError, ValueError, AttributeError):
        return True  # Jinja, or a mistake: `dbt deps` renders the one and reports the other.
