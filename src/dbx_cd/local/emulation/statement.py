"""What an emulated statement is: a pattern, a function, and what a reader of docs/fidelity.md needs to know."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.needs import Needs
from dbx_cd.local.emulation.sql_text import first_word

Answer: TypeAlias = "str | pa.Table"
"""Other SQL to run instead, or the result itself."""


@dataclass(frozen=True)
class Emulated:
    """One kind of statement."""

    pattern: re.Pattern[str]
    """Matches the whole statement, without comments."""
    run: Callable[[Statement], Answer]
    """Gives the SQL to run instead, or the result."""
    because: str
    """What open-source Spark 4.2 and Delta 4.4 lack."""
    statement: str
    """The statement as the Databricks SQL reference writes it; its first word selects it."""
    does: str
    """What it does here."""
    lacks: str
    """What it does not do that it does on Databricks; empty where nothing is known."""
    tests: tuple[str, ...]
    """`file::test` of the tests that show it."""
    needs: Needs
    """What rights it needs; or, in words, why none are asked for before it runs."""
    only_with: re.Pattern[str] | None
    """Must be somewhere in the text: seeds and models can be megabytes of SQL, which are not read for nothing."""

    @property
    def first_word(self) -> str:
        """The keyword that it begins with."""
        return first_word(self.statement)


def emulated(
    pattern: str,
    run: Callable[[Statement], Answer],
    because: str,
    *,
    statement: str,
    does: str,
    lacks: str = "",
    tests: tuple[str, ...],
    needs: Needs,
    only_with: str | None = None,
) -> Emulated:
    """An entry of the table; see `Emulated`.

    A blank in a pattern stands for any white space; the pattern must match the whole statement.
    """
    return Emulated(
        pattern=re.compile(pattern.replace(" ", r"\s+"), re.IGNORECASE | re.DOTALL),
        run=run,
        because=because,
        statement=statement,
        does=does,
        lacks=lacks,
        tests=tests,
        needs=needs,
        only_with=None if only_with is None else re.compile(only_with.replace(" ", r"\s+"), re.IGNORECASE),
    )


def text_table(columns: tuple[str, ...], rows: list[list[str | None]]) -> Answer:
    """A result whose columns are all strings."""
    return pa.table({name: pa.array([row[i] for row in rows], pa.string()) for i, name in enumerate(columns)})
