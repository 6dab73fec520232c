"""What `publish_docs` leaves for people, and at fixed paths for tools that collect lineage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dbx_cd import ArtifactStore, DbtOutcome, DocsSite, plan_restore, publish_docs, restore, volume
from memory.dbt import MemoryDbt
from memory.releases import Releases


class SiteDbt(MemoryDbt):
    """dbt in memory that also leaves a docs site: dbt's `docs generate` writes the manifest anew beside it."""

    def __call__(self, args: list[str]) -> DbtOutcome:
        outcome = super().__call__(args)
        if args[0] == "docs":
            folder = Path(args[args.index("--target-path") + 1])
            (folder / "index.html").write_text("site")
            (folder / "catalog.json").write_text(json.dumps({"nodes": sorted(self.models), "sources": {}}))
        return outcome


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    made = Releases(tmp_path)
    made.dbt = SiteDbt(made.tables)
    return made


def lineage(releases: Releases) -> dict[str, Any]:
    folder = releases.root / "prod" / "lineage"
    return {path.name: json.loads(path.read_text()) for path in folder.iterdir()} if folder.exists() else {}


def test_lineage_is_at_the_same_path_after_every_release(releases: Releases) -> None:
    for run_id, names in (("1", ["orders"]), ("2", ["late", "orders"])):
        for name in names:
            releases.model(name)
        release = releases.deployed(run_id)
        publish_docs(releases.cd(), release, target="prod")
        found = lineage(releases)
        assert found.keys() == {"manifest.json", "catalog.json", "run_results.json"}
        assert [node["name"] for node in found["manifest.json"]["nodes"].values()] == names
        assert found["catalog.json"]["nodes"] == names


def test_run_results_for_lineage_are_those_of_the_build_and_not_of_dbt_docs(releases: Releases) -> None:
    publish_docs(releases.cd(), releases.deployed(), target="prod")
    assert lineage(releases)["run_results.json"]["args"]["which"] == "build"


def test_manifest_for_lineage_is_written_last(releases: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    copy = volume.copy

    def noted(source: Path, destination: Path) -> tuple[str, int]:
        if destination.parent.name == "lineage":
            assert (releases.root / "prod" / "docs.json").is_file(), "the site is complete before"
            written.append(destination.name)
        return copy(source, destination)

    release = releases.deployed()
    monkeypatch.setattr(volume, "copy", noted)
    publish_docs(releases.cd(), release, target="prod")
    assert written == ["catalog.json", "run_results.json", "manifest.json"]


def test_docs_of_a_build_that_is_not_in_place_leave_the_files_for_lineage(releases: Releases) -> None:
    first = releases.deployed()
    releases.model("late")
    second = releases.deployed("2")
    publish_docs(releases.cd(), first, target="prod")
    assert lineage(releases) == {}
    publish_docs(releases.cd(), second, target="prod")
    publish_docs(releases.cd(), first, target="prod")
    assert lineage(releases)["catalog.json"]["nodes"] == ["late", "orders"]


def test_folder_for_lineage_is_no_version_and_is_not_pruned(releases: Releases) -> None:
    publish_docs(releases.cd(), releases.deployed(), target="prod")
    store = ArtifactStore(releases.root)
    assert len(store.list("prod")) == 1
    store.prune("prod", keep=1, dry_run=False)
    assert lineage(releases).keys() == {"manifest.json", "catalog.json", "run_results.json"}


def test_docs_of_a_release_that_was_rolled_back_leave_the_files_for_lineage(releases: Releases) -> None:
    """Where nothing is in place `latest` names nothing, and the site is for people all the same."""
    release = releases.deployed()
    plan = plan_restore(releases.cd(), release, new_tables="drop")
    restore(releases.cd(), plan, seal=plan.seal)
    site = publish_docs(releases.cd(), release, target="prod")
    assert releases.cd().log.last(release, DocsSite) == site
    assert lineage(releases) == {}
