"""`python -m dbx_cd.local` on a dbt project that is not the example: other names, a subfolder, no `dbx_cd.yml`."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from databricks import sql
from shop_repository import Repository

from dbx_cd.local.workspace import CI, OWNER, Connection

TINY = Path(__file__).resolve().parents[2] / "fixtures" / "tiny_project"


@dataclass
class Ran:
    """A finished command, and its state directory."""

    state: Path
    code: int
    output: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("tiny")
    repository = Repository(folder / "repository", source=TINY)
    commit = repository.commit("a project like any other")
    project = repository.folder / "warehouse" / "dbt"
    return _local(
        "run",
        "--project",
        str(project),
        "--commit",
        commit,
        "--approve-as",
        "anna@acme.example",
        state=folder / "state",
    )


def _local(*arguments: str, state: Path) -> Ran:
    command = [sys.executable, "-m", "dbx_cd.local", *arguments, "--state-dir", str(state)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return Ran(state, done.returncode, done.stdout)


def test_the_release_goes_to_production(ran: Ran) -> None:
    assert ran.code == 0, ran.output
    assert "approved by anna@acme.example" in ran.output
    for task in ("stg_build", "stg_smoke", "approval_gate", "prod_build", "prod_smoke", "docs_refresh"):
        assert f"{task:<14} SUCCESS" in ran.output


def test_the_project_s_own_names_are_kept_and_its_profile_is_not_changed(ran: Ran) -> None:
    artifacts = ran.state / "Volumes" / "ops" / "dbt_meta" / "artifacts" / "prod" / "latest"
    nodes = json.loads((artifacts / "manifest.json").read_text())["nodes"].values()
    assert "`acme`.`analytics_reporting`.`site_hours`" in {node.get("relation_name") for node in nodes}
    assert "127.0.0.1" not in (ran.state.parent / "repository" / "warehouse" / "dbt" / "profiles.yml").read_text()


@dataclass
class Up:
    """What was seen of `up`, started on the state of the finished release and ended by Ctrl-C."""

    said: str
    connection: Connection
    mode: int
    rows: dict[str, list[Any]]
    jobs: list[str]
    profile: str
    code: int
    left: bool


@pytest.fixture(scope="module")
def up(ran: Ran) -> Up:
    project, file = ran.state.parent / "repository" / "warehouse" / "dbt", ran.state / "connection.json"
    command = [sys.executable, "-m", "dbx_cd.local", "up", "--project", str(project), "--state-dir", str(ran.state)]
    # A session of its own stands for a terminal, whose Ctrl-C reaches the workspace and its JVM alike.
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        said = ""
        try:
            for line in process.stdout:
                said += line
                if "Stop with Ctrl-C" in line:
                    break
            else:
                pytest.fail(f"`up` ended: {said}")
            connection, mode = Connection.read(ran.state), stat.S_IMODE(file.stat().st_mode)
            jobs = [job.settings.name or "" for job in connection.client(CI).jobs.list() if job.settings]
            profile = (ran.state / "profiles" / "acme_warehouse" / "profiles.yml").read_text()
            rows = _ask(
                connection,
                table="SELECT site, hours FROM acme.analytics_reporting.site_hours",
                view="SELECT * FROM acme.analytics_reporting.busy_sites",
                deployed="SELECT * FROM ops.dbt_meta.release_log WHERE kind = 'deployed'",
            )
        finally:
            os.killpg(process.pid, signal.SIGINT)
            said += process.stdout.read()
    return Up(said, connection, mode, rows, jobs, profile, process.returncode, file.exists())


def _ask(connection: Connection, **statements: str) -> dict[str, list[Any]]:
    """Rows of the running workspace, over its SQL endpoint with a user's token."""
    with sql.connect(
        connection.sql_host,
        connection.http_path,
        access_token=connection.tokens[OWNER],
        _connection_uri=f"{connection.sql_host}{connection.http_path}",
        enable_telemetry=False,
        _retry_stop_after_attempts_count=1,
    ) as session:
        return {name: session.cursor().execute(text).fetchall() for name, text in statements.items()}


def test_up_says_where_everything_is(ran: Ran, up: Up) -> None:
    assert up.said.splitlines() == [
        f"workspace  {up.connection.host}",
        f"SQL        {up.connection.sql_host}/sql/1.0/warehouses/local",
        "catalogs   ops, acme_qa, acme",
        "users      ci, dbx-cd-release, dbx-cd-production, owner@example.org, dev@example.org "
        f"(tokens: {ran.state}/connection.json)",
        "job        dbx_cd. Stop with Ctrl-C.",
        f"stopping the workspace on {ran.state}",
    ]


def test_a_later_start_finds_tables_views_and_releases(up: Up) -> None:
    assert {name: len(rows) > 0 for name, rows in up.rows.items()} == {"table": True, "view": True, "deployed": True}


def test_up_has_the_project_s_one_job_and_connects_it_with_this_start(up: Up) -> None:
    assert up.jobs == ["dbx_cd"]
    assert up.connection.sql_host in up.profile


def test_the_tokens_of_a_running_workspace_are_its_owner_s_to_read(up: Up) -> None:
    assert up.mode == 0o600


def test_ctrl_c_ends_it_well_and_takes_the_tokens_away(up: Up) -> None:
    assert (up.code, up.left) == (0, False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--project", "{folder}"], "no dbt_project.yml"),
        (["run", "--project", "{project}", "--commit", "nonsense"], "no commit 'nonsense'"),
        (["approve", "some-release", "--seal", "x", "--project", "{project}"], "no embedded workspace runs"),
    ],
    ids=["no project", "no commit", "nothing runs"],
)
def test_a_wrong_call_is_one_sentence(ran: Ran, tmp_path: Path, arguments: list[str], message: str) -> None:
    project = ran.state.parent / "repository" / "warehouse" / "dbt"
    filled = [argument.format(folder=tmp_path, project=project) for argument in arguments]
    refused = _local(*filled, state=tmp_path / "state")
    assert refused.code == 1
    assert message in refused.output
    assert "Traceback" not in refused.output
