"""`python -m dbx_cd.local` on a dbt project that is not the example: other names, a subfolder, no `dbx_cd.yml`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from shop_repository import Repository

TINY = Path(__file__).resolve().parents[2] / "fixtures" / "tiny_project"
READ_AGAIN = """
import json, sys
from dbx_cd import ReleaseLog
from dbx_cd.local.spark_session import start_spark

spark = start_spark(sys.argv[1], catalogs=["acme", "acme_qa"])
rows = spark.sql("SELECT site, hours FROM acme.analytics_reporting.site_hours ORDER BY site").collect()
view = spark.sql("SELECT count(*) FROM acme.analytics_reporting.busy_sites").collect()
phases = [state.phase for _, state in ReleaseLog(spark, "ops.dbt_meta.release_log").history()]
print(json.dumps({"rows": [list(map(str, row)) for row in rows], "view": view[0][0], "phases": phases}))
spark.stop()
"""


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


def test_a_later_start_finds_tables_views_and_releases(ran: Ran) -> None:
    done = subprocess.run(
        [sys.executable, "-c", READ_AGAIN, str(ran.state)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["phases"] == ["deployed"]
    assert found["rows"] != []
    assert found["view"] > 0


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
