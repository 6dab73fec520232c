"""Wheels made by hand, and locks of them: what stands for a package index in tests."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

# What stands for dbt: it says what it was started with, and what it can import.
TELLING_DBT = """
import importlib.util, json, os, sys


def cli():
    asked = [name for name in ("leaked", "yaml", "mashumaro", "dbx_cd.errors") if _is_there(name)]
    told = {"argv": sys.argv[1:], "prefix": sys.prefix, "parent": os.getppid(), "found": asked,
            "variables": sorted(os.environ), "pid": os.getpid()}
    print(json.dumps(told), flush=True)


def _is_there(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ImportError:
        return False
"""


@dataclass(frozen=True)
class Wheel:
    """One that was made."""

    name: str
    version: str
    path: Path

    @property
    def line(self) -> str:
        """It in a lock."""
        digest = hashlib.sha256(self.path.read_bytes()).hexdigest()
        return f"{self.name}=={self.version} \\\n    --hash=sha256:{digest}\n"


def make_wheel(
    folder: Path, name: str, version: str, files: Mapping[str, str], *, requires: Sequence[str] = (),
    tag: str = "py3-none-any",
) -> Wheel:  # fmt: skip
    """Make one as the binary distribution format has it (PEP 427)."""
    folder.mkdir(parents=True, exist_ok=True)
    base = f"{name.replace('-', '_')}-{version}"
    needed = "".join(f"Requires-Dist: {one}\n" for one in requires)
    content = {
        **files,
        f"{base}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needed}",
        f"{base}.dist-info/WHEEL": f"Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = f"{base}.dist-info/RECORD"
    lines = [f"{path},sha256={_encoded(text)},{len(text.encode())}" for path, text in content.items()]
    path = folder / f"{base}-{tag}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in {**content, record: "\n".join([*lines, f"{record},,"]) + "\n"}.items():
            archive.writestr(zipfile.ZipInfo(inside, (2026, 1, 1, 0, 0, 0)), text)
    return Wheel(name, version, path)


def make_dbt(folder: Path, version: str = "9.9.9", *, main: str = TELLING_DBT) -> Wheel:
    """A wheel that stands for dbt-core."""
    return make_wheel(folder, "dbt-core", version, {"dbt/cli/__init__.py": "", "dbt/cli/main.py": main})


def write_lock(project: Path, wheels: Iterable[Wheel]) -> Path:
    """The lock of some wheels in a project."""
    path = project / "requirements-dbt.txt"
    path.write_text("".join(wheel.line for wheel in wheels), encoding="utf-8")
    return path


def _encoded(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
