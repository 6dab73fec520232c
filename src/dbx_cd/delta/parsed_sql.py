"""Which relations a SQL text names, as the parser sqlglot reads Databricks SQL."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

_log = logging.getLogger(__name__)


def relations_in(text: str) -> list[Sequence[str]] | None:
    """The parts of each relation's name; None where the parser does not understand all of the text."""
    try:
        statements = [s for s in sqlglot.parse(text, dialect="databricks") if s is not None]
    except (SqlglotError, RecursionError, ValueError) as exc:
        _log.debug("not parsed, its words count: %s", str(exc).split("\n", 1)[0])
        return None
    # What it leaves as a command has not been parsed.
    return None if any(s.find(exp.Command) for s in statements) else [*_named(statements)]


def _named(statements: Iterable[exp.Expr]) -> Iterator[Sequence[str]]:
    """Every relation that is no common table expression where it stands."""
    for statement in statements:
        for node in statement.find_all(exp.Table, exp.Anonymous):
            parts = _parts(node)
            if len(parts) > 1 or (parts and not _is_common_table(node, parts[0].lower())):
                yield parts


def _parts(node: exp.Expr) -> Sequence[str]:
    """The name of a relation, also as the argument of TABLE(...); nothing for what is none."""
    if isinstance(node, exp.Table):
        return () if isinstance(node.this, exp.Func) else [part.name for part in node.parts]
    named = node.expressions[0] if node.name.lower() == "table" and len(node.expressions) == 1 else None
    return [part.name for part in named.parts] if isinstance(named, exp.Column | exp.Dot) else ()


def _is_common_table(table: exp.Expr, name: str) -> bool:
    """Whether a name of one part means a common table expression: one of its own query, or of one around it.

    Each is known to those after it and to the query; to itself only in WITH RECURSIVE.
    """
    inside: exp.Expr = table
    own: exp.Expr | None = None  # the common table expression that we come from
    around = table.parent
    while around is not None:
        if isinstance(around, exp.CTE):
            own = around
        known = around.args.get("with_") or around.args.get("with")
        if known is not None:
            tables = known.expressions
            if inside is known and own in tables:
                tables = tables[: tables.index(own) + bool(known.args.get("recursive"))]
            if any(t.alias.lower() == name for t in tables):
                return True
        inside, around = around, around.parent
    return False
