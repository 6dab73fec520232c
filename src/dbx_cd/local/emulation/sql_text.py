"""Reading SQL as text: comments, quoted names, string literals. Only as much as recognizing statements needs."""

from __future__ import annotations

import re

IDENTIFIER = r"(?:`(?:[^`]|``)+`|\w+)"
NAME = rf"{IDENTIFIER}(?:\s*\.\s*{IDENTIFIER})*"
STRING = r"(?:'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\")"

# Groups that most patterns have.
NAMED = rf"(?P<name>{NAME})"
COLUMN = rf"(?P<column>{IDENTIFIER})"
TEXT = rf"(?P<text>null|{STRING})"

_QUOTED_OR_COMMENT = re.compile(rf"({STRING}|`(?:[^`]|``)*`)|/\*.*?\*/|--[^\n]*", re.DOTALL)
_LEADING_COMMENTS = re.compile(r"(?:\s+|/\*.*?\*/|--[^\n]*(?:\n|\Z))*", re.DOTALL)
_IDENTIFIER = re.compile(r"`((?:[^`]|``)+)`|(\w+)")
_FIRST_WORD = re.compile(r"\w+")


def first_word(sql: str) -> str:
    """The statement's first keyword in lower case, found without reading the rest (a seed can be megabytes)."""
    word = _FIRST_WORD.match(sql, _start(sql))
    return word[0].lower() if word else ""


def beginning(sql: str, characters: int = 2000) -> str:
    """The statement's first characters, without comments."""
    start = _start(sql)
    return bare(sql[start : start + characters])


def _start(sql: str) -> int:
    comments = _LEADING_COMMENTS.match(sql)
    return comments.end() if comments else 0


def bare(sql: str) -> str:
    """The statement without comments and without the semicolons at its end."""
    return _QUOTED_OR_COMMENT.sub(lambda match: match[1] or " ", sql).strip().rstrip("; \t\r\n")


def split_name(name: str) -> list[str]:
    """The parts of a dotted name, without backticks."""
    return [quoted.replace("``", "`") if quoted else plain for quoted, plain in _IDENTIFIER.findall(name)]
