"""An interpreter beside which given packages are not installed: the same one, with everything but them on its path."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

import dbx_cd

SITE = Path(pytest.__file__).parents[1]


def run_without(
    packages: Collection[str], arguments: Sequence[str], *, folder: Path
) -> subprocess.CompletedProcess[str]:
    """Run Python without some packages; `folder` is a new one.

    Args:
        packages: what the names of their files begin with, so that `dbt` is dbt-core and the adapters as well.
        arguments: what follows `python` on the command line.
        folder: where the path of that interpreter is laid out.
    """
    site = folder / "site-packages"
    site.mkdir()
    for entry in SITE.iterdir():
        if not entry.name.lower().startswith(tuple(packages)) and entry.suffix != ".pth":
            (site / entry.name).symlink_to(entry)
    path = os.pathsep.join([str(Path(dbx_cd.__file__).parents[1]), str(site)])
    # -S: without the installed packages of this interpreter.
    return subprocess.run(
        [sys.executable, "-S", *arguments],
        capture_output=True, text=True, check=False, cwd=folder, env={**os.environ, "PYTHONPATH": path},
    )  # fmt: skip
