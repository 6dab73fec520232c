"""A project whose bundle has two jobs: staging's identity builds staging, and cannot write production."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from shop_repository import Repository

from dbx_cd.errors import SetupError
from dbx_cd.local.workspace import PRODUCTION_BOT, RELEASE_BOT
from dbx_cd.setup.init import Asked, init, plan_init

pytestmark = pytest.mark.deep

TINY = Path(__file__).resolve().parents[2] / "fixtures" / "tiny_project"
# The name of production is put together when it runs, so that no reading of the code finds it.
MACRO = """
{% macro write_production() %}
  {% if execute and target.name == 'stg' %}
    {% do run_query('create or replace table ' ~ ['ac', 'me'] | join ~ '.analytics.site_hours as select 1 as mine') %}
  {% endif %}
{% endmacro %}
"""


@dataclass
class Ran:
    """A finished command."""

    code: int
    output: str


@dataclass
class Seen:
    """What was seen of two releases."""

    first: Ran
    second: Ran
    state: Path


def run(project: Path, state: Path) -> Ran:
    command = [sys.executable, "-m", "dbx_cd.local", "run", "--project", str(project), "--state-dir", str(state),
               "--approve-as", "owner@example.org"]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return Ran(done.returncode, done.stdout)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder = tmp_path_factory.mktemp("two")
    repository = Repository(folder / "repository", source=TINY)
    project = repository.folder / "warehouse" / "dbt"

    def no_dbt(*_: object) -> None:
        raise SetupError("no suite is drafted here")

    init(plan_init(Asked(repository.folder, identities=2), parse=no_dbt), say=print)  # type: ignore[arg-type]
    (project / "requirements-dbt.txt").unlink()  # the interpreter's own dbt, without a package index
    repository.commit("two jobs")
    first = run(project, folder / "state")
    (project / "macros").mkdir(exist_ok=True)
    (project / "macros" / "write_production.sql").write_text(MACRO)
    settings = project / "dbt_project.yml"
    settings.write_text(settings.read_text() + '\non-run-end: "{{ write_production() }}"\n')
    repository.commit("a macro that writes production")
    return Seen(first, run(project, folder / "state"), folder / "state")


def test_the_first_job_s_last_task_takes_the_release_to_production(seen: Seen) -> None:
    assert seen.first.code == 0, seen.first.output
    for task in ("stg_build", "stg_smoke", "production"):
        assert f"{task:<14} SUCCESS" in seen.first.output
    for task in ("approval_gate", "prod_build", "prod_smoke", "docs_refresh"):
        assert f"\n{task:<14} |" in seen.first.output


def test_the_request_says_as_whom_each_half_is_built(seen: Seen) -> None:
    (page,) = (seen.state / "Volumes" / "ops" / "dbt_meta" / "artifacts" / "releases").glob("*/approval-prod.html")
    assert f"stg by {RELEASE_BOT}, prod by {PRODUCTION_BOT}" in page.read_text()


def test_a_hook_in_staging_s_build_that_writes_production_is_refused(seen: Seen) -> None:
    assert seen.second.code != 0
    assert "stg_build      FAILED" in seen.second.output
    assert "User does not have CREATE TABLE on Schema 'acme.analytics'" in seen.second.output, seen.second.output[
        -6000:
    ]
    assert "\nprod_build" not in seen.second.output
