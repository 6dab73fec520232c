"""What a refusal of Unity Catalog says is missing, in the texts that its users report."""

from __future__ import annotations

import pytest

from dbx_cd.sql_messages import first_line, missing_rights, step_to_rights, step_to_volume

SAID = "User does not have USE CATALOG on Catalog 'ops'. SQLSTATE: 42501"
IN_SQL = f"[INSUFFICIENT_PERMISSIONS] Insufficient privileges:\n{SAID}"


@pytest.mark.parametrize(
    ("text", "grant"),
    [
        (IN_SQL, "GRANT USE CATALOG ON CATALOG `ops` TO `bot`"),
        (
            "com.databricks.sql.managedcatalog.acl.UnauthorizedAccessException: PERMISSION_DENIED: User does not have "
            "USE SCHEMA on Schema 'raw.shop'.",
            "GRANT USE SCHEMA ON SCHEMA `raw`.`shop` TO `bot`",
        ),
        (
            "[INSUFFICIENT_PERMISSIONS] Insufficient privileges: User does not have SELECT on Table 'a.b.c'.",
            "GRANT SELECT ON TABLE `a`.`b`.`c` TO `bot`",
        ),
        ("User does not have SELECT on View 'a.b.c'.", "GRANT SELECT ON TABLE `a`.`b`.`c` TO `bot`"),
        ("User does not have EXECUTE on Routine or Model 'a.b.f'.", "GRANT EXECUTE ON FUNCTION `a`.`b`.`f` TO `bot`"),
        ("User does not have READ VOLUME on Volume 'a.b.v'.", "GRANT READ VOLUME ON VOLUME `a`.`b`.`v` TO `bot`"),
        ("User does not have CREATE CATALOG on Metastore 'm.x'.", "GRANT CREATE CATALOG ON METASTORE TO `bot`"),
        (
            "User does not have CREATE TABLE and USE SCHEMA on Schema 'a.b'.",
            "GRANT CREATE TABLE, USE SCHEMA ON SCHEMA `a`.`b` TO `bot`",
        ),
        ("User does not have CREATE_SCHEMA on Catalog 'we`ird'.", "GRANT CREATE SCHEMA ON CATALOG `we``ird` TO `bot`"),
    ],
)
def test_the_grant_that_is_missing_is_said(text: str, grant: str) -> None:
    (missing,) = missing_rights(text)
    assert missing.grant("bot") == grant
    step = step_to_rights(text, who="bot")
    assert step is not None
    assert grant in step
    assert "python -m dbx_cd setup" in step


def test_who_is_not_known_is_not_guessed() -> None:
    assert "TO <who this runs as>" in str(step_to_rights(IN_SQL))


def test_what_only_an_owner_may_is_said_without_a_grant() -> None:
    step = step_to_rights("User is not an owner of Table 'prod.shop.orders'.")
    assert step is not None
    assert "owner of prod.shop.orders" in step
    assert "GRANT" not in step


def test_a_name_with_dots_in_it_gets_no_statement_that_may_be_about_something_else() -> None:
    step = step_to_rights("User does not have SELECT on Table 'a.b.c.d'.")
    assert step is not None
    assert "SELECT on TABLE a.b.c.d" in step
    assert "GRANT" not in step


def test_each_missing_right_is_said_once() -> None:
    assert len(missing_rights(f"{IN_SQL}\n{IN_SQL}\nUser does not have SELECT on Table 'a.b.c'.")) == 2


@pytest.mark.parametrize("text", ["", "TABLE_OR_VIEW_NOT_FOUND", "User does not have permission CREATE on CATALOG."])
def test_other_messages_name_no_right(text: str) -> None:
    assert missing_rights(text) == ()
    assert step_to_rights(text) is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (IN_SQL, f"[INSUFFICIENT_PERMISSIONS] Insufficient privileges: {SAID}"),
        ("[NOT_FOUND] No such table\n== SQL ==\nselect 1", "[NOT_FOUND] No such table"),
        ("\n ends with a colon:\n", "ends with a colon:"),
        ("", ""),
    ],
)
def test_the_first_line_has_what_it_announces(text: str, line: str) -> None:
    assert first_line(text) == line


def test_a_volume_is_named_by_the_path_of_a_file_in_it() -> None:
    step = step_to_volume("/Volumes/ops/dbt_meta/artifacts/stg/latest")
    assert "GRANT READ VOLUME, WRITE VOLUME ON VOLUME `ops`.`dbt_meta`.`artifacts`" in str(step)
    assert step_to_volume("/tmp/Volumes/ops/dbt_meta/artifacts") is None
    assert step_to_volume("/Volumes/ops") is None
