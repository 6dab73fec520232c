"""dbt's own verdict on a data test: the same SQL, so that Spark says of every threshold what it says to dbt.

dbt puts `fail_calc`, `warn_if` and `error_if` into a query as they are written, over the failing rows after `limit`
(`get_test_sql` and the materialization `test` of dbt-adapters), and decides by severity (`build_test_run_result` in
dbt-core's `task/test.py`). Read in dbt-core 1.11.16; `tests/spark/smoke/test_dbt_verdicts.py` compares with dbt itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dbx_cd.errors import DbxCdError
from dbx_cd.non_finite import non_finite_name
from dbx_cd.smoke.contract import Contract
from dbx_cd.smoke.numbers import is_finite, is_number
from dbx_cd.smoke.report import Status

# What dbt takes a text for (`strtobool` in dbt-core's `utils`).
_TRUE, _FALSE = ("y", "yes", "t", "true", "on", "1"), ("n", "no", "f", "false", "off", "0")


_COLUMNS = ["failures", "should_warn", "should_error"]


def limited(contract: Contract, failures: str) -> str:
    """The failing rows that dbt looks at."""
    return failures if contract.limit is None else f"{failures}\nlimit {contract.limit}"


def verdict_query(contract: Contract, failures: str) -> str:
    """The query by which dbt judges the failing rows: one row of three columns."""
    return (
        f"select\n{contract.fail_calc} as failures,"
        f"\n{contract.fail_calc} {contract.warn_if} as should_warn,"
        f"\n{contract.fail_calc} {contract.error_if} as should_error"
        f"\nfrom (\n{limited(contract, failures)}\n) dbt_internal_test"
    )


def verdict(contract: Contract, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> tuple[Status, int]:
    """The status and the number of failures, from the answer to `verdict_query`.

    Args:
        contract: the data test.
        columns: the names of the answer's columns; a comment in a threshold can hide the name that dbt looks for.
        rows: the answer.

    Raises:
        DbxCdError: no verdict is in them; dbt ends such a test with an error.
    """
    if len(rows) != 1 or [name.lower() for name in columns] != _COLUMNS:
        raise DbxCdError("its `fail_calc`, `warn_if` and `error_if` do not give one number and two answers to it")
    failures, should_warn, should_error = rows[0]
    if not is_number(failures):
        found = "null" if failures is None else f"a {type(failures).__name__}"
        raise DbxCdError(f"its `fail_calc` gives {found}, no number of failures")
    if not is_finite(failures) or failures != int(failures):
        raise DbxCdError(f"its `fail_calc` gives {non_finite_name(failures) or failures}, no whole number of failures")
    warns, fails = (_truth(name, found) for name, found in (("warn_if", should_warn), ("error_if", should_error)))
    warned: Status = "fail" if contract.warnings_fail else "warn"
    status: Status = "fail" if contract.severity == "error" and fails else warned if warns else "pass"
    # dbt's event of a failure holds 32 bits; beyond them it ends the test with an error (seen with dbt-core 1.11.16).
    if status != "pass" and not -(2**31) <= failures < 2**31:
        raise DbxCdError(f"its `fail_calc` gives {int(failures)} failures, more than dbt can report")
    return status, int(failures)


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, str | list | tuple | dict):
        return bool(value)
    if isinstance(value, str) and value.lower() in (*_TRUE, *_FALSE):
        return value.lower() in _TRUE
    raise DbxCdError(f"its `{name}` gives neither true nor false")
