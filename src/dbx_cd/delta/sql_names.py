"""The names in a SQL text, without parsing it: whatever else it has, comments and strings hold none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dbx_cd.relations import split_name

# Spark's lexer (SqlBaseLexer.g4): a backslash escapes in strings but raw ones; a bracketed comment may hold another.
_TOKEN = re.compile(
    r"""(?P<blank>\s+|--(?:\\\n|[^\r\n])*)
    |(?P<comment>/\*)
    |(?P<raw>(?<!\w)[rR](?:'[^']*'|"[^"]*"))
    |(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<quoted>`(?:[^`]|``)*`)
    |(?P<word>[\w$]+)
    |(?P<mark>\|\||.)""",
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)

_CLAUSE = "identifier"
_TAKES_A_NAME = ("table_changes",)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str

    @property
    def is_name(self) -> bool:
        return self.kind in ("word", "quoted")


@dataclass(frozen=True)
class Name:
    """A dotted name in a text."""

    parts: tuple[str, ...]
    """Its parts, unquoted; none where it is an `identifier(...)` that only an execution can tell."""
    before: str
    """The word or mark that stands before it, in lower case; `table(` is one."""
    is_called: bool
    """Whether a parenthesis follows."""
    is_identifier_clause: bool = False
    """Whether it is written as `identifier('...')`: then it may be a relation's or a function's."""


def names_in(text: str) -> list[Name]:
    """Every name that a text writes, in order, words of SQL included."""
    tokens = list(_tokens(text))
    found, at = [], 0
    while at < len(tokens):
        start = at
        parts, at, is_clause = _dotted(tokens, at)
        if at == start:
            at += 1
            continue
        if parts is not None and parts[0][:1].isdigit() and tokens[start].kind == "word":
            continue  # a number
        before = "".join(t.text.lower() for t in tokens[max(0, start - 2) : start])
        before = before if before == "table(" else tokens[start - 1].text.lower() if start else ""
        found.append(Name(parts or (), before, _is_mark(tokens, at, "("), is_clause))
    return found


def names_in_arguments(text: str) -> list[tuple[str, ...]]:
    """The relations that a text names by a string, as `table_changes('a.b.c', 1)` does; their parts, unquoted."""
    tokens = list(_tokens(text))
    calls = (at for at, t in enumerate(tokens) if t.kind == "word" and t.text.lower() in _TAKES_A_NAME)
    found = (_literal(tokens[at + 2 : at + 3]) for at in calls if _is_mark(tokens, at + 1, "("))
    return [tuple(parts) for parts in found if parts]


def _literal(tokens: list[_Token]) -> list[str]:
    return [part for t in tokens if t.kind in ("string", "raw") for part in split_name(_value(t).strip())]


def _dotted(tokens: list[_Token], at: int) -> tuple[tuple[str, ...] | None, int, bool]:
    """The dotted name that begins here, what comes after it, and whether a part of it is an identifier clause.

    None for its parts where they cannot be known.
    """
    parts: list[str] = []
    known, is_clause = True, False
    while at < len(tokens) and tokens[at].is_name:
        if tokens[at].text.lower() == _CLAUSE and tokens[at].kind == "word" and _is_mark(tokens, at + 1, "("):
            inner, at = _clause(tokens, at + 2)
            known, is_clause = known and bool(inner), True
            parts += inner
        else:
            parts.append(_unquoted(tokens[at]))
            at += 1
        if not (_is_mark(tokens, at, ".") and at + 1 < len(tokens) and tokens[at + 1].is_name):
            break
        at += 1
    return (tuple(parts) if known and parts else None), at, is_clause


def _clause(tokens: list[_Token], at: int) -> tuple[list[str], int]:
    """The parts of the name in `identifier(...)`, none where it is more than literals, and what comes after it."""
    literals, depth, is_literal = "", 1, True
    while at < len(tokens) and depth:
        token = tokens[at]
        depth += {"(": 1, ")": -1}.get(token.text, 0) if token.kind == "mark" else 0
        if token.kind in ("string", "raw"):
            literals += _value(token)
        elif depth and token.text != "||":
            is_literal = False
        at += 1
    return (split_name(literals.strip()) if is_literal else []), at


def _value(literal: _Token) -> str:
    return literal.text[2:-1] if literal.kind == "raw" else _ESCAPED.sub(r"\1", literal.text[1:-1])


def _unquoted(token: _Token) -> str:
    return token.text[1:-1].replace("``", "`") if token.kind == "quoted" else token.text


def _is_mark(tokens: list[_Token], at: int, mark: str) -> bool:
    return at < len(tokens) and tokens[at].kind == "mark" and tokens[at].text == mark


def _tokens(text: str) -> Iterator[_Token]:
    """What a text consists of, without blanks and comments."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        assert match is not None  # any character is a mark
        at, kind = match.end(), str(match.lastgroup)
        if kind == "comment":
            at = _end_of_comment(text, at)
        elif kind != "blank":
            yield _Token(kind, match[0])


def _end_of_comment(text: str, at: int) -> int:
    """Where a bracketed comment ends; one that does not end is none, so that what follows counts."""
    depth, inside = 1, at
    while depth and (edge := _COMMENT_EDGE.search(text, inside)):
        depth += 1 if edge[0] == "/*" else -1
        inside = edge.end()
    return at if depth else inside
