"""The constraints that a dbt project gives its models, and what their foreign keys refer to."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import Any

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.errors import DbxCdError

_CALL = re.compile(r"\s*(?:\{\{)?\s*(ref|source)\s*\(.*\)\s*(?:\}\})?\s*", re.DOTALL)


def constraints(node: Node) -> Iterator[dict[str, Any]]:
    """The constraints of a model and of its columns, each with its `columns`."""
    for constraint in node.raw.get("constraints") or ():
        yield {**constraint, "columns": constraint.get("columns") or []}
    for name, column in node.columns.items():
        for constraint in column.get("constraints") or ():
            yield {**constraint, "columns": [name]}


def enforced_constraints(node: Node) -> Iterator[dict[str, Any]]:
    """Those that dbt gives the relation: of a model whose contract is enforced."""
    if (node.config.get("contract") or {}).get("enforced"):
        yield from constraints(node)


def key_parent(manifest: Manifest, to: str) -> Node | None:
    """The node that a foreign key's `to` means: `ref('x')` or `source('a', 'x')` as parsed, a name as compiled.

    None where it is neither, or a relation that no node of the manifest has.
    """
    call = _CALL.fullmatch(to)
    if call is None:
        name = to.replace("`", "").lower()
        return next((n for n in manifest.nodes.values() if n.relation is not None and n.relation.key == name), None)
    arguments, version = _arguments(to.strip(" \t\n{}"))
    try:
        if call[1] == "source":
            return manifest.source(*arguments) if len(arguments) == 2 else None
        package = arguments[0] if len(arguments) == 2 else None
        return manifest.by_name(arguments[-1], package=package, version=version) if arguments else None
    except DbxCdError:  # it may mean several
        return None


def _arguments(call: str) -> tuple[list[str], object]:
    """The arguments of `ref(...)` or `source(...)`, and the version; nothing where they are no literals, as in dbt."""
    try:
        found = ast.parse(call, mode="eval").body
        assert isinstance(found, ast.Call)
        named = {k.arg: ast.literal_eval(k.value) for k in found.keywords}
        return [str(ast.literal_eval(a)) for a in found.args], named.get("v", named.get("version"))
    except (SyntaxError, ValueError, AssertionError):
        return [], None
