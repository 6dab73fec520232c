"""Which catalogs a project needs, and which file is for which source: by dbt's own parse of the commit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from git_repositories import commit, fill, git

from dbx_cd import ConfigError, run_dbt
from dbx_cd.config import WARM_DBT
from dbx_cd.dbt.carried_parse import PARSE_FILE
from dbx_cd.local.parsed_project import ParsedProject, parse_commit
from dbx_cd.local.project import LocalProject
from dbx_cd.local.sources.declared import declared_columns
from dbx_cd.local.sources.tables import SourceTable, source_tables, with_files
from dbx_cd.local.start import places_of
from dbx_cd.warm.parent import WarmParent
from trade_project import SOURCES, trade

TARGETS = {"stg": None, "prod": None}


def parsed(repository: Path, sha: str, work: Path) -> ParsedProject:
    profiles = work / "profiles" / "profiles.yml"
    fill(profiles.parent, {"profiles.yml": (repository / "profiles.yml").read_text()})
    return parse_commit(repository, sha, subfolder=".", profiles=profiles, targets=TARGETS, work=work)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trade")


@pytest.fixture(scope="module")
def project(folder: Path, warm_parent: WarmParent) -> Iterator[ParsedProject]:
    """The trade project as its first commit has it; what is checked out by then names other catalogs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WARM_DBT, str(warm_parent.address))
        sha = trade(folder / "repository", functions=True)
        other = (folder / "repository" / "dbt_project.yml").read_text().replace("Landing", "elsewhere")
        commit(fill(folder / "repository", {"dbt_project.yml": other}))
        yield parsed(folder / "repository", sha, folder / "work")


def test_catalogs_are_those_of_the_commit_in_all_targets_whoever_names_them(project: ParsedProject) -> None:
    assert project.problems == ()
    by_profile, by_variable = {"trade_qa", "trade"}, {"Landing"}
    by_macro = {f"{name}_{place}" for name in ("marts", "reference", "archive") for place in ("qa", "live")}
    by_source = {"partners_qa", "partners", "clicks"}
    assert set(project.catalogs) == by_profile | by_variable | by_macro | by_source


def test_rights_are_granted_on_the_catalogs_that_macros_and_configs_name(project: ParsedProject, folder: Path) -> None:
    places = places_of(LocalProject.find(folder / "repository"), project)
    by_macro = {place: {f"{name}_{place}" for name in ("marts", "reference", "archive")} for place in ("qa", "live")}
    assert set(places.targets) == {"trade_qa", "trade"} | by_macro["qa"] | by_macro["live"]
    assert set(places.gated) == {"trade"} | by_macro["live"]
    assert ("clicks", "raw") in places.sources


def test_whom_the_project_grants_something_is_found(project: ParsedProject) -> None:
    assert project.principals == ("trade-readers", "dev@example.org")


def test_a_task_s_own_dbt_finds_the_parse(project: ParsedProject, folder: Path, warm_dbt: None) -> None:
    for target in TARGETS:
        ran = run_dbt(
            "ls",
            target=target,
            project_dir=folder / "work" / "project",
            profiles_dir=folder / "work" / "profiles",
            work_dir=folder / "task" / target,
        )
        assert (folder / "task" / target / "target" / PARSE_FILE).is_file()
        log = (ran.files_dir / "dbt.log").read_text()
        assert "Nothing changed, skipping partial parsing" in log


def test_a_commit_that_dbt_cannot_parse_is_told_and_stops_nothing(tmp_path: Path, warm_dbt: None) -> None:
    trade(tmp_path / "repository")
    commit(fill(tmp_path / "repository", {"models/broken.sql": "select {{ ref('nobody') }}"}))
    sha = git(tmp_path / "repository", "rev-parse", "HEAD")
    found = parsed(tmp_path / "repository", sha, tmp_path / "work")
    assert found.catalogs == ()
    assert [problem[:5] for problem in found.problems] == ["stg: ", "prod:"]
    assert "nobody" in found.problems[0]


# ---------------------------------------------------------------- files


def files_of(project: ParsedProject, folder: Path, *names: str) -> dict[str, str]:
    """The names of the files that tables get, by their relations."""
    fill(folder, dict.fromkeys(names, ""))
    tables = with_files(source_tables(project.manifests), folder, project.manifests)
    return {str(table.relation): table.file.name for table in tables if table.file is not None}


def test_a_file_by_the_source_s_name_is_for_its_table_in_every_target(project: ParsedProject, tmp_path: Path) -> None:
    assert files_of(project, tmp_path, *SOURCES, "README.md", ".gitignore", "_sample.json") == {
        "Landing.erp.orders": "erp.orders.csv",
        "Landing.erp.returns": "landing.erp.returns.json",
        "partners_qa.people.customer_v2": "crm.customers.json",
        "partners.people.customer_v2": "crm.customers.json",
        "clicks.raw.visits": "web.visits.csv",
    }


def test_a_file_by_the_table_s_name_is_for_that_table_alone(project: ParsedProject, tmp_path: Path) -> None:
    found = files_of(project, tmp_path, "Partners_QA.people.customer_v2.PARQUET")
    assert found == {"partners_qa.people.customer_v2": "Partners_QA.people.customer_v2.PARQUET"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["erp.order.csv"], r"erp\.order\.csv is named like no source.*Next: name it by one of erp\.orders"),
        (["customers.csv"], r"customers\.csv is named like no source.*crm\.customers"),
        (["erp.orders.xlsx"], r"erp\.orders\.xlsx is no csv, parquet or json file"),
        (["erp.orders.csv", "erp.orders.json"], r"erp\.orders\.json and erp\.orders\.csv are both for Landing\.erp"),
        (["erp.orders.csv", "landing.erp.orders.csv"], r"are both for Landing\.erp\.orders"),
    ],
)
def test_a_name_that_is_no_source_s_is_refused(
    project: ParsedProject, tmp_path: Path, names: list[str], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        files_of(project, tmp_path, *names)


def test_a_folder_that_is_not_there_is_named(project: ParsedProject, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: No such file.*nowhere"):
        with_files(source_tables(project.manifests), tmp_path / "nowhere", project.manifests)


def test_the_columns_of_a_source_come_with_their_lines(project: ParsedProject) -> None:
    table = next(t for t in source_tables(project.manifests) if t.short == "erp.orders")
    text = (project.project_dir / "models" / "sources.yml").read_text().splitlines()
    for column in declared_columns(table.node, project.project_dir):
        name, line = column.where.rsplit(":", 1)
        assert name == "models/sources.yml"
        assert f"name: {column.name}," in text[int(line) - 1]
    assert [(c.name, c.data_type) for c in declared_columns(table.node, project.project_dir)][2:] == [
        ("amount", "decimal(12,2)"),
        ("placed_at", "timestamp"),
    ]


def test_a_table_that_the_project_builds_itself_is_known(project: ParsedProject) -> None:
    tables: list[SourceTable] = source_tables(project.manifests)
    assert {table.built_by for table in tables} == {None, "model.trade.orders"}
