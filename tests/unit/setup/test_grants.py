"""The grants of the embedded workspace are those that docs/deploy.md lists, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from dbx_cd.setup.grants import APPROVERS, JOB, READERS, SRE, STANDARD_GRANTS, Places

DEPLOY = (Path(__file__).parents[3] / "docs" / "deploy.md").read_text(encoding="utf-8")
PLACES = Places(("ops", "dbt_meta"), ("ops", "dbt_meta", "artifacts"), ("stg", "prod"), ("prod",), (("raw", "shop"),))
_GRANT = re.compile(r"^GRANT (?P<privileges>[A-Z, ]+) ON (?P<on>\w+ [\w.]+) TO `(?P<who>\w+)`;$", re.M)

Granted = set[tuple[str, str, str]]


def documented() -> Granted:
    (block,) = (text for text in re.findall(r"```sql\n(.*?)```", DEPLOY, re.S) if "GRANT" in text)
    lines = [line for line in block.splitlines() if line and not line.startswith("--")]
    found = [_GRANT.fullmatch(line) for line in lines]
    assert None not in found, lines
    return {(m["who"], one, m["on"]) for m in found if m for one in m["privileges"].split(", ")}


def applied() -> Granted:
    return {
        (grant.who, privilege, on.replace("`", ""))
        for grant in STANDARD_GRANTS
        for on in PLACES.objects(grant)
        for privilege in grant.privileges
    }


def test_what_is_granted_is_what_is_documented() -> None:
    assert applied() == documented()


def test_every_role_is_granted_something() -> None:
    assert {who for who, _, _ in applied()} == {JOB, APPROVERS, SRE, READERS}


def test_only_the_job_makes_anything_and_nobody_may_do_everything() -> None:
    assert {who for who, privilege, _ in applied() if privilege.startswith("CREATE")} == {JOB}
    assert not {privilege for _, privilege, _ in applied()} & {"ALL PRIVILEGES", "MANAGE"}


def test_names_are_the_project_s_own_and_quoted() -> None:
    read = (("lake", "sales-eu"), ("lake", "web"))
    places = Places(("meta", "a-log"), None, ("qa", "qa", "live"), ("live",), read)
    on = [one for grant in STANDARD_GRANTS if grant.who == JOB for one in places.objects(grant)]
    assert on[:4] == ["CATALOG `meta`", "SCHEMA `meta`.`a-log`", "CATALOG `qa`", "CATALOG `live`"]
    assert on[4:] == ["CATALOG `lake`", "SCHEMA `lake`.`sales-eu`", "SCHEMA `lake`.`web`"]
