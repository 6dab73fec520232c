"""The grants that `setup` prints are those that docs/deploy.md lists, and depend on where a project keeps things."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from dbx_cd.setup.grants import APPROVERS, JOB, PRODUCTION, READERS, SRE, STANDARD_GRANTS, Places, privileges_of
from dbx_cd.setup.provision import script, steps_for

DEPLOY = (Path(__file__).parents[3] / "docs" / "deploy.md").read_text(encoding="utf-8")
PLACES = Places(
    ("ops", "dbt_meta", "release_log"), ("ops", "dbt_meta", "artifacts"), ("stg", "prod"), ("prod",),
    sources=(("raw", "shop"),), packages=(("ops", "dbt_meta", "wheels"),),
)  # fmt: skip
PEOPLE = {JOB: "job", APPROVERS: "dbx_cd_approvers", SRE: "sre", READERS: "readers"}


def documented() -> str:
    (block,) = (text for text in re.findall(r"```sql\n(.*?)```", DEPLOY, re.S) if "GRANT" in text)
    return block.strip()


def applied() -> set[tuple[str, str, str]]:
    return {(who, privilege, on.replace("`", "")) for who, privilege, on in privileges_of(PLACES.grants())}


def test_what_is_printed_is_what_is_documented() -> None:
    printed = script(steps_for(PLACES, PEOPLE), PEOPLE)
    statements = printed[printed.index("-- Where") : printed.index("-- Not SQL")].strip()
    assert documented() == statements


def test_every_role_is_granted_something() -> None:
    assert {who for who, _, _ in applied()} == {JOB, APPROVERS, SRE, READERS}


def test_only_the_job_makes_anything_and_nobody_may_do_everything() -> None:
    assert {who for who, privilege, _ in applied() if privilege.startswith("CREATE")} == {JOB}
    assert not {privilege for _, privilege, _ in applied()} & {"ALL PRIVILEGES", "MANAGE"}


def granted(places: Places, who: str) -> list[tuple[str, str]]:
    return [(", ".join(grant.privileges), grant.on.replace("`", "")) for grant in places.grants() if grant.who == who]


def test_names_are_the_project_s_own_and_quoted() -> None:
    read = (("lake", "sales-eu"), ("lake", "web"))
    places = Places(("meta", "a-log", "log"), None, ("qa", "live"), ("live",), read)
    on = [grant.on for grant in places.grants() if grant.who == JOB]
    assert on[:4] == ["CATALOG `meta`", "SCHEMA `meta`.`a-log`", "CATALOG `qa`", "CATALOG `live`"]
    assert on[4:] == ["CATALOG `lake`", "SCHEMA `lake`.`sales-eu`", "SCHEMA `lake`.`web`"]


def test_a_volume_elsewhere_needs_the_way_to_it_and_packages_are_only_read() -> None:
    volumes = (("ops", "dbt_meta", "wheels"), ("files", "wheels", "w"))
    places = replace(PLACES, artifacts=("files", "cd", "artifacts"), packages=volumes)
    assert granted(places, JOB)[:8] == [
        ("USE CATALOG", "CATALOG ops"),
        ("USE SCHEMA, CREATE TABLE", "SCHEMA ops.dbt_meta"),
        ("USE CATALOG", "CATALOG files"),
        ("USE SCHEMA", "SCHEMA files.cd"),
        ("USE SCHEMA", "SCHEMA files.wheels"),
        ("READ VOLUME, WRITE VOLUME", "VOLUME files.cd.artifacts"),
        ("READ VOLUME", "VOLUME ops.dbt_meta.wheels"),
        ("READ VOLUME", "VOLUME files.wheels.w"),
    ]
    assert granted(places, APPROVERS) == [
        ("USE CATALOG", "CATALOG ops"),
        ("USE SCHEMA, SELECT, MODIFY", "SCHEMA ops.dbt_meta"),
        ("USE CATALOG", "CATALOG files"),
        ("USE SCHEMA", "SCHEMA files.cd"),
        ("READ VOLUME", "VOLUME files.cd.artifacts"),
    ]


def test_where_the_administrator_makes_the_log_it_is_granted_as_a_table_and_nobody_makes_one() -> None:
    places = replace(PLACES, is_log_made=True)
    assert granted(places, JOB)[1:3] == [
        ("USE SCHEMA", "SCHEMA ops.dbt_meta"),
        ("SELECT, MODIFY", "TABLE ops.dbt_meta.release_log"),
    ]
    assert ("USE SCHEMA", "SCHEMA ops.dbt_meta") in granted(places, APPROVERS)
    assert ("SELECT, MODIFY", "TABLE ops.dbt_meta.release_log") in granted(places, SRE)


def test_where_the_administrator_makes_the_schemas_nobody_may_make_one() -> None:
    made = (("stg", "shop"), ("prod", "shop"))
    places = replace(PLACES, made_schemas=made, made_for_functions=made[:1])
    assert "CREATE SCHEMA" not in {privilege for _, privilege, _ in privileges_of(places.grants())}
    assert ("USE SCHEMA, CREATE TABLE, CREATE FUNCTION", "SCHEMA stg.shop") in granted(places, JOB)
    assert ("USE SCHEMA, CREATE TABLE", "SCHEMA prod.shop") in granted(places, JOB)
    assert ("USE CATALOG", "CATALOG prod") in granted(places, JOB)


TWO = replace(PLACES, open=("stg",), has_two_identities=True)


def test_with_two_identities_staging_s_writes_nothing_that_has_a_gate() -> None:
    assert granted(TWO, JOB) == [
        ("USE CATALOG", "CATALOG ops"),
        ("USE SCHEMA, CREATE TABLE", "SCHEMA ops.dbt_meta"),
        ("READ VOLUME, WRITE VOLUME", "VOLUME ops.dbt_meta.artifacts"),
        ("READ VOLUME", "VOLUME ops.dbt_meta.wheels"),
        ("USE CATALOG, CREATE SCHEMA", "CATALOG stg"),
        ("USE CATALOG, USE SCHEMA, SELECT", "CATALOG prod"),
        ("USE CATALOG", "CATALOG raw"),
        ("USE SCHEMA, SELECT", "SCHEMA raw.shop"),
    ]


def test_with_two_identities_production_s_reads_staging_and_owns_what_has_a_gate() -> None:
    assert granted(TWO, PRODUCTION) == [
        ("USE CATALOG", "CATALOG ops"),
        ("USE SCHEMA, SELECT, MODIFY", "SCHEMA ops.dbt_meta"),
        ("READ VOLUME, WRITE VOLUME", "VOLUME ops.dbt_meta.artifacts"),
        ("READ VOLUME", "VOLUME ops.dbt_meta.wheels"),
        ("USE CATALOG, USE SCHEMA, SELECT", "CATALOG stg"),
        ("USE CATALOG, CREATE SCHEMA", "CATALOG prod"),
        ("USE CATALOG", "CATALOG raw"),
        ("USE SCHEMA, SELECT", "SCHEMA raw.shop"),
    ]


def test_with_two_identities_each_makes_in_the_schemas_of_its_own_targets() -> None:
    made = replace(TWO, made_schemas=(("stg", "shop"), ("prod", "shop")), made_gated=(("prod", "shop"),))
    assert ("USE SCHEMA, CREATE TABLE", "SCHEMA stg.shop") in granted(made, JOB)
    assert "SCHEMA prod.shop" not in [on for _, on in granted(made, JOB)]
    assert ("USE SCHEMA, CREATE TABLE", "SCHEMA prod.shop") in granted(made, PRODUCTION)
    assert "SCHEMA stg.shop" not in [on for _, on in granted(made, PRODUCTION)]


def test_with_one_identity_there_is_no_other() -> None:
    assert granted(PLACES, PRODUCTION) == []


def test_every_line_of_the_list_is_about_something_somewhere() -> None:
    everything = replace(
        PLACES, artifacts=("files", "cd", "artifacts"), packages=(("ops", "dbt_meta", "wheels"),),
        made_schemas=(("stg", "shop"), ("prod", "shop")), made_for_functions=(("stg", "shop"), ("prod", "shop")),
        made_gated=(("prod", "shop"),), is_log_made=True,
    )  # fmt: skip
    unused = [line for line in STANDARD_GRANTS if not any(p.objects(line) for p in (everything, PLACES, TWO))]
    assert unused == []
