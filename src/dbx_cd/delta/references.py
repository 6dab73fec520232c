"""Which relations and functions a SQL text names: a view's query, a function's body, a column's default.

The text is parsed as Databricks SQL by sqlglot, which knows what is a relation and what is a column. Where it cannot be
parsed, every dotted name in it counts: what is unclear is looked at, and never passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dbx_cd.delta.sql_names import Name, names_in, names_in_arguments
from dbx_cd.relations import RelationName

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
    `identifier('a.b.c')` and `table_changes('a.b.c', 1)`.

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
    parsed = _by_parser(text)
    by_tokens = parsed is None
    relations = [*_by_words(names)] if parsed is None else parsed
    # Where identifier('...') stands, a relation, a function or a column may: each is looked at as what it may be.
    relations += [n.parts for n in names if n.is_identifier_clause and not n.is_called]
    relations += names_in_arguments(text)
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


def _by_parser(text: str) -> list[Sequence[str]] | None:
    """The relations that the parser finds; None where it does not understand the text."""
    # The parser takes a while to be imported, and those who read records of leaks parse nothing.
    from dbx_cd.delta.parsed_sql import relations_in

    return relations_in(text)


def _by_words(names: Iterable[Name]) -> Iterator[Sequence[str]]:
    """Every dotted name, and every name of one part where a relation may stand."""
    for name in names:
        if not name.is_called and (len(name.parts) > 1 or name.before in _BEFORE_RELATIONS):
            yield name.parts
