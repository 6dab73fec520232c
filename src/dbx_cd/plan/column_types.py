"""Whether every value of a type fits into another: what a column's new type takes away."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

Change = Literal["same", "wider", "narrower", "other"]

_ALIASES = {
    "integer": "int",
    "byte": "tinyint",
    "short": "smallint",
    "long": "bigint",
    "real": "float",
    "double precision": "double",
    "dec": "decimal",
    "numeric": "decimal",
    "text": "string",
    "bool": "boolean",
    "timestamp_ltz": "timestamp",
}
_WHOLE = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}  # and how many digits each may have
_EXACT = {"float": 7, "double": 15}  # how many digits of whole numbers each keeps exactly
_WIDER = {
    "float": ("double",),
    "date": ("timestamp", "timestamp_ntz"),
}
_COMMENT = re.compile(r"""\s+comment\s*(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")""")
_SIZED = re.compile(r"(\w+)\((\d+)(?:,(\d+))?\)")


def change_of(before: str, after: str) -> Change:
    """What a change of a column's type does to its values.

    Returns:
        `wider`, where every value fits as it is; `narrower`, where some do not; `other`, where all can be written as
        the new type, and readers have to be changed for it (numbers that become text).
    """
    then, now = _plain(before), _plain(after)
    if then == now:
        return "same"
    nested = _nested(then, now)
    if nested is not None:
        return nested
    if _fits(then, now):
        return "wider"
    return "other" if now == "string" and "<" not in then else "narrower"


def _fits(then: str, now: str) -> bool:
    if then == "void":  # it has no values
        return True
    name, size, scale = _parts(then)
    into, room, decimals = _parts(now)
    if into == "decimal" and (name in _WHOLE or name == "decimal"):
        digits, behind = (_WHOLE[name], 0) if name in _WHOLE else (size, scale)
        return room - decimals >= digits - behind and decimals >= behind
    if name in _WHOLE:
        return _WHOLE[name] <= _WHOLE.get(into, _EXACT.get(into, 0))
    if name in ("varchar", "char"):
        return into == "string" or (into in ("varchar", name) and room >= size)
    return into in _WIDER.get(name, ())


def _nested(then: str, now: str) -> Change | None:
    """The change of arrays, maps and structs, by what they consist of; None for other types."""
    before, after = _fields(then), _fields(now)
    if before is None or after is None or then.split("<")[0] != now.split("<")[0]:
        return None
    if before.keys() - after.keys():
        return "narrower"
    changes = {change_of(inner, after[name]) for name, inner in before.items()}
    if "narrower" in changes or "other" in changes:
        return "narrower" if "narrower" in changes else "other"
    return "same" if changes == {"same"} and [*before] == [*after] else "wider"


def _fields(text: str) -> Mapping[str, str] | None:
    """What a nested type consists of, by name or, in arrays and maps, by place; None for a plain type."""
    kind, bracket, inside = text.partition("<")
    if not bracket or not text.endswith(">"):
        return None
    parts = _split(inside[:-1])
    if kind == "struct":
        named = (part.strip().partition(":") for part in parts)
        return {name.strip("` "): inner for name, _, inner in named}
    return {str(place): part for place, part in enumerate(parts)}


def _split(text: str) -> list[str]:
    """A list at its commas, but for those within brackets."""
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += character in "<("
        depth -= character in ">)"
        if character == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]] if text else []


def _parts(text: str) -> tuple[str, int, int]:
    found = _SIZED.fullmatch(text)
    if found:
        return found[1], int(found[2]), int(found[3] or 0)
    return (text, 10, 0) if text == "decimal" else (text, 0, 0)


def _plain(text: str) -> str:
    """A type as the catalog writes it: in lower case, without spaces, by its usual name."""
    lower = re.sub(r"\s*([<>(),:])\s*", r"\1", " ".join(_COMMENT.sub("", text.lower()).split()))
    lower = re.sub(r"(?<=[\w>)])( not null)(?=[,>]|$)", "", lower)
    head = re.match(r"[a-z_]+(?: precision)?", lower)
    if head and head[0] in _ALIASES:
        lower = _ALIASES[head[0]] + lower[head.end() :]
    return "decimal(10,0)" if lower == "decimal" else re.sub(r"^decimal\((\d+)\)$", r"decimal(\1,0)", lower)
