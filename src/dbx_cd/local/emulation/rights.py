"""Statements about rights."""

from __future__ import annotations

from dbx_cd.local.emulation.sql_text import NAMED
from dbx_cd.local.emulation.statement import Answer, Emulated, Statement, emulated, nothing, text_table

_ONE_USER = "there is one local user, who owns everything; rights are not enforced"
_TESTS = "tests/spark/local/test_emulation.py"
_ACCEPTED = (f"{_TESTS}::test_rights_are_accepted_and_forgotten",)


def show_grants(_statement: Statement) -> Answer:
    """SHOW GRANTS: no rows."""
    return text_table(("Principal", "ActionType", "ObjectType", "ObjectKey"), [])


STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        r"show grants? .*",
        show_grants,
        _ONE_USER,
        statement="SHOW GRANTS ON object",
        does="answers with no rows",
        lacks="shows nothing that was granted",
        tests=_ACCEPTED,
    ),
    emulated(
        rf"alter (?:table|view|schema|catalog) {NAMED} (?:set )?owner to .*",
        nothing,
        _ONE_USER,
        statement="ALTER object [SET] OWNER TO principal",
        does="is accepted",
        lacks="changes no owner",
        tests=_ACCEPTED,
    ),
    emulated(
        r"grant .*",
        nothing,
        _ONE_USER,
        statement="GRANT privileges ON object TO principal",
        does="is accepted",
        lacks="grants nothing, and checks no name in it",
        tests=_ACCEPTED,
    ),
    emulated(
        r"revoke .*",
        nothing,
        _ONE_USER,
        statement="REVOKE privileges ON object FROM principal",
        does="is accepted",
        lacks="revokes nothing, and checks no name in it",
        tests=_ACCEPTED,
    ),
)
