"""A first day without rights: dbt, smoke tests, the volume and SQL each say which grant is missing."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from pyspark.errors import AnalysisException

from dbx_cd.dbt.artifacts import NodeResult
from dbx_cd.dbt.run import DbtRun
from dbx_cd.delta.sql import Sql
from dbx_cd.errors import DbtFailed, SmokeFailed, SqlFailed
from dbx_cd.smoke.report import CheckResult, SmokeReport
from dbx_cd.volume import Unreachable, read

REFUSED = (
    "[INSUFFICIENT_PERMISSIONS] Insufficient privileges:\nUser does not have SELECT on Table 'raw.shop.orders'. "
    "SQLSTATE: 42501"
)
GRANT = "GRANT SELECT ON TABLE `raw`.`shop`.`orders` TO "
UNNAMED = f"{GRANT}<who this runs as>"


def test_of_a_model_that_dbt_may_not_build() -> None:
    nodes = tuple(
        NodeResult(
            f"model.shop.{name}", "error", 0.0, f"Database Error in model {name} (models/x.sql)\n  {REFUSED}\n  at 1"
        )
        for name in ("orders", "more")
    )
    with pytest.raises(DbtFailed) as failed:
        DbtRun("build", "stg", False, 1.0, Path("gone"), nodes=nodes).raise_if_failed()
    assert str(failed.value.next_step).startswith(f"let an administrator run {UNNAMED} (`python -m dbx_cd setup`")
    # Of the second model one line is shown, and it has the privilege in it.
    line = "more: Database Error in model more (models/x.sql): [INSUFFICIENT_PERMISSIONS] Insufficient privileges: User"
    assert f"{line} does not have SELECT on Table" in str(failed.value)


def test_of_what_dbt_is_refused_before_it_builds_anything() -> None:
    run = DbtRun("build", "stg", False, 1.0, Path("gone"), errors=(f"Runtime Error\n  Database Error\n    {REFUSED}",))
    with pytest.raises(DbtFailed) as failed:
        run.raise_if_failed()
    assert UNNAMED in str(failed.value.next_step)


def test_a_failure_without_a_missing_right_says_nothing_of_rights() -> None:
    with pytest.raises(DbtFailed) as failed:
        DbtRun("build", "stg", False, 1.0, Path("gone"), errors=("Compilation Error",)).raise_if_failed()
    assert "GRANT" not in str(failed.value)


def test_of_a_check_that_may_not_read() -> None:
    reason = " ".join(REFUSED.split())
    check = CheckResult(
        domain="shop", kind="assertion", name="none", status="broken", reason=reason, where="shop.yml:3"
    )
    with pytest.raises(SmokeFailed) as failed:
        SmokeReport("stg", "", "1a2b3c4", None, False, 1.0, (check,)).raise_if_failed()
    assert str(failed.value.next_step).startswith(f"let an administrator run {UNNAMED}")


class Session:
    """A session whose queries are refused, but for the one that asks who it is."""

    def __init__(self, user: str | None) -> None:
        self._user = user

    def sql(self, statement: str, args: object = None) -> Any:
        if "current_user" not in statement or self._user is None:
            raise AnalysisException(REFUSED)
        return self

    def collect(self) -> list[tuple[str | None]]:
        return [(self._user,)]


@pytest.mark.parametrize(("user", "whom"), [("job-1", "`job-1`"), (None, "<who this runs as>")])
def test_of_a_statement_of_this_library(user: str | None, whom: str) -> None:
    session: Any = Session(user)
    with pytest.raises(SqlFailed) as failed:
        Sql(session).query("SELECT * FROM raw.shop.orders")
    assert failed.value.what.endswith("User does not have SELECT on Table 'raw.shop.orders'. SQLSTATE: 42501")
    assert f"{GRANT}{whom}" in str(failed.value.next_step)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM])
def test_of_a_file_on_a_volume(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Path) -> bytes:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(Path, "read_bytes", refused)
    with pytest.raises(Unreachable) as failed:
        read(Path("/Volumes/ops/dbt_meta/artifacts/stg/latest.json"))
    assert "GRANT READ VOLUME, WRITE VOLUME ON VOLUME `ops`.`dbt_meta`.`artifacts`" in str(failed.value.next_step)
