"""Contracts that a release ends or narrows: promises to readers, kept in the manifest alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from dbx_cd.dbt.artifacts import Node
from dbx_cd.dbt.keys import constraints
from dbx_cd.plan.column_types import change_of
from dbx_cd.plan.comparison import Existing, contract_of
from dbx_cd.plan.loss import Loss, loss

_KEYS = ("primary_key", "foreign_key")


def contract_losses(existing: Existing, *, columns_lost: Collection[str]) -> Iterator[Loss]:
    """What a node's enforced contract promised in the release that production has, and does not any more.

    Args:
        existing: the node, and the one before it.
        columns_lost: names of columns, in lower case, whose loss is told already.
    """
    before, now = contract_of(existing.before), contract_of(existing.node)
    if before is None or existing.before is None:
        return
    if now is None:
        detail = f"its contract of {len(before)} columns is not enforced any more"
        yield loss(existing.relation, "contract_removed", "contract", detail)
        return
    promised = {name.lower(): column for name, column in now.items()}
    for name, column in before.items():
        if name.lower() in columns_lost:
            continue
        then, is_now = str(column.get("data_type") or ""), str(promised.get(name.lower(), {}).get("data_type") or "")
        if name.lower() not in promised:
            detail = "the column is not in the contract any more"
            yield loss(existing.relation, "contract_narrowed", f"contract column {name}", detail)
        elif then and is_now and change_of(then, is_now) == "narrower":
            detail = f"the contract's type is narrowed: {then} becomes {is_now}"
            yield loss(existing.relation, "contract_narrowed", f"contract column {name}", detail)
    yield from _constraints(existing, existing.before, columns_lost=columns_lost)


def constraints_of(node: Node) -> Iterator[tuple[str, tuple[str, ...], Mapping[str, Any]]]:
    """The constraints that a node says, and its columns: the kind, the columns in lower case, and all that is said."""
    for constraint in constraints(node):
        yield str(constraint.get("type")), tuple(str(c).lower() for c in constraint["columns"]), constraint


def _constraints(existing: Existing, before: Node, *, columns_lost: Collection[str]) -> Iterator[Loss]:
    """Constraints that nothing checks any more; keys are told by what the catalog has of them, where it says it."""
    kept = {_same(*constraint) for constraint in constraints_of(existing.node)}
    for kind, columns, constraint in constraints_of(before):
        if kind in _KEYS and existing.settings.keys is not None:
            continue
        if _same(kind, columns, constraint) in kept or set(columns) & set(columns_lost):
            continue
        words = kind.replace("_", " ")
        on = f" on {' '.join(columns)}" if columns else f" {constraint.get('name') or constraint.get('expression')}"
        detail = f"the constraint is not in the contract any more{_says(constraint)}"
        yield loss(existing.relation, "contract_narrowed", f"constraint {words}{on}", detail)


def _same(kind: str, columns: tuple[str, ...], constraint: Mapping[str, Any]) -> tuple[str, tuple[str, ...], str]:
    return kind, columns, " ".join(str(constraint.get("expression") or "").lower().split())


def _says(constraint: Mapping[str, Any]) -> str:
    expression = constraint.get("expression")
    return f": {expression}" if expression else ""
