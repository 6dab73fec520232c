"""Which artifacts are kept: those of releases that are live stay, however old."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dbx_cd import ArtifactStore, Release, plan_restore, prune_artifacts, restore
from dbx_cd.deploy.docs import DocsSite
from memory.releases import Releases, smoke_of


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path, "keep: {versions: 1, days: 1}\n")


def left(releases: Releases) -> dict[str, set[str | None]]:
    """The releases of each target whose artifacts a prune leaves in a year from now."""
    in_a_year = ArtifactStore(releases.root, clock=lambda: datetime.now(UTC) + timedelta(days=365))
    prune_artifacts(replace(releases.cd(), store=in_a_year), dry_run=False)
    return {name: {v.release_id for v in in_a_year.list(name)} for name in ("stg", "prod")}


def deployed(releases: Releases, run: str) -> Release:
    releases.model("orders", f"select {run} as id")
    return releases.deployed(run, commit=run * 40)


def superseded(releases: Releases, run: str) -> Release:
    releases.model("orders", f"select {run} as id")
    return releases.staged(run, commit=run * 40)


def test_what_production_holds_stays_and_older_releases_go(releases: Releases) -> None:
    deployed(releases, "1")
    superseded(releases, "2")
    second = deployed(releases, "3")
    newest = superseded(releases, "4")
    assert left(releases) == {"stg": {second.id, newest.id}, "prod": {second.id}}


def test_a_release_whose_production_smoke_test_failed_stays_and_so_does_the_last_good_one(releases: Releases) -> None:
    deployed(releases, "1")
    good = deployed(releases, "2")
    bad = deployed(releases, "3")
    releases.cd().log.append(bad, smoke_of(bad, ok=False, target="prod"))
    superseded(releases, "4")
    newest = superseded(releases, "5")
    assert left(releases) == {"stg": {good.id, bad.id, newest.id}, "prod": {good.id, bad.id}}


def test_a_release_that_was_rolled_back_is_not_kept_for_it(releases: Releases) -> None:
    good = deployed(releases, "1")
    bad = deployed(releases, "2")
    plan = plan_restore(releases.cd(), bad)
    restore(releases.cd(), plan, seal=plan.seal)
    newest = superseded(releases, "3")
    assert left(releases)["stg"] == {good.id, newest.id}


def test_a_dry_run_removes_nothing(releases: Releases) -> None:
    first, second = superseded(releases, "1"), superseded(releases, "2")
    in_a_year = ArtifactStore(releases.root, clock=lambda: datetime.now(UTC) + timedelta(days=365))
    result = prune_artifacts(replace(releases.cd(), store=in_a_year))
    assert (len(result["stg"].removed), len(result["stg"].kept)) == (1, 1)
    assert {v.release_id for v in in_a_year.list("stg")} == {first.id, second.id}


def test_docs_of_a_release_that_is_in_production_stay_however_many_are_newer(releases: Releases) -> None:
    """Those of an older release go; a site that is not of any release goes by its age."""
    cd, sites = releases.cd(), releases.root / "prod" / "docs"
    for run in ("1", "2"):
        release = deployed(releases, run)
        timestamp = f"2026010{run}T000000.000000Z"
        (sites / timestamp).mkdir(parents=True)
        cd.log.append(release, DocsSite(sites / timestamp, "prod", timestamp, release.id, release.commit, {}))
    for day in ("03", "04"):
        (sites / f"202601{day}T000000.000000Z").mkdir()
    superseded(releases, "3")
    left(releases)
    assert sorted(p.name[:8] for p in sites.iterdir()) == ["20260102", "20260104"]
