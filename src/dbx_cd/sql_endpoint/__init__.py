"""The Databricks SQL Thrift service over a SparkSession, so that unmodified dbt-databricks runs on that session.

Two uses: a job cluster without a SQL warehouse, and the embedded workspace. Only the protocol is here: a statement
reaches Spark as it came, unless the `rewrite` handed in says otherwise, or it sets or resets one of the session's own
settings (`session_settings`).
"""

from dbx_cd.extras import importing_extra

with importing_extra("endpoint", purpose="the SQL endpoint"):
    from dbx_cd.sql_endpoint.address import ReservedAddress
    from dbx_cd.sql_endpoint.at_work import RunningStatement
    from dbx_cd.sql_endpoint.endpoint import SqlEndpoint
    from dbx_cd.sql_endpoint.executor import StatementRecord
    from dbx_cd.sql_endpoint.profile import ProfileTarget, connection_block, profile_targets, with_connection
    from dbx_cd.sql_endpoint.rows import ResultRows
    from dbx_cd.sql_endpoint.statement import Rewrite

__all__ = [
    "ProfileTarget",
    "ReservedAddress",
    "ResultRows",
    "Rewrite",
    "RunningStatement",
    "SqlEndpoint",
    "StatementRecord",
    "connection_block",
    "profile_targets",
    "with_connection",
]
