"""What dbt alone is told reaches its process, a fork of a warm parent, and nothing that it leaves."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import yaml

from dbx_cd import ConfigError, run_dbt
from dbx_cd.config import WARM_DBT
from dbx_cd.dbt.connection import DbtConnection
from dbx_cd.dbt.warm_parent import warm_dbt
from dbx_cd.warm.parent import WarmParent

NAME, VALUE = "DBT_ENV_SECRET_SCHEMA", "hunter2hunter2"


def test_a_secret_reaches_a_fork_and_nothing_that_dbt_leaves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, warm_parent: WarmParent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(WARM_DBT, str(warm_parent.address))  # which was told nothing
    project = tmp_path / "project"
    (project / "models").mkdir(parents=True)
    (project / "models" / "one.sql").write_text("select 1 as id")
    (project / "dbt_project.yml").write_text(yaml.safe_dump({"name": "p", "version": "1.0", "profile": "p"}))
    output = {"type": "databricks", "catalog": "stg", "schema": f"{{{{ env_var('{NAME}') }}}}", "threads": 1}
    (project / "profiles.yml").write_text(yaml.safe_dump({"p": {"target": "t", "outputs": {"t": output}}}))
    told = DbtConnection(
        "warehouse", keys={"host": "h", "http_path": "/sql/1.0/warehouses/w"}, login={"token": "t"},
        variables={NAME: VALUE},
    )  # fmt: skip
    work = tmp_path / "work"
    # A profile may take a name from a secret, and then it is in every manifest.
    refused = pytest.raises(ConfigError, match="a secret that dbt is told is in its manifest")
    with caplog.at_level(logging.DEBUG), warm_dbt(known=told.variables) as parent, refused:
        run_dbt("ls", target="t", project_dir=project, work_dir=work, connection=told, warm_parent=parent)
    assert "dbt starts cold" not in caplog.text
    assert NAME not in os.environ
    assert '"schema": "*****"' in (work / "artifacts" / "manifest.json").read_text()
    files = [file for file in (work / "artifacts").rglob("*") if file.is_file()]
    assert {"manifest.json", "dbt.log"} <= {file.name for file in files}
    assert not [file.name for file in files if VALUE in file.read_text()]
    assert VALUE not in caplog.text
