"""The term of dbt's node selection that means one node and no other."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from dbx_cd.dbt.artifacts import Node

_ENDS_A_TERM = re.compile(r"[\s,\[\]]")
_ANY_CHARACTER = "?"
_WILDCARDS = (_ANY_CHARACTER, "*")


def exactly(node: Node) -> str:
    """The term for a node; where its name holds what ends a term, or a wildcard, see `may_mean_others`.

    `fqn` alone also means what lies in a folder of that name, so the name of the file is asked for as well; its path
    dbt looks for in the root project alone, and not in packages. What would end a term stands for any character.
    """
    fqn, file = ".".join(map(str, node.raw["fqn"])), PurePosixPath(node.path).name
    return f"fqn:{_ENDS_A_TERM.sub(_ANY_CHARACTER, fqn)},file:{_ENDS_A_TERM.sub(_ANY_CHARACTER, file)}"


def may_mean_others(term: str) -> bool:
    """Whether a wildcard in a term may stand for what another node is called."""
    return any(wildcard in term for wildcard in _WILDCARDS)
