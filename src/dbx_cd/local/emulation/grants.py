"""GRANT, REVOKE, SHOW GRANTS and changes of owners: what the ledger of rights then knows, and keeps over a restart."""

from __future__ import annotations

import re

import pyarrow as pa

from dbx_cd.local.emulation.catalog_bridge import StatementFailed
from dbx_cd.local.emulation.matched_statement import Statement
from dbx_cd.local.emulation.sql_text import NAME, NAMED, split_name
from dbx_cd.local.emulation.statement import Answer, Emulated, emulated, text_table

_JAVA = "Rights"
_TESTS = "tests/spark/local/test_grant_statements.py"
_KINDS = {
    "catalog": "CATALOG",
    "schema": "SCHEMA",
    "database": "SCHEMA",
    "table": "TABLE",
    "view": "TABLE",
    "volume": "VOLUME",
    "function": "FUNCTION",
}
_OWNED = "|".join(_KINDS)
_ABSENT = re.compile(
    r"any\s+file\Z|anonymous\s+function\Z|(?:clean\s+room|connection|external\s+(?:location|metadata)"
    r"|materialized\s+view|procedure|provider|recipient|server|share|(?:storage\s+|service\s+)?credential)(?=\s)",
    re.IGNORECASE,
)
"""What Databricks grants on besides, and what there is none of here."""
_PRINCIPAL = r"(?:`(?P<quoted>(?:[^`]|``)+)`|(?P<plain>\w+))"
_ON = r"\bon\s+(?P<object>.+?)"
_GRANTED = re.compile(rf"(?P<privileges>.+?)\s*{_ON}\s+(?P<word>to|from)\s+{_PRINCIPAL}", re.IGNORECASE | re.DOTALL)
_SHOWN = re.compile(rf"(?:{_PRINCIPAL}\s+)?{_ON}", re.IGNORECASE | re.DOTALL)
_GIVEN = re.compile(rf"to\s+{_PRINCIPAL}", re.IGNORECASE)
_OBJECT = re.compile(rf"(?:(?P<kind>{_OWNED})\s+)?(?P<name>{NAME})", re.IGNORECASE)
_PRIVILEGE = re.compile(r"[A-Za-z_]+(?:\s+[A-Za-z_]+)*")


def grant(statement: Statement) -> Answer:
    """GRANT: of several privileges all, or none."""
    return _change(statement, "grant", word="to")


def revoke(statement: Statement) -> Answer:
    """REVOKE; what was not granted is revoked without an error."""
    return _change(statement, "revoke", word="from")


def show_grants(statement: Statement) -> Answer:
    """SHOW GRANTS, with those on what the object lies in."""
    found = _SHOWN.fullmatch(statement["rest"].strip())
    if found is None:
        raise _not_understood(statement)
    principal = _name_of(found) if found["quoted"] or found["plain"] else None
    rows = statement.bridge.call("showGrants", principal, *_securable(statement, found["object"]), of=_JAVA)
    return text_table(("Principal", "ActionType", "ObjectType", "ObjectKey"), [list(row) for row in rows])


def set_owner(statement: Statement) -> Answer:
    """ALTER ... [SET] OWNER TO."""
    found = _GIVEN.fullmatch(statement["rest"].strip())
    if found is None:
        raise _not_understood(statement)
    kind = _KINDS[statement["kind"].lower()]
    statement.bridge.call("setOwner", kind, statement.parts("name"), _name_of(found), of=_JAVA)
    return pa.table({})


def _change(statement: Statement, method: str, *, word: str) -> Answer:
    found = _GRANTED.fullmatch(statement["rest"].strip())
    if found is None or found["word"].lower() != word:
        raise _not_understood(statement)
    privileges = [privilege.strip() for privilege in found["privileges"].split(",")]
    if not all(_PRIVILEGE.fullmatch(privilege) for privilege in privileges):
        raise _not_understood(statement)
    securable = _securable(statement, found["object"])
    statement.bridge.call(method, privileges, *securable, _name_of(found), of=_JAVA)
    return pa.table({})


def _securable(statement: Statement, text: str) -> tuple[str, list[str]]:
    """Kind and name of what is granted on; without a kind it is a table."""
    if text.lower() in ("metastore", "catalog"):  # this one and the current one
        return text.upper(), []
    if absent := _ABSENT.match(text):
        kind = " ".join(absent[0].upper().split())
        raise StatementFailed(
            f"[INVALID_PARAMETER_VALUE] There are no rights on {kind} here",
            where=statement.match[0],
            next_step=f"grant on METASTORE, {', '.join(sorted(set(_KINDS.values())))}",
            sql_state="22023",
        )
    found = _OBJECT.fullmatch(text)
    if found is None:
        raise _not_understood(statement)
    return _KINDS[(found["kind"] or "table").lower()], split_name(found["name"])


def _name_of(found: re.Match[str]) -> str:
    quoted: str | None = found["quoted"]
    return quoted.replace("``", "`") if quoted else str(found["plain"])


def _not_understood(statement: Statement) -> StatementFailed:
    return StatementFailed(
        "[PARSE_SYNTAX_ERROR] A statement about rights is not understood",
        where=statement.match[0],
        next_step="write GRANT privileges ON kind name TO principal; a name with other characters stands in backquotes",
        sql_state="42601",
    )


_BECAUSE = "Spark has no rights"
_ASKS = "MANAGE on the object, which owners and administrators have; the ledger of rights itself asks for it"
_ROUND_TRIP = f"{_TESTS}::test_what_is_granted_is_shown_counts_and_is_revoked"

STATEMENTS: tuple[Emulated, ...] = (
    emulated(
        r"show grants?\b(?P<rest>.*)",
        show_grants,
        _BECAUSE,
        statement="SHOW GRANTS [principal] ON object",
        does="shows what was granted on the object and on what it lies in",
        tests=(_ROUND_TRIP, f"{_TESTS}::test_users_are_shown_their_own_grants_and_managers_all"),
        needs=f"{_ASKS}. Of themselves and of their groups users may ask",
    ),
    emulated(
        rf"alter (?P<kind>{_OWNED}) {NAMED} (?:set )?owner\b(?P<rest>.*)",
        set_owner,
        _BECAUSE,
        statement="ALTER { CATALOG | SCHEMA | TABLE | VIEW | VOLUME | FUNCTION } name [SET] OWNER TO principal",
        does="gives an object to a user or a group",
        tests=(f"{_TESTS}::test_an_owner_gives_an_object_away",),
        needs=_ASKS,
    ),
    emulated(
        r"grant\b(?P<rest>.*)",
        grant,
        _BECAUSE,
        statement="GRANT privileges ON [kind] object TO principal",
        does="grants on METASTORE, a catalog, schema, table, view, volume or function; without a kind, on a relation",
        lacks="other kinds of objects, such as shares and connections, and their privileges are unknown",
        tests=(_ROUND_TRIP, f"{_TESTS}::test_what_is_not_understood_is_refused"),
        needs=_ASKS,
    ),
    emulated(
        r"revoke\b(?P<rest>.*)",
        revoke,
        _BECAUSE,
        statement="REVOKE privileges ON [kind] object FROM principal",
        does="takes back what was granted; what was not is no error",
        tests=(_ROUND_TRIP, f"{_TESTS}::test_what_is_not_understood_is_refused"),
        needs=_ASKS,
    ),
)
