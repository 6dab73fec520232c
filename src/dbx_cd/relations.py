"""Names of relations: catalog, schema and identifier, as Unity Catalog and dbt write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from dbx_cd.errors import DbxCdError

_PART = re.compile(r"`((?:[^`]|``)+)`|([^`.\s]+)")


def quote(identifier: str) -> str:
    """One identifier in backticks, inner backticks doubled."""
    return "`" + identifier.replace("`", "``") + "`"


def string_literal(text: str) -> str:
    """Text as a Spark SQL string literal (backslash escapes, as in Spark's default `escapedStringLiterals=false`).

    `${...}` is written so that Spark does not take it for a variable, whose value it would put there (measured).
    """
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\u0024{")
    return f"'{escaped}'"


def split_name(text: str) -> list[str]:
    """The parts of a dotted name, each with or without backticks; nothing where the text is no such name."""
    parts: list[str] = []
    position = 0
    while match := _PART.match(text, position):
        parts.append(match[1].replace("``", "`") if match[1] else match[2])
        position = match.end()
        if position == len(text):
            return parts
        if text[position] != ".":
            break
        position += 1
    return []


@dataclass(frozen=True, order=True)
class RelationName:
    """A table or view by its three-level name. `str` is the plain dotted form, `.quoted` goes into SQL."""

    catalog: str
    """The first level; dbt calls it `database`."""
    schema: str
    """The second level."""
    identifier: str
    """The third level: the table's or view's own name."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `catalog.schema.table`, each part with or without backticks.

        Raises:
            DbxCdError: the text does not have exactly three parts.
        """
        parts = split_name(text)
        if len(parts) != 3:
            raise DbxCdError(f"not a three-level relation name: {text!r}", next_step="write it as catalog.schema.table")
        return cls(*parts)

    @property
    def quoted(self) -> str:
        """The name for use in SQL, every part in backticks."""
        return ".".join(quote(part) for part in (self.catalog, self.schema, self.identifier))

    @property
    def key(self) -> str:
        """The form to compare by: Unity Catalog ignores case in names of catalogs, schemas and tables."""
        return str(self).lower()

    def __str__(self) -> str:
        return f"{self.catalog}.{self.schema}.{self.identifier}"
