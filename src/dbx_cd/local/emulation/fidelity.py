"""Prints docs/fidelity.md from the tables of emulated and unsupported statements.

`python -m dbx_cd.local.emulation.fidelity > docs/fidelity.md` writes it anew; a test says when that is due.
"""

from __future__ import annotations

import sys

from dbx_cd.local.emulation.dispatch import EMULATED
from dbx_cd.local.emulation.statement import Emulated
from dbx_cd.local.emulation.unsupported import AI_FUNCTIONS, SQL_STATE, UNSUPPORTED

_HEAD = """\
# How true the embedded workspace is to Databricks SQL

Statements run on open-source Spark 4.2 and Delta 4.4. This page lists what those lack: the statements that the embedded
workspace does itself, and those that it refuses. They are the same through the SQL endpoint, in a notebook's
`spark.sql` and in its `%sql` cells; inside of `EXECUTE IMMEDIATE` and of `BEGIN ... END` they are not. What is not on
this page goes to Spark as it is.

Functions written in SQL (CREATE, DROP and calls by one to three names, in views and in each other) need no statement of
their own: Spark does them, with names that its catalog finds them by
(`tests/spark/local/test_functions.py::test_functions_are_called_by_one_to_three_names_and_in_views`). Their text is
kept with full names, and is shown so. ALTER TABLE and ALTER VIEW ... RENAME TO another schema of the same catalog are
the catalog plugin's
(`tests/spark/local/test_table_statements.py::test_a_table_is_renamed_to_another_schema_with_all_it_has`).

Each statement asks for the rights of the token's user before it runs, and for USE CATALOG and USE SCHEMA on the way to
each object; the workspace itself may do everything. Which rights, is taken from the Databricks SQL reference
(`src/dbx_cd/local/emulation/needs.py` says from where)
and shown by `tests/spark/local/test_emulated_rights.py::test_with_the_rights_it_needs_a_statement_runs`.

This file is generated: `python -m dbx_cd.local.emulation.fidelity > docs/fidelity.md`.

## Emulated
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
    return _HEAD + emulated + _UNSUPPORTED + "".join(f"| {what} | {why} |\n" for what, why in rows)


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


def _rights(entry: Emulated) -> str:
    if isinstance(entry.needs, str):
        return entry.needs
    return "; ".join(str(need) for need in entry.needs)


if __name__ == "__main__":
    sys.stdout.write(page())
