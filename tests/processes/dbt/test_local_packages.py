"""Packages that lie beside the project: `run_dbt` by itself, as dbt's own `deps` and parse see the copy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbx_cd import DbtFailed, run_dbt
from dbx_cd.artifacts.archive import pack_files, unpack_files
from dbx_cd.artifacts.installed import with_packages
from dbx_cd.artifacts.project_files import project_files
from dbx_cd.dbt.carried_parse import cache_folder
from dbx_cd.dbt.invocation import install_packages
from dbx_cd.dbt.project import LocalProject
from dbx_cd.dbt.runner import dbt_process

PROFILES = {
    "shop": {
        "outputs": {
            "stg": {
                "type": "databricks", "catalog": "stg", "schema": "shop", "host": "127.0.0.1", "http_path": "/",
                "token": "{{ env_var('NO_TOKEN', 'none') }}",
            }
        }
    }
}  # fmt: skip


def write(folder: Path, name: str, *local: str, answer: str | None = None) -> Path:
    """A project, or a package, that names these packages and has a macro or a model."""
    (folder / "macros").mkdir(parents=True, exist_ok=True)
    settings = {"name": name, "version": "1.0", "config-version": 2, "profile": "shop"}
    (folder / "dbt_project.yml").write_text(yaml.safe_dump(settings))
    if local:
        (folder / "packages.yml").write_text(yaml.safe_dump({"packages": [{"local": path} for path in local]}))
    if answer is not None:
        (folder / "macros" / f"{name}.sql").write_text(f"{{% macro {name}_answer() %}}{answer}{{% endmacro %}}")
    return folder


def project(folder: Path, *local: str, calls: str) -> Path:
    write(folder, "shop", *local)
    (folder / "profiles.yml").write_text(yaml.safe_dump(PROFILES))
    (folder / "models").mkdir()
    (folder / "models" / "orders.sql").write_text(f"{{{{ config(meta={{'answer': {calls}}}) }}}}\nselect 1 as id\n")
    return folder


def answer(files: Path) -> str:
    nodes: dict[str, Any] = json.loads((files / "manifest.json").read_bytes())["nodes"]
    return str(nodes["model.shop.orders"]["config"]["meta"]["answer"])


def beside(root: Path) -> Path:
    write(root / "shared", "shared", answer="41")
    return project(root / "shop", "../shared", calls="shared.shared_answer()")


def far_away(root: Path) -> Path:
    write(root / "libraries" / "shared", "shared", answer="41")
    return project(root / "teams" / "sales" / "shop", "../../../libraries/shared", calls="shared.shared_answer()")


def around(root: Path) -> Path:
    """As dbt-utils and other packages keep their tests."""
    write(root, "shared", answer="41")
    return project(root / "integration_tests", "../", calls="shared.shared_answer()")


def of_a_package(root: Path) -> Path:
    """dbt counts the path in a package from the project as well."""
    write(root / "more", "more", answer="41")
    write(root / "libraries" / "shared", "shared", "../more", answer="{{ more.more_answer() }}")
    return project(root / "shop", "../libraries/shared", calls="shared.shared_answer()")


def by_a_variable(root: Path) -> Path:
    write(root / "shared", "shared", answer="41")
    return project(root / "shop", "{{ env_var('SHARED', '../shared') }}", calls="shared.shared_answer()")


def inside(root: Path) -> Path:
    write(root / "shop" / "own" / "shared", "shared", answer="41")
    return project(root / "shop", "own/shared", calls="shared.shared_answer()")


def absolute(root: Path) -> Path:
    write(root / "shared", "shared", answer="41")
    return project(root / "shop", str(root / "shared"), calls="shared.shared_answer()")


LAYOUTS = {f.__name__: f for f in (beside, far_away, around, of_a_package, by_a_variable, inside, absolute)}
DEEP = ("far_away", "inside", "absolute")


@pytest.mark.parametrize("layout", [pytest.param(n, marks=[pytest.mark.deep] if n in DEEP else []) for n in LAYOUTS])
def test_a_local_package_is_found_wherever_dbt_itself_finds_it(layout: str, tmp_path: Path, warm_dbt: None) -> None:
    folder = LAYOUTS[layout](tmp_path / "repository")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    done = run_dbt("parse", target="stg", project_dir=folder, work_dir=tmp_path / "work")
    assert answer(done.files_dir) == "41"
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_local_package_that_is_not_there_is_named_as_the_project_itself_has_it(
    tmp_path: Path, warm_dbt: None
) -> None:
    folder = project(tmp_path / "repository" / "shop", "../nowhere", calls="1")
    done = run_dbt("parse", target="stg", project_dir=folder, check=False)
    place = tmp_path / "repository" / "nowhere"
    assert done.errors == (
        f"`dbt deps` failed: `local: ../nowhere`, which {folder} names, is not there: {place} has no dbt_project.yml",
    )


def test_a_release_names_a_local_package_that_is_not_there_as_the_project_itself_has_it(
    tmp_path: Path, warm_dbt: None
) -> None:
    folder = project(tmp_path / "repository" / "shop", "../nowhere", calls="1")
    with pytest.raises(DbtFailed) as caught:
        install_packages(
            LocalProject.at(shutil.copytree(folder, tmp_path / "copy"), work=tmp_path / "work", profiles_dir=None),
            target="stg",
            source=folder,
        )
    place = tmp_path / "repository" / "nowhere"
    assert f"`local: ../nowhere`, which {folder} names, is not there: {place} has no" in str(caught.value)
    assert str(tmp_path / "copy") not in str(caught.value)


def test_what_a_macro_prints_while_dbt_parses_is_no_line_of_a_listing(tmp_path: Path, warm_dbt: None) -> None:
    folder = project(tmp_path / "shop", calls="1")
    says = '{% macro generate_schema_name(c, n) %}{{ print(\'{"unique_id": "model.shop.other"}\') }}s{% endmacro %}'
    (folder / "macros").mkdir(exist_ok=True)
    (folder / "macros" / "says.sql").write_text(says)
    done = run_dbt("ls", target="stg", project_dir=folder, work_dir=tmp_path / "work")
    assert done.listed == ("model.shop.orders",)


def deps_in_the_checkout(folder: Path) -> None:
    """What a developer runs."""
    done = dbt_process(cwd=folder, title="dbt deps")(["deps", "--project-dir", str(folder), "--log-format", "json"])
    assert done.success, done.errors


def test_links_of_a_developer_s_own_deps_are_no_endless_copy(tmp_path: Path, warm_dbt: None) -> None:
    folder = around(tmp_path / "repository")
    deps_in_the_checkout(folder)
    assert (folder / "dbt_packages" / "shared").is_symlink()
    done = run_dbt("parse", target="stg", project_dir=folder, work_dir=tmp_path / "work")
    assert answer(done.files_dir) == "41"


def test_an_archive_of_a_project_in_its_package_needs_nothing_else(tmp_path: Path, warm_dbt: None) -> None:
    folder = around(tmp_path / "repository")
    files = with_packages(project_files(folder), layout=tmp_path / "layout", install=deps_in_the_checkout)
    archived = pack_files(files, tmp_path / "project.tar.gz")
    for gone in ("repository", "layout"):
        shutil.rmtree(tmp_path / gone)
    project = unpack_files(archived, tmp_path / "unpacked")
    done = run_dbt("parse", target="stg", project_dir=project, work_dir=tmp_path / "work")
    assert answer(done.files_dir) == "41"
    assert "dbt deps" not in (tmp_path / "work" / "logs" / "dbt.log").read_text()


def test_a_package_that_was_edited_counts_in_the_next_invocation(tmp_path: Path, warm_dbt: None) -> None:
    """The parse is not kept: a key over the copy would not cover what a link in it leads to."""
    folder, kept = beside(tmp_path / "repository"), cache_folder()
    assert kept is not None
    before = set(kept.iterdir())
    for expected in ("41", "42"):
        write(tmp_path / "repository" / "shared", "shared", answer=expected)
        done = run_dbt("parse", target="stg", project_dir=folder, work_dir=tmp_path / f"work{expected}")
        assert answer(done.files_dir) == expected
    assert set(kept.iterdir()) == before
