"""A view's query is read in the session's current schema: it is set for one statement, and set back."""

from __future__ import annotations

from typing import Any

import pytest

from dbx_cd.delta.sql import Sql
from dbx_cd.errors import SqlFailed


class Session(Sql):
    """Keeps the statements, and answers with where the session was."""

    def __init__(self, *, schema: str = "shop", refused: str = "") -> None:
        super().__init__(None)  # type: ignore[arg-type]
        self.ran: list[str] = []
        self._schema, self._refused = schema, refused

    def query(self, statement: str, **_parameters: str) -> list[Any]:
        self.ran.append(statement)
        if self._refused and self._refused in statement:
            raise SqlFailed("[SCHEMA_NOT_FOUND] it is gone", condition="SCHEMA_NOT_FOUND")
        names = {"catalog": "prod", "schema": self._schema}
        return [type("Row", (tuple,), {"__getitem__": lambda _self, key: names[key]})(names.values())]


def test_the_schema_is_what_it_was_afterwards_also_when_the_statement_fails() -> None:
    session = Session(refused="CREATE VIEW")
    with pytest.raises(SqlFailed, match="it is gone"), session.current_schema(("prod", "other")):
        session.execute("CREATE VIEW v")
    assert session.ran[1:] == ["USE `prod`.`other`", "CREATE VIEW v", "USE `prod`.`shop`"]


def test_a_name_that_spark_answers_in_backticks_is_not_quoted_twice() -> None:
    session = Session(schema="`dev-john`")
    with session.current_schema(("prod", "other")):
        pass
    assert session.ran[-1] == "USE `prod`.`dev-john`"


def test_a_schema_that_is_gone_is_named_with_what_to_do() -> None:
    session = Session(refused="USE `prod`.`gone`")
    what = r"the schema in which its query is read, prod\.gone, cannot be used.*make that schema again"
    with pytest.raises(SqlFailed, match=what), session.current_schema(("prod", "gone")):
        pass
    assert session.ran[-1] == "USE `prod`.`gone`", "the session was not moved"


def test_without_a_schema_nothing_is_set() -> None:
    session = Session()
    with session.current_schema(None):
        session.execute("CREATE VIEW v")
    assert session.ran == ["CREATE VIEW v"]
