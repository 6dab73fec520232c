"""What one attempt at a task is let in with: a token of its own, which ends with it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from dbx_cd.local.rest.identity import Directory


class SparkSide(Protocol):
    """The part of a workspace where what a task has begun may go on after the task's own processes have ended."""

    def admit(self, token: str, *, user: str) -> None:
        """Let the SQL endpoint accept a token as that of a user."""

    def end(self, token: str, *, task: str) -> None:
        """Take the token back, cancel all that runs by it or for the task, and return when nothing of it runs.

        What it raises means that something may still run: the attempt fails by it, whatever its own outcome.
        """


class TaskAccess:
    """Tokens of attempts: each is its run's user, and is revoked when the attempt has ended, however it has.

    Args:
        directory: the users.
        spark: the Spark of the workspace; None for one that has none.
    """

    def __init__(self, directory: Directory, spark: SparkSide | None) -> None:
        self._directory = directory
        self._spark = spark

    @contextlib.contextmanager
    def of(self, user_name: str, *, task: str) -> Iterator[str]:
        """Let a task in, and when its processes have ended take care that nothing of it runs any more.

        Args:
            user_name: as whom it works.
            task: the task's name in Spark, see `NotebookOrder.job_group`.

        Yields:
            The token.
        """
        token = self._directory.issue(user_name)
        try:
            if self._spark is not None:
                self._spark.admit(token, user=user_name)
            yield token
        finally:
            self._directory.revoke(token)
            if self._spark is not None:
                self._spark.end(token, task=task)
