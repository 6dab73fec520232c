"""The constraints that a dbt project gives its models, and what their foreign keys refer to."""

from __future__ import annotations

import ast
import re
from collections import Counter
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


def enforces_contract(node: Node) -> bool:
    """Whether dbt builds a node by a contract, or not at all."""
    return bool((node.config.get("contract") or {}).get("enforced"))


def enforced_constraints(node: Node) -> Iterator[dict[str, Any]]:
    """Those that dbt gives the relation: of a model whose contract is enforced."""
    if enforces_contract(node):
        yield from constraints(node)


def only_in_keys(manifest: Manifest, node: Node) -> frozenset[str]:
    """The unique ids of what a model depends on for its foreign keys alone, and does not read.

    dbt-core 1.11 adds the refs and sources of keys to those of the model's text (`parser/schemas.py`).
    """
    named: Counter[tuple[object, ...]] = Counter(
        (r.get("package"), r["name"], r.get("version")) for r in node.raw.get("refs") or ()
    )
    named += Counter(("source", *source) for source in node.raw.get("sources") or ())
    keys = [str(c["to"]) for c in constraints(node) if c.get("type") == "foreign_key" and c.get("to")]
    named -= Counter(filter(None, map(_named, keys)))
    parents = {to: key_parent(manifest, to) for to in keys if _named(to) not in named}
    return frozenset(parent.unique_id for parent in parents.values() if parent is not None)


def _named(to: str) -> tuple[object, ...] | None:
    """A `ref` or `source` of a key in the form in which dbt lists it."""
    call = _CALL.fullmatch(to)
    if call is None:
        return None
    arguments, version = _arguments(to.strip(" \t\n{}"))
    if call[1] == "source":
        return ("source", *arguments)
    return (arguments[0] if len(arguments) == 2 else None, arguments[-1], version) if arguments else None


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
