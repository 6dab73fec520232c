"""Runs a module of dbx_cd in an interpreter beside which dbx_cd is not installed: `python -P alone.py MODULE ...`.

Of dbx_cd only its own folder is found, by this file's place. Nothing is added to `sys.path`: that would make all
packages importable that are installed beside dbx_cd. So it is for modules that import nothing but the standard library,
their neighbours of the same kind, and what the interpreter has itself.
"""

from __future__ import annotations

import runpy
import sys
import types
from pathlib import Path

_PACKAGE = "dbx_cd"


def run(module: str) -> None:
    """Run a module as `python -m` does, in a package that has its folder and none of its own code."""
    package = types.ModuleType(_PACKAGE)
    package.__path__ = [str(Path(__file__).resolve().parents[1])]
    sys.modules[_PACKAGE] = package
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    del sys.argv[0]
    run(sys.argv[0])
