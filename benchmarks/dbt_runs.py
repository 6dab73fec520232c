"""dbt through `run_dbt` and the SQL endpoint, against dbt on its own and against dbt-spark's session method.

To end in time: one bare build of the shop warms up both sides, since what has to be warm is the JVM they share, and two
rounds of each are counted, which move a ratio near 1 by a few hundredths; of the warm tables, three runs of each way.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from benchmarks.measure import Ratio, in_turn, say
from dbx_cd import run_dbt
from dbx_cd.local.workspace import EmbeddedWorkspace
from dbx_cd.sql_endpoint import with_connection

SHOP = Path(__file__).resolve().parents[1] / "examples" / "shop"
DBT = [sys.executable, "-c", "from dbt.cli.main import cli; cli()"]
TABLES = 10
BUILDS, RUNS = 2, 3


def measure() -> Iterator[Ratio]:
    """Measure both, on one embedded workspace."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        with EmbeddedWorkspace(work / "state", catalogs=["stg", "prod"]) as workspace:
            os.environ.update(workspace.endpoint.client_environment())
            yield from run_dbt_against_bare_dbt(workspace, work)
            say(f"{TABLES} tables through the SQL endpoint, {RUNS} runs and one to warm up")
            endpoint = warm_seconds_through_endpoint(workspace, work)
        say(f"{TABLES} tables in dbt-spark's session, {RUNS} runs and one to warm up")
        session = warm_seconds_in_session(work)
    yield Ratio(f"SQL endpoint / dbt-spark session, {TABLES} warm tables", endpoint, session, aim=1.25)


def run_dbt_against_bare_dbt(workspace: EmbeddedWorkspace, work: Path) -> list[Ratio]:
    """The example's staging build, both from a folder without a parsed project, as on a fresh cluster."""
    profiles = with_connection(SHOP, workspace.profile_connection, out_dir=work / "profiles").parent

    def ours() -> None:
        run_dbt("build", target="stg", select="tag:deploy", exclude="tag:heavy", with_parents="all",
                project_dir=SHOP, profiles_dir=profiles)  # fmt: skip

    def other() -> None:
        fresh = Path(tempfile.mkdtemp(dir=work))
        shutil.copytree(SHOP, fresh / "project", ignore=shutil.ignore_patterns("target", "logs"))
        _dbt(
            ["build", "--target", "stg", "--select", "+tag:deploy", "--exclude", "tag:heavy", "--indirect-selection",
             "buildable", "--project-dir", str(fresh / "project"), "--profiles-dir", str(profiles),
             "--target-path", str(fresh / "target"), "--log-path", str(fresh / "logs")]
        )  # fmt: skip

    name = "run_dbt / bare dbt build of the shop"
    say(f"{name}: one bare build to warm up")
    other()
    return in_turn(ours, [other], names=[name], aims=[1.05], rounds=BUILDS, warm=True)


def warm_seconds_through_endpoint(workspace: EmbeddedWorkspace, work: Path) -> tuple[float, ...]:
    """dbt's own elapsed time of a run of the tables, the first run left out."""
    project = _tables_project(work / "databricks", {"type": "databricks", "catalog": "stg", "schema": "bench"})
    profiles = with_connection(project, workspace.profile_connection, out_dir=project / "connected").parent
    arguments = ["run", "--project-dir", str(project), "--profiles-dir", str(profiles)]
    times = []
    for _ in range(1 + RUNS):
        _dbt(arguments, cwd=project)
        times.append(_elapsed(project))
    return tuple(times[1:])


def warm_seconds_in_session(work: Path) -> tuple[float, ...]:
    """The same with dbt-spark's session method, in a process that holds a Spark of the same settings."""
    project = _tables_project(work / "spark", {"type": "spark", "method": "session", "schema": "bench", "host": "NA"})
    code = (
        "import json, sys\n"
        "from pathlib import Path\n"
        "from dbt.cli.main import dbtRunner\n"
        "from dbx_cd.local.spark_session import start_spark\n"
        "project, state, runs = sys.argv[1:]\n"
        "spark = start_spark(state, catalogs=['stg'])\n"
        "times = []\n"
        "for _ in range(1 + int(runs)):\n"
        "    done = dbtRunner().invoke(['--quiet', 'run', '--project-dir', project, '--profiles-dir', project])\n"
        "    assert done.success, done.exception\n"
        "    times.append(json.loads(Path(project, 'target', 'run_results.json').read_text())['elapsed_time'])\n"
        "print(json.dumps(times[1:]))\n"
    )
    command = [sys.executable, "-c", code, str(project), str(work / "session"), str(RUNS)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"dbt-spark's session method failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def _tables_project(folder: Path, output: dict[str, str]) -> Path:
    """A project of `TABLES` tables that read one another in pairs."""
    (folder / "models").mkdir(parents=True)
    settings = {"name": "bench", "version": "1.0", "profile": "bench", "model-paths": ["models"],
                "models": {"bench": {"+materialized": "table", "+file_format": "delta"}}}  # fmt: skip
    (folder / "dbt_project.yml").write_text(yaml.safe_dump(settings))
    profile = {"bench": {"target": "t", "outputs": {"t": {**output, "threads": 4}}}}
    (folder / "profiles.yml").write_text(yaml.safe_dump(profile))
    for i in range(TABLES):
        rows = "range(0, 20000)" if i < 2 else f"{{{{ ref('t{i - 2}') }}}}"
        (folder / "models" / f"t{i}.sql").write_text(f"select id, id % 7 as k, id * {i + 1} as v from {rows}")
    return folder


def _dbt(arguments: list[str], *, cwd: Path | None = None) -> None:
    done = subprocess.run([*DBT, *arguments], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"dbt failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _elapsed(project: Path) -> float:
    return float(json.loads((project / "target" / "run_results.json").read_text())["elapsed_time"])
