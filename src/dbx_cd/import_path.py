"""From which folders the processes that are started here import."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

PYTHON_PATH = "PYTHONPATH"


def without_current_directory(environment: Mapping[str, str]) -> dict[str, str]:
    """The same variables, with a `PYTHONPATH` that no current directory gets into.

    Python takes an empty entry, which `PYTHONPATH=:/opt/lib` has, and the entry `.` for the current directory, even
    with the option `-P` (measured on 3.11). That of dbt is the project's folder: a file `yaml.py` in it would be
    imported in place of PyYAML. Other relative entries become absolute, so that they mean the same everywhere.

    Args:
        environment: the variables of a process that is about to be started.
    """
    variables = dict(environment)
    given = variables.pop(PYTHON_PATH, None)
    if given is not None:
        kept = [str(Path(entry).absolute()) for entry in given.split(os.pathsep) if Path(entry) != Path()]
        if kept:
            variables[PYTHON_PATH] = os.pathsep.join(kept)
    return variables
