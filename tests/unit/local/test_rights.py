"""What of the ledger's answers is a refusal, and what is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from py4j.protocol import Py4JJavaError, Py4JNetworkError

from dbx_cd.local import rights


class JavaError:
    """As much of an exception's object in the JVM as py4j wants."""

    _target_id = "o1"
    _gateway_client = None

    def __init__(self, message: str | None) -> None:
        self._message = message

    def getMessage(self) -> str | None:  # noqa: N802
        return self._message


class AnalysisError(Exception):
    """How PySpark has one of Spark's analysis errors: with Java's in it."""

    def __init__(self, message: str) -> None:
        super().__init__(message + "\n\nJVM stacktrace:\n...")
        self._origin = JavaError(message)


def asking(error: Exception) -> None:
    def fail(*_: Any) -> None:
        raise error

    local = SimpleNamespace(Rights=SimpleNamespace(requireOf=fail))
    spark: Any = SimpleNamespace(_jvm=SimpleNamespace(dbxcd=SimpleNamespace(local=local)), _jsparkSession=None)
    rights.require(spark, "anna", "SELECT", "TABLE a.b.c")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("[INSUFFICIENT_PERMISSIONS] Insufficient privileges: x. SQLSTATE: 42501", rights.InsufficientPermissions),
        ("[INVALID_PARAMETER_VALUE] 'SELCT' is no privilege. SQLSTATE: 22023", rights.UnknownRight),
        ("[TABLE_OR_VIEW_NOT_FOUND] The table or view cannot be found. SQLSTATE: 42P01", rights.UnknownRight),
    ],
)
def test_what_the_ledger_refuses_is_told_in_its_words(message: str, kind: type[Exception]) -> None:
    for error in (AnalysisError(message), Py4JJavaError("", JavaError(message))):
        with pytest.raises(kind) as told:
            asking(error)
        assert str(told.value) == message


@pytest.mark.parametrize(
    "error",
    [
        Py4JNetworkError("the JVM is gone"),
        Py4JJavaError("", JavaError("catalog.json: No space left on device")),
        Py4JJavaError("", JavaError(None)),
        AnalysisError("[INTERNAL_ERROR] a defect"),
    ],
)
def test_what_goes_wrong_otherwise_is_no_unknown_right(error: Exception) -> None:
    with pytest.raises(type(error)) as told:
        asking(error)
    assert told.value is error
