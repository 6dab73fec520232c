"""Which relations and functions a SQL text names: a view's query, a function's body, a column's default.

The text is parsed as Databricks SQL by sqlglot, which knows what is a relation and what is a column. Where it cannot be
parsed, every dotted name in it counts: what is unclear is looked at, and never passed over.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from dbx_cd.delta.sql_names import Name, names_in
from dbx_cd.relations import RelationName

_log = logging.getLogger(__name__)

# Data sources by which Spark reads files as a relation: delta.`/path` (reference, "SELECT on files").
_FILES = frozenset(("avro", "binaryfile", "csv", "delta", "iceberg", "json", "orc", "parquet", "text", "xml"))
_RETURN = re.compile(r"\s*return\b", re.IGNORECASE)
# After these words a name of one part may be a relation's.
_BEFORE_RELATIONS = frozenset(("from", "join", "table", "table(", "using", ","))


@dataclass(frozen=True)
class References:
    """What a SQL text names."""

    relations: tuple[RelationName, ...] = ()
    """The relations, each once, by name."""
    functions: tuple[RelationName, ...] = ()
    """The functions that it calls by names of two or three parts, each once, by name."""
    called: frozenset[str] = frozenset()
    """The words before a parenthesis, in lower case: functions of one part, built-in ones and words of SQL included."""
    paths: tuple[str, ...] = ()
    """The folders of files that it reads as relations."""
    unclear: tuple[str, ...] = ()
    """Names that cannot be known from the text, as it writes them."""
    by_tokens: bool = False
    """Whether the text could not be parsed: then relations are all that may be one."""


def references(text: str, *, namespace: Sequence[str] | None = None) -> References:
    """What a query or an expression of Databricks SQL names.

    Names of common table expressions are no relations where they are known; comments and strings name nothing, but for
    `identifier('a.b.c')`.

    Args:
        text: the text, without CREATE.
        namespace: catalog and schema in which names of one or two parts are read; where they are not known, names of
            two parts are `unclear`, and so are relations of one part.

    Example:
        >>> references("SELECT * FROM orders JOIN stg.shop.people USING (id)", namespace=("prod", "shop")).relations
        (RelationName(catalog='prod', schema='shop', identifier='orders'), \
RelationName(catalog='stg', schema='shop', identifier='people'))
    """
    text = _RETURN.sub("", text, count=1) if _RETURN.match(text) else text
    names = names_in(text)
    parsed = _parsed(text)
    by_tokens = parsed is None
    relations = [*_by_words(names)] if parsed is None else [*_by_parser(parsed)]
    # Where identifier('...') stands, a relation, a function or a column may: each is looked at as what it may be.
    relations += [n.parts for n in names if n.is_identifier_clause and not n.is_called]
    called = [n.parts for n in names if n.is_called and n.parts]
    files = [parts for parts in relations if _is_file(parts)]
    others = [parts for parts in relations if not _is_file(parts)]
    unclear = {"identifier(...)" for n in names if not n.parts}
    unclear |= {".".join(p) for p in others if p and completed(p, namespace) is None}
    unclear |= {".".join(p) for p in called if len(p) == 2 and completed(p, namespace) is None}
    return References(
        relations=_once(completed(parts, namespace) for parts in others),
        functions=_once(completed(parts, namespace) for parts in called if len(parts) > 1),
        called=frozenset(parts[0].lower() for parts in called if len(parts) == 1),
        paths=tuple(dict.fromkeys(".".join(parts) for parts in files)),
        unclear=tuple(sorted(unclear)),
        by_tokens=by_tokens,
    )


def completed(parts: Sequence[str], namespace: Sequence[str] | None) -> RelationName | None:
    """The relation or function that a name means; None where that cannot be known. Of more parts the first three."""
    if len(parts) >= 3:
        return RelationName(*parts[:3])
    if not parts or namespace is None or len(namespace) != 2:
        return None
    return RelationName(*namespace[: 3 - len(parts)], *parts)


def _once(found: Iterable[RelationName | None]) -> tuple[RelationName, ...]:
    by_key = {name.key: name for name in found if name is not None}
    return tuple(by_key[key] for key in sorted(by_key))


def _is_file(parts: Sequence[str]) -> bool:
    return len(parts) == 2 and parts[0].lower() in _FILES and ("/" in parts[1] or ":" in parts[1])


def _parsed(text: str) -> list[exp.Expr] | None:
    """The statements of a text; None where the parser does not understand it all."""
    try:
        found = [s for s in sqlglot.parse(text, dialect="databricks") if s is not None]
    except (SqlglotError, RecursionError, ValueError) as exc:
        _log.debug("not parsed, its words count: %s", str(exc).split("\n", 1)[0])
        return None
    # What it leaves as a command has not been parsed.
    return None if any(s.find(exp.Command) for s in found) else found


def _by_parser(statements: Iterable[exp.Expr]) -> Iterator[Sequence[str]]:
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


def _by_words(names: Iterable[Name]) -> Iterator[Sequence[str]]:
    """Every dotted name, and every name of one part where a relation may stand."""
    for name in names:
        if not name.is_called and (len(name.parts) > 1 or name.before in _BEFORE_RELATIONS):
            yield name.parts
