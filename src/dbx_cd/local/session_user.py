"""Whose session this is: the user whose rights its statements need, and whom its Delta commits name.

Databricks goes by whose token a statement came with; so does this workspace (`java/dbxcd/local/PlanGuard.java`,
`CommitLog.java`). A session without a user is the workspace's own: it may do everything, and its commits name nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.sql import SparkSession

if TYPE_CHECKING:
    from pyspark import SparkContext


class UserSession(SparkSession):
    """A session of a user, as are the sessions made from it."""

    def __init__(self, context: SparkContext, java_session: Any, *, user: str) -> None:
        super().__init__(context, java_session)
        self._user = user
        jvm: Any = context._jvm
        jvm.dbxcd.local.SessionUser.set(java_session, user)

    def newSession(self) -> SparkSession:  # noqa: N802  (PySpark's name)
        """A session with settings and temporary views of its own, and the same user."""
        return act_as(self, self._user)


def act_as(spark: SparkSession, user: str) -> SparkSession:
    """A new session of a user: with the user's rights, and commits in that name. No statement can change that.

    Args:
        spark: a session of the embedded workspace; it stays as it is.
        user: the name.
    """
    java_session: Any = spark._jsparkSession
    return UserSession(spark.sparkContext, java_session.newSession(), user=user)
