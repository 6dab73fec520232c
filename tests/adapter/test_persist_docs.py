"""Descriptions as comments: dbt-databricks' catalog has none of columns, so that they are read by DESCRIBE."""

from __future__ import annotations

from typing import Any

import pytest
from dbt.tests.adapter.persist_docs.test_persist_docs import (
    BasePersistDocs,
    BasePersistDocsColumnMissing,
    BasePersistDocsCommentOnQuotedColumn,
)
from dbt.tests.fixtures.project import TestProjInfo
from dbt.tests.util import run_dbt

pytestmark = pytest.mark.deep


def described(project: TestProjInfo, name: str) -> dict[str, Any]:
    """The comments of a relation in the shape of a node of dbt's catalog."""
    rows = project.run_sql(f"describe table extended {project.database}.{project.test_schema}.{name}", fetch="all")
    columns = [row[0] for row in rows].index("")  # an empty row stands before what is told of the table itself
    return {
        "metadata": {"comment": {row[0]: row[1] for row in rows[columns:]}.get("Comment")},
        "columns": {row[0]: {"comment": row[2]} for row in rows[:columns]},
    }


class TestPersistDocs(BasePersistDocs):
    def test_has_comments_pglike(self, project: TestProjInfo) -> None:
        self._assert_has_table_comments(described(project, "table_model"))
        self._assert_has_view_comments(described(project, "view_model"))
        self._assert_has_view_comments(described(project, "no_docs_model"), False, False)


class TestPersistDocsColumnMissing(BasePersistDocsColumnMissing):
    def test_missing_column(self, project: TestProjInfo) -> None:
        comment = described(project, "missing_column")["columns"]["id"]["comment"]
        assert comment.startswith("test id column description")

    @pytest.mark.skip(reason="dbt-databricks has a macro of its own, which does not warn of a missing column")
    def test_missing_column_warning(self) -> None: ...


class TestPersistDocsCommentOnQuotedColumn(BasePersistDocsCommentOnQuotedColumn):
    def test_quoted_column_comments(self, project: TestProjInfo) -> None:
        run_dbt()
        assert described(project, "quote_model")["columns"]["2id"]["comment"].startswith("XXX")
