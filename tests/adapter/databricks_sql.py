"""dbt's test suite is written in Postgres' SQL: what it gives its tests to run, in Databricks' words."""

from __future__ import annotations

import re
from collections.abc import Mapping
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


def all_in_databricks_sql(files: Mapping[str, Any]) -> dict[str, Any]:
    """The same files of a project, those in folders too."""
    return {
        name: in_databricks_sql(found) if isinstance(found, str) else all_in_databricks_sql(found)
        for name, found in files.items()
    }


class DatabricksSql:
    """For tests that send statements themselves: each is sent in Databricks' words, and nothing else is changed.

    Databricks takes one statement at a time, and `"name"` is a name in Postgres and a string in Databricks.
    """

    @pytest.fixture(scope="class")
    def project(self, project: TestProjInfo) -> TestProjInfo:
        send = project.run_sql

        def run_sql(sql: str, fetch: str | None = None) -> Any:
            answer = None
            for statement in filter(str.strip, re.split(r";\s*(?:\n|\Z)", in_databricks_sql(sql))):
                answer = send(re.sub(r'"(\w+)"', r"`\1`", statement), fetch=fetch)
            return answer

        project.run_sql = run_sql
        return project
