"""Prints docs/fidelity.md from the tables of what is emulated, by statements and below them, and of what is refused.

`python -m dbx_cd.local.emulation.fidelity > docs/fidelity.md` writes it anew; a test says when that is due.
"""

from __future__ import annotations

import sys

from dbx_cd.local.emulation.dispatch import EMULATED
from dbx_cd.local.emulation.elsewhere import ELSEWHERE, Elsewhere, rights_of_commands
from dbx_cd.local.emulation.statement import Emulated
from dbx_cd.local.emulation.unsupported import AI_FUNCTIONS, SQL_STATE, UNSUPPORTED

_HEAD = """\
# How true the embedded workspace is to Databricks SQL

Statements run on open-source Spark 4.2 and Delta 4.4. This page lists what those lack: the statements that the embedded
workspace does itself, what it does below the statements, and what it refuses. What is not on this page goes to Spark as
it is.

This file is generated: `python -m dbx_cd.local.emulation.fidelity > docs/fidelity.md`.

## Emulated statements

They are the same through the SQL endpoint, in a notebook's `spark.sql` and in its `%sql` cells; inside of
`EXECUTE IMMEDIATE` and of `BEGIN ... END` they are not.

Each asks for the rights of the token's user before it runs, and for USE CATALOG and USE SCHEMA on the way to
each object; the workspace itself may do everything. Which rights, is taken from the Databricks SQL reference
(`src/dbx_cd/local/emulation/needs.py` says from where)
and shown by `tests/spark/local/test_emulated_rights.py::test_with_the_rights_it_needs_a_statement_runs`.
"""
_BELOW = """
## Below the statements

Done by the catalog of the workspace (Java) and by its endpoint, in all that goes to Spark: also in DataFrames, in
`EXECUTE IMMEDIATE` and in `BEGIN ... END`, where it is not the endpoint's. What each does is what its source says.
"""
_COMMANDS = """
## Rights of what goes to Spark

Reading takes SELECT; INSERT, UPDATE, DELETE, MERGE, RESTORE and writers take MODIFY on the table. To make a table, view
or function takes CREATE TABLE or CREATE FUNCTION on the schema, to replace one MANAGE on it as well; to rename takes
MANAGE, and CREATE TABLE on another schema. CREATE SCHEMA is needed on the catalog. What other commands of Spark and
Delta need on the object that they name is in the table, by the names of their classes; what is not there is refused:
`tests/spark/local/test_statement_rights.py::test_a_statement_takes_exactly_these_rights`.

| needs | commands |
|---|---|
"""
_UNSUPPORTED = f"""
## Refused by name

Each fails with one sentence that names it, SQLSTATE {SQL_STATE}; shown by
`tests/unit/local/test_unsupported.py::test_what_cannot_be_done_is_refused_by_name`.

| what | why |
|---|---|
"""


def page() -> str:
    """The whole file."""
    emulated = "".join(_entry(entry) for entry in EMULATED)
    rows = [(entry.feature, entry.reason) for entry in UNSUPPORTED]
    rows.append((AI_FUNCTIONS, "they are a part of the Databricks service"))
    below = "".join(_below(entry) for entry in ELSEWHERE)
    commands = [(need, ", ".join(names)) for need, names in rights_of_commands().items()]
    return _HEAD + emulated + _BELOW + below + _COMMANDS + _table(commands) + _UNSUPPORTED + _table(rows)


def _entry(entry: Emulated) -> str:
    lines = [
        f"\n### `{entry.statement}`\n",
        f"- Does: {entry.does}.",
        f"- Does not: {entry.lacks or 'nothing known'}.",
        f"- Rights: {_rights(entry)}.",
        f"- Needed because {entry.because}.",
        f"- Tested by {', '.join(f'`{test}`' for test in entry.tests)}.",
    ]
    return "\n".join(lines) + "\n"


def _below(entry: Elsewhere) -> str:
    lines = [f"\n### {entry.title}\n", f"- `{entry.path.name}`: {entry.does()}"]
    lines += [f"- Otherwise than on Databricks: {entry.lacks}."] if entry.lacks else []
    lines += [f"- With {', '.join(f'`{name}.java`' for name in entry.also)}."] if entry.also else []
    lines.append(f"- Tested by {', '.join(f'`{test}`' for test in entry.tests)}.")
    return "\n".join(lines) + "\n"


def _table(rows: list[tuple[str, str]]) -> str:
    return "".join(f"| {first} | {second} |\n" for first, second in rows)


def _rights(entry: Emulated) -> str:
    if isinstance(entry.needs, str):
        return entry.needs
    return "; ".join(str(need) for need in entry.needs)


if __name__ == "__main__":
    sys.stdout.write(page())
