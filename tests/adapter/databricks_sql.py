"""dbt's test suite is written in Postgres' SQL: what it gives its tests to run, in Databricks' words."""

from __future__ import annotations

import re
from typing import Any

import pytest
from dbt.tests.fixtures.project import TestProjInfo

# Databricks has no type of the left names; the right ones are those that dbt-databricks' own tests put in their place.
_TYPES = {
    r"timestamp with(?:out)? time zone": "timestamp",
    r"timestamptz": "timestamp",
    r"text": "string",
    r"varchar(?!\()": "string",
}


def in_databricks_sql(sql: str) -> str:
    """The same statement or model with Databricks' names of the types."""
    for theirs, ours in _TYPES.items():
        sql = re.sub(rf"\b{theirs}(?!\w)", ours, sql, flags=re.IGNORECASE)
    return sql


def in_databricks_words(project: TestProjInfo) -> TestProjInfo:
    """The same project, which sends each statement of a text in Databricks' words, and changes nothing else.

    Databricks takes one statement at a time, and `"name"` is a name in Postgres and a string in Databricks.
    """
    send = project.run_sql

    def run_sql(sql: str, fetch: str | None = None) -> Any:
        answer = None
        for statement in filter(str.strip, re.split(r";\s*(?:\n|\Z)", in_databricks_sql(sql))):
            answer = send(re.sub(r'"(\w+)"', r"`\1`", statement), fetch=fetch)
        return answer

    project.run_sql = run_sql
    return project


class DatabricksSql:
    """For tests that send statements themselves."""

    @pytest.fixture(scope="class")
    def project(self, project: TestProjInfo) -> TestProjInfo:
        return in_databricks_words(project)
