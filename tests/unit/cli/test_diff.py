"""`python -m dbx_cd diff`, on artifacts that dbt has written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dbx_cd import ArtifactDiff, ArtifactStore
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.cli.main import main
from recorded_dbt import RECORDED

OLD, NEW = "a" * 40, "b" * 40


@pytest.fixture
def published(tmp_path: Path) -> dict[str, ArtifactVersion]:
    """Production as before the edit, and staging as after it; staging was as production once."""
    store = ArtifactStore(tmp_path / "artifacts")
    names = {"stg before": "compared", "prod": "compared_in_prod", "stg": "compared_after"}
    versions = {}
    for name, recording in names.items():
        results = json.loads((RECORDED / "build" / "run_results.json").read_text())
        folder = tmp_path / recording
        folder.mkdir()
        for file in ("manifest.json", "catalog.json"):
            (folder / file).write_bytes((RECORDED / recording / file).read_bytes())
        (folder / "run_results.json").write_text(json.dumps(results))
        target, release = name.split()[0], f"r-{recording}"
        commit = NEW if name == "stg" else OLD
        versions[name] = store.publish(target, folder, commit=commit, release_id=release, latest=True)
    return versions


@pytest.fixture
def root(published: dict[str, ArtifactVersion]) -> str:
    return str(published["prod"].path.parents[1])


def test_two_targets_are_compared_as_latest_serves_them(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "prod", "stg", "--root", root]) == 0
    first, second, *lines = capsys.readouterr().out.splitlines()
    assert first.startswith("from prod/")
    assert second == "4 added, 4 removed, 7 modified"
    assert "~ model.compared.customers" in lines
    assert "    ~ column amount: decimal(10,2) → decimal(12,2)" in lines, "from the catalogs"


@pytest.mark.parametrize("older", ["stg/{timestamp}", "stg/{timestamp}/", "stg@{release_id}"])
def test_version_and_release_are_named_after_their_target(
    root: str, published: dict[str, ArtifactVersion], capsys: pytest.CaptureFixture[str], older: str
) -> None:
    before = published["stg before"]
    name = older.format(timestamp=before.timestamp, release_id=before.release_id)
    assert main(["diff", name, "stg/latest", "--root", root, "--json"]) == 0
    found = ArtifactDiff.from_dict(json.loads(capsys.readouterr().out))
    after = published["stg"]
    assert (found.old, found.new) == (f"stg/{before.timestamp}", f"stg/{after.timestamp}")
    assert found == ArtifactStore(root).diff(before, after)


def test_exit_code_is_the_same_where_nothing_changed(
    root: str, published: dict[str, ArtifactVersion], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diff", f"stg/{published['stg before'].timestamp}", "prod", "--root", root]) == 0
    assert "\n0 added, 0 removed, 0 modified\n" in capsys.readouterr().out


def test_page_is_written_and_one_line_printed(root: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "diff.html"
    assert main(["diff", "prod", "stg", "--root", root, "--html", str(page)]) == 0
    assert capsys.readouterr().out == "4 added, 4 removed, 7 modified\n"
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert "+ column segment string" in page.read_text(encoding="utf-8")


def test_root_is_that_of_the_project_unless_it_is_given(root: str, tmp_path: Path, capsys) -> None:
    (tmp_path / "dbx_cd.yml").write_text(f"artifacts_root: {root}\n")
    assert main(["diff", "prod", "stg", "--project", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("from prod/")


def test_root_that_is_not_there_says_how_to_get_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "prod", "stg", "--root", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err.startswith(
        f"ArtifactError: no such folder of artifacts ({tmp_path}/none). Next: run"
    )


@pytest.mark.parametrize("name", ["qa", "stg/20260101T000000.000000Z", "stg@nothing", "stg/", "../stg", "", "a/b/c"])
def test_what_is_not_there_is_one_line(root: str, capsys: pytest.CaptureFixture[str], name: str) -> None:
    code = main(["diff", "prod", name, "--root", root])
    printed = capsys.readouterr()
    if name == "stg/":
        assert (code, printed.err) == (0, "")
    else:
        assert (code, printed.out, len(printed.err.splitlines())) == (1, "", 1)


def test_page_that_cannot_be_written_is_one_line(root: str, tmp_path: Path, capsys) -> None:
    assert main(["diff", "prod", "stg", "--root", root, "--html", str(tmp_path / "no" / "page.html")]) == 1
    assert "the page cannot be written" in capsys.readouterr().err
