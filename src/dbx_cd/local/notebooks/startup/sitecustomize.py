"""Run by every Python process of a task when it starts: this folder is the first on its PYTHONPATH.

What this hides, a `sitecustomize` of the machine or of the user, is run after it.
"""

import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from pathlib import Path

from dbx_cd.local.notebooks.volume_mount import install_from_environment

install_from_environment()

_HERE = Path(__file__).resolve().parent
_hidden = PathFinder.find_spec("sitecustomize", [entry for entry in sys.path if Path(entry).resolve() != _HERE])
if _hidden is not None and _hidden.loader is not None:
    _module = module_from_spec(_hidden)
    _hidden.loader.exec_module(_module)
