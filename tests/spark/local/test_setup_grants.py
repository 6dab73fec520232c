"""What `setup` prints, run by an administrator of the embedded workspace, twice; and each grant is one that counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from emulated_statements import runner
from pyspark.errors import PySparkException

from dbx_cd.errors import SqlFailed
from dbx_cd.local import rights
from dbx_cd.local.catalog_volumes import CatalogVolumes
from dbx_cd.local.emulation.catalog_bridge import StatementFailed
from dbx_cd.local.rest.identity import User
from dbx_cd.local.rest.volume_access import VolumeName
from dbx_cd.local.session_user import act_as
from dbx_cd.local.workspace import EmbeddedWorkspace
from dbx_cd.setup.grants import APPROVERS, JOB, PRODUCTION, READERS, SRE, STANDARD_GRANTS, Places, privileges_of
from dbx_cd.setup.provision import Query, run_steps, steps_for

ADMIN = "setup_admin@example.org"
PEOPLE = {role: f"setup_{role}@example.org" for role in (JOB, PRODUCTION, APPROVERS, SRE, READERS)}
PLAIN = Places(
    ("setup_ops", "meta", "log"), ("setup_files", "cd", "artifacts"), ("setup_stg", "setup_prod"), ("setup_prod",),
    sources=(("setup_raw", "shop"),), packages=(("setup_files", "cd", "wheels"),),
)  # fmt: skip
MADE = Places(
    ("setup_ops", "meta", "made_log"), None, ("setup_made",), (), is_log_made=True,
    made_schemas=(("setup_made", "shop"),), made_for_functions=(("setup_made", "shop"),),
)  # fmt: skip
TWO = replace(PLAIN, open=("setup_stg",), has_two_identities=True)
TWO_MADE = replace(
    MADE, targets=("setup_made",), gated=("setup_made",), made_gated=MADE.made_schemas, has_two_identities=True
)
VARIANTS = {"plain": PLAIN, "made": MADE, "two": TWO, "two_made": TWO_MADE}
GRANTS = [(variant, *one) for variant, places in VARIANTS.items() for one in privileges_of(places.grants())]
BUILT = "shop"  # a schema in each catalog of a target


def query_of(workspace: EmbeddedWorkspace, user: str) -> Query:
    """What a user's SQL editor answers."""
    run = runner(act_as(workspace.spark, user))

    def query(statement: str) -> Sequence[Sequence[Any]]:
        try:
            return run(statement)
        except (PySparkException, StatementFailed) as exc:
            raise SqlFailed(str(exc)) from exc

    return query


@pytest.fixture(scope="module")
def admin(workspace: EmbeddedWorkspace) -> Iterator[Query]:
    """Who may make everything; catalogs of targets and sources are there, with a table and a function in each."""
    rights.put_user(workspace.spark, ADMIN, groups=("admins",))
    for user in PEOPLE.values():
        rights.put_user(workspace.spark, user)
    query = query_of(workspace, ADMIN)
    catalogs = ("setup_ops", "setup_stg", "setup_prod", "setup_raw", "setup_made")
    for catalog in catalogs:
        query(f"CREATE CATALOG {catalog}")
        query(f"CREATE SCHEMA {catalog}.{BUILT}")
        query(f"CREATE TABLE {catalog}.{BUILT}.t (id INT)")
        query(f"CREATE FUNCTION {catalog}.{BUILT}.f() RETURNS INT RETURN 1")
    query("CREATE SCHEMA setup_ops.meta")
    query("CREATE TABLE setup_ops.meta.t (id INT)")
    yield query
    for catalog in (*catalogs, "setup_files"):
        query(f"DROP CATALOG {catalog} CASCADE")


@pytest.fixture(scope="module")
def first(admin: Query) -> dict[str, list[str]]:
    """What the first run says of each statement."""
    return {
        name: [str(done) for done in run_steps(steps_for(places, PEOPLE), admin)] for name, places in VARIANTS.items()
    }


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_first_run_does_what_is_missing_and_a_second_finds_all_of_it(
    admin: Query, first: dict[str, list[str]], variant: str
) -> None:
    there = ("CREATE CATALOG IF NOT EXISTS `setup_ops`", "CREATE SCHEMA IF NOT EXISTS `setup_ops`.`meta`", "`shop`")
    for line in first[variant]:
        is_there = "CREATE" in line.split()[1] and line.endswith(there)
        # The later variants grant some things that the first has granted.
        assert line.split()[0] in ({"already"} if is_there else {"ok"} if variant == "plain" else {"ok", "already"})
    again = list(run_steps(steps_for(VARIANTS[variant], PEOPLE), admin))
    assert {done.outcome for done in again} == {"already"}


def test_somebody_without_rights_is_told_what_is_missing_for_each_statement(
    workspace: EmbeddedWorkspace, first: dict[str, list[str]]
) -> None:
    done = list(run_steps(steps_for(PLAIN, {JOB: ADMIN}), query_of(workspace, PEOPLE[READERS])))
    assert {one.outcome for one in done} == {"failed"}
    assert all("does not have" in str(one) and "Next: " in str(one) for one in done)


def needing(privilege: str, kind: str, name: str) -> str:
    """A statement that takes a privilege on an object."""
    schema = name if kind == "SCHEMA" else ".".join(name.split(".")[:2]) if kind == "TABLE" else f"{name}.{BUILT}"
    table = name if kind == "TABLE" else f"{schema}.t"
    return {
        "USE CATALOG": f"USE CATALOG {name}",
        "USE SCHEMA": f"USE {schema}",
        "CREATE SCHEMA": f"CREATE SCHEMA IF NOT EXISTS {name}.{BUILT}",
        "CREATE TABLE": f"CREATE TABLE {schema}.made (id INT)",
        "CREATE FUNCTION": f"CREATE FUNCTION {schema}.made() RETURNS INT RETURN 1",
        "SELECT": f"SELECT * FROM {table}",
        "MODIFY": f"DELETE FROM {table}",
        "EXECUTE": f"SELECT {schema}.f()",
    }[privilege]


@pytest.mark.parametrize(("variant", "role", "privilege", "on"), GRANTS)
def test_without_a_grant_what_needs_it_is_refused_and_names_it(
    workspace: EmbeddedWorkspace, first: dict[str, list[str]], variant: str, role: str, privilege: str, on: str
) -> None:
    kind, name = on.replace("`", "").split()
    user = PEOPLE[role]
    # All variants are granted at once: what is granted above or below the object counts as well.
    everything = privileges_of(grant for places in VARIANTS.values() for grant in places.grants())
    held = dict.fromkeys(other for who, one, other in everything if (who, one) == (role, privilege))
    taken = [other for other in held if _is_on_the_way(other.replace("`", "").split()[1], name)]
    for other in taken:
        rights.revoke(workspace.spark, user, privilege, other)
    try:
        if kind == "VOLUME":
            found = CatalogVolumes(workspace.spark).denial(User(user, ""), privilege, VolumeName.of(name.split(".")))
            assert found == f"User does not have {privilege} on Volume '{name}'."
        else:
            with pytest.raises(SqlFailed, match=f"User does not have {privilege} on "):
                query_of(workspace, user)(needing(privilege, kind, name))
    finally:
        for other in taken:
            rights.grant(workspace.spark, user, privilege, other)


def _is_on_the_way(one: str, other: str) -> bool:
    return f"{one}.".startswith(f"{other}.") or f"{other}.".startswith(f"{one}.")


def test_every_line_of_the_list_is_among_these() -> None:
    assert [line for line in STANDARD_GRANTS if not any(places.objects(line) for places in VARIANTS.values())] == []
