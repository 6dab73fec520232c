"""`run_dbt` with dbt itself, without a connection; `test_process` shows that a fork is like a process of its own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from dbt_projects import SHOP

from dbx_cd import DbtFailed, DbtRun, run_dbt
from dbx_cd.config import WARM_DBT
from dbx_cd.warm.parent import WarmParent


@pytest.fixture(scope="module")
def parsed(tmp_path_factory: pytest.TempPathFactory, warm_parent: WarmParent) -> tuple[DbtRun, Path]:
    work = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WARM_DBT, str(warm_parent.address))
        return run_dbt("parse", target="stg", project_dir=SHOP, work_dir=work), work


def test_parsing_the_example_leaves_its_manifest(parsed: tuple[DbtRun, Path]) -> None:
    done, _ = parsed
    assert (done.ok, done.nodes) == (True, ())
    assert "model.shop.orders" in json.loads((done.files_dir / "manifest.json").read_bytes())["nodes"]


def test_listing_the_example_names_what_ships(parsed: tuple[DbtRun, Path], warm_dbt: None) -> None:
    _, work = parsed
    listed = run_dbt("ls", target="stg", select="tag:deploy", exclude="tag:heavy", project_dir=SHOP, work_dir=work)
    models = {name for name in listed.listed if name.startswith("model.")}
    assert {"model.shop.orders", "model.shop.customers"} <= models
    assert not {name for name in models if ".stg_" in name}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A project that dbt can parse, small enough to be quick."""
    folder = tmp_path / "small"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\nmodel-paths: [models]\n")
    shutil.copyfile(SHOP / "profiles.yml", folder / "profiles.yml")
    (folder / "models" / "orders.sql").write_text("select * from {{ ref('oders') }}")
    return folder


def test_compile_error_names_the_model_and_the_reason(shop: Path, tmp_path: Path, warm_dbt: None) -> None:
    with pytest.raises(DbtFailed, match=r"(?s)orders.*depends on a node named 'oders' which was not found"):
        run_dbt("parse", target="stg", project_dir=shop, work_dir=tmp_path / "work")


def test_missing_target_is_named_with_those_there_are(shop: Path, tmp_path: Path, warm_dbt: None) -> None:
    with pytest.raises(DbtFailed, match=r"(?s)does not have a target named 'production'.*- stg.*- prod"):
        run_dbt("parse", target="production", project_dir=shop, work_dir=tmp_path / "work")


def test_the_log_is_one_file_however_long_it_gets(
    shop: Path, tmp_path: Path, warm_dbt: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBT_LOG_FILE_MAX_BYTES", "1000")
    done = run_dbt("parse", target="stg", project_dir=shop, work_dir=tmp_path / "work", check=False)
    log = (done.files_dir / "dbt.log").read_text()
    assert len(log) > 1000
    assert "MainReportVersion" in log, "the first thing that dbt says"


def test_a_project_cannot_silence_what_is_said_of_a_failure(shop: Path, tmp_path: Path, warm_dbt: None) -> None:
    flags = "{log_level: none, log_level_file: none, log_format: text, quiet: true, print: false, write_json: false}"
    with (shop / "dbt_project.yml").open("a") as settings:
        settings.write(f"flags: {flags}\n")
    done = run_dbt("ls", target="stg", project_dir=shop, work_dir=tmp_path / "work", check=False)
    assert "depends on a node named 'oders' which was not found" in "\n".join(done.errors)
    assert "MainEncounteredError" in (done.files_dir / "dbt.log").read_text()
    (shop / "models" / "orders.sql").write_text("select 1 as id")
    listed = run_dbt("ls", target="stg", project_dir=shop, work_dir=tmp_path / "again")
    assert listed.listed == ("model.shop.orders",)
    assert (listed.files_dir / "manifest.json").is_file()
