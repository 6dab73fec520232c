"""The SQL of `setup`: in order, quoted, run one by one, and nothing twice."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from dbx_cd import ConfigError
from dbx_cd.errors import SqlFailed
from dbx_cd.setup.grants import APPROVERS, JOB, READERS, SRE, Places
from dbx_cd.setup.provision import Done, Step, run_steps, script, steps_for

PLACES = Places(
    ("ops", "dbt_meta", "release_log"), ("ops", "dbt_meta", "artifacts"), ("stg", "prod"), ("prod",),
    sources=(("raw", "shop"),), packages=(("ops", "dbt_meta", "wheels"),),
)  # fmt: skip
PEOPLE = {JOB: "bot", APPROVERS: "dbx_cd_approvers", SRE: "on call", READERS: "analysts"}


class Catalog:
    """A warehouse that knows which objects there are and what was granted, and refuses what it is told to."""

    def __init__(self, *, refusing: str = "") -> None:
        self.objects: set[str] = set()
        self.granted: dict[tuple[str, str], set[str]] = {}
        self.changes: list[str] = []
        self._refusing = refusing

    def query(self, statement: str) -> Sequence[Sequence[Any]]:
        if self._refusing and self._refusing in statement:
            raise SqlFailed("[INSUFFICIENT_PERMISSIONS] no")
        verb, rest = statement.split(" ", 1)
        if verb == "DESCRIBE":
            if rest.removeprefix("TABLE ") not in {name.removeprefix("TABLE ") for name in self.objects}:
                raise SqlFailed("there is none")
        elif verb == "CREATE":
            self.changes.append(statement)
            kind, name = rest.split(" IF NOT EXISTS ")
            self.objects.add(f"{kind} {name.split(' (')[0]}")
        elif verb == "GRANT":
            self.changes.append(statement)
            privileges, _, where = rest.partition(" ON ")
            on, _, who = where.rpartition(" TO ")
            self.granted.setdefault((who, on), set()).update(privileges.split(", "))
        elif verb == "SHOW":
            who, _, on = rest.removeprefix("GRANTS ").partition(" ON ")
            return [(who.strip("`"), p.replace(" ", "_"), "", on) for p in self.granted.get((who, on), ())]
        return []


def outcomes(done: list[Done]) -> set[str]:
    return {one.outcome for one in done}


def sql(places: Places = PLACES, people: dict[str, str] = PEOPLE) -> list[str]:
    return [step.sql for step in steps_for(places, people)]


def test_what_is_granted_on_exists_before() -> None:
    statements = sql(replace(PLACES, is_log_made=True, made_schemas=(("stg", "shop"), ("prod", "shop"))))
    made = [s.split(" IF NOT EXISTS ")[1].split(" (")[0] for s in statements if s.startswith("CREATE")]
    assert made == [
        "`ops`", "`ops`.`dbt_meta`", "`ops`.`dbt_meta`.`artifacts`", "`ops`.`dbt_meta`.`wheels`",
        "`ops`.`dbt_meta`.`release_log`", "`stg`.`shop`", "`prod`.`shop`",
    ]  # fmt: skip
    assert [s.split()[0] for s in statements] == ["CREATE"] * 7 + ["GRANT"] * (len(statements) - 7)


def test_every_statement_can_be_run_again() -> None:
    assert all(s.startswith("GRANT ") or " IF NOT EXISTS " in s for s in sql(replace(PLACES, is_log_made=True)))


HOSTILE = "a`b; DROP CATALOG prod -- '\"$\\é"


def test_names_are_quoted_wherever_they_come_from() -> None:
    places = Places((HOSTILE,) * 3, (HOSTILE,) * 3, (HOSTILE,), (HOSTILE,), ((HOSTILE, HOSTILE),), is_log_made=True)
    quoted = "`" + HOSTILE.replace("`", "``") + "`"
    for step in steps_for(places, dict.fromkeys(PEOPLE, HOSTILE)):
        assert HOSTILE not in step.sql.replace(quoted, "")
        assert HOSTILE not in step.look.replace(quoted, "")
        assert ";" not in step.sql.replace(quoted, "")


@pytest.mark.parametrize("name", ["a\nb", "a\x00", "a\x7f", "\ta"])
def test_a_name_that_would_end_its_line_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="control characters"):
        steps_for(PLACES, {**PEOPLE, SRE: name})


def test_a_comment_cannot_become_a_statement() -> None:
    text = script(steps_for(PLACES, PEOPLE), PEOPLE, ci="me\nDROP CATALOG prod;\u2028DROP")
    assert not re.search(r"^\s*DROP", text, re.M)
    assert "\u2028" not in text


def test_of_a_role_that_nobody_has_nothing_is_granted_and_that_is_said() -> None:
    people = {JOB: "bot", APPROVERS: "dbx_cd_approvers"}
    text = script(steps_for(PLACES, people), people)
    assert set(re.findall(r"^GRANT .* TO (.*);$", text, re.M)) == {"`bot`", "`dbx_cd_approvers`"}
    assert "--sre NAME" in text
    assert "--readers NAME" in text


def test_what_is_not_sql_is_said_with_its_names() -> None:
    text = script(steps_for(PLACES, PEOPLE), PEOPLE, ci="deployer")
    for word in ("deployer: the role Service Principal User on bot", "federation policy", "CAN USE", "permissions"):
        assert word in text


def test_a_second_run_changes_nothing() -> None:
    catalog = Catalog()
    steps = steps_for(replace(PLACES, is_log_made=True, made_schemas=(("stg", "shop"),)), PEOPLE)
    assert outcomes(list(run_steps(steps, catalog.query))) == {"ok"}
    assert catalog.changes == [step.sql for step in steps]
    catalog.changes.clear()
    assert outcomes(list(run_steps(steps, catalog.query))) == {"already"}
    assert catalog.changes == []


def test_a_grant_of_which_one_privilege_is_missing_is_given() -> None:
    catalog = Catalog()
    list(run_steps(steps_for(PLACES, PEOPLE), catalog.query))
    catalog.granted["`bot`", "CATALOG `stg`"].remove("CREATE SCHEMA")
    again = [d for d in run_steps(steps_for(PLACES, PEOPLE), catalog.query) if d.outcome != "already"]
    assert [d.step.sql for d in again] == ["GRANT USE CATALOG, CREATE SCHEMA ON CATALOG `stg` TO `bot`"]


def test_what_somebody_else_was_granted_does_not_count() -> None:
    step = Step("", "GRANT SELECT ON TABLE `t` TO `bot`", "SHOW GRANTS", ("SELECT",), "bot")
    done = list(run_steps([step], lambda s: [("robot", "SELECT", "", "")] if s == "SHOW GRANTS" else []))
    assert outcomes(done) == {"ok"}


def test_all_privileges_are_enough() -> None:
    step = Step("", "GRANT SELECT ON TABLE `t` TO `bot`", "SHOW GRANTS", ("SELECT",), "bot")
    done = list(run_steps([step], lambda s: [("bot", "ALL_PRIVILEGES", "", "")]))
    assert outcomes(done) == {"already"}


def test_one_that_fails_says_what_to_do_and_the_others_are_run() -> None:
    catalog = Catalog(refusing="CREATE CATALOG")
    done = list(run_steps(steps_for(PLACES, PEOPLE), catalog.query))
    failed = [one for one in done if one.outcome == "failed"]
    assert [one.step.sql for one in failed] == ["CREATE CATALOG IF NOT EXISTS `ops`"]
    assert "Next: make the catalog in Catalog Explorer" in str(failed[0])
    assert len(done) == len(steps_for(PLACES, PEOPLE))
    assert len(catalog.changes) == len(done) - 1


def test_every_statement_knows_a_next_step() -> None:
    assert all(step.next_step for step in steps_for(replace(PLACES, is_log_made=True), PEOPLE))
