from __future__ import annotations

from pathlib import Path

import yaml

from dbx_cd.cli.main import main

REPOSITORY = Path(__file__).parents[3]


def test_init_copies_what_the_bundle_deploys_and_installs(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path)]) == 0
    notebooks = {f"notebooks/{path.name}" for path in (REPOSITORY / "notebooks").glob("*.py")}
    copied = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert copied == notebooks | {
        "databricks.yml",
        "resources/dbx_cd.job.yml",
        "requirements/dbt.txt",
        ".github/workflows/cd.yml",
    }


def test_init_copies_the_requirements_that_the_bundle_s_variable_speaks_of(tmp_path: Path) -> None:
    main(["init", str(tmp_path)])
    variable = yaml.safe_load((tmp_path / "databricks.yml").read_text())["variables"]["dbt_requirements"]
    assert "requirements/dbt.txt" in variable["description"]
    assert Path(variable["default"]).name == "dbt.txt"
