"""A release that waits for its plan, without Spark: artifacts of real parses, a log and a catalog in memory."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dbx_cd.artifacts import archive
from dbx_cd.artifacts.built_inputs import BuiltInputs
from dbx_cd.artifacts.store import ArtifactStore
from dbx_cd.config import CdConfig
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.selection import Selection
from dbx_cd.delta.history import Commit, History
from dbx_cd.delta.tables import CatalogEntry, CatalogSettings, Column, Function
from dbx_cd.plan.in_production import InProduction
from dbx_cd.plan.must_build import Standing
from dbx_cd.plan.unchanged import Unchanged
from dbx_cd.policies import Policies
from dbx_cd.relations import RelationName
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Built, Deployed, Deploying, Release
from dbx_cd.release.reading import LogReading
from dbx_cd.release.state import Event

DBT = [sys.executable, "-c", "from dbt.cli.main import cli; cli()"]
BUILDS = 5
"""How many builds of production there are."""
_NOW = datetime(2026, 1, 1, tzinfo=UTC)


def dbt_parse(project: Path, *, target: str, into: Path) -> Path:
    """Parse a project by dbt alone, as for the first time; returns the folder with the manifest."""
    words = ["parse", "--target", target, "--project-dir", str(project), "--profiles-dir", str(project)]
    places = ["--target-path", str(into), "--log-path", str(into / "logs")]
    done = subprocess.run([*DBT, "--quiet", *words, *places], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"dbt failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return into


@dataclass(frozen=True)
class Staged:
    """A release that staging has built, and a production that an earlier one was deployed to."""

    cd: Cd
    release: Release
    selection: Selection

    @classmethod
    def between(cls, before: Path, after: Path, *, folder: Path, tag: str = "deploy") -> Staged:
        """Production has a project as it was, and the release is of the project as it is.

        Args:
            before, after: the projects.
            folder: where artifacts go.
            tag: what is built has this tag.
        """
        store, selection = ArtifactStore(folder / "artifacts"), Selection(select=f"tag:{tag}")
        log, tables = _Log(), Catalog()
        builds = [log.open(n) for n in range(BUILDS)]
        old = _built(dbt_parse(before, target="prod", into=folder / "before"), before)
        new = _built(dbt_parse(after, target="stg", into=folder / "after"), after)
        production, staging = (Manifest.load(files / "manifest.json") for files in (old, new))
        for manifest in (production, staging):
            tables.build(manifest)
        _inputs(tables, production, staging, tag=tag).write(old)
        for release in builds:
            store.publish("prod", old, commit=release.commit, release_id=release.id, latest=True)
            log.append(release, Deploying("prod"), Deployed("prod", ""))
        release = log.open(BUILDS)
        staged = store.publish("stg", new, commit=release.commit, release_id=release.id, latest=True)
        log.append(release, Built("stg", False, True, "built", staged.timestamp, "", selection))
        config = CdConfig.load(after, overrides={"artifacts_root": str(folder / "artifacts")})
        return cls(Cd(None, config, store, log, None, tables), release, selection)  # type: ignore[arg-type]

    def with_policies(self, **policies: Any) -> Staged:
        """The same, with other policies."""
        config = replace(self.cd.config, policies=replace(self.cd.config.policies, **policies))
        return replace(self, cd=replace(self.cd, config=config))


def _built(parsed: Path, project: Path) -> Path:
    """What a successful build of all models would leave, in which each took a second."""
    files = parsed.parent / f"{parsed.name}-published"
    files.mkdir()
    shutil.copyfile(parsed / "manifest.json", files / "manifest.json")
    manifest = Manifest.load(parsed / "manifest.json")
    built = [i for i, node in manifest.nodes.items() if node.builds_relation or node.resource_type == "test"]
    (files / "run_results.json").write_text(json.dumps(_results(built)), encoding="utf-8")
    archive.pack(project, files / archive.ARCHIVE_NAME)
    return files


def _inputs(tables: Catalog, production: Manifest, staging: Manifest, *, tag: str) -> BuiltInputs:
    """From what production would have been built, with what is not tagged read from staging."""
    selected = {i for i, node in production.nodes.items() if tag in node.tags}
    standing = Standing(production, selected, {}, tables.keys)
    places = {i: node.relation for i, node in staging.nodes.items() if node.relation is not None and i not in selected}
    nothing = InProduction(None, None)
    look = Unchanged.look(tables, standing, nothing, places=places, policies=Policies())  # type: ignore[arg-type]
    return look.record("prod", production, ())


def _results(built: Sequence[str]) -> dict[str, Any]:
    results = []
    for n, unique_id in enumerate(built):
        began = _NOW + timedelta(seconds=n // 4)
        ran = {
            "name": "execute",
            "started_at": began.isoformat(),
            "completed_at": (began + timedelta(seconds=1)).isoformat(),
        }
        status = "pass" if unique_id.startswith("test.") else "success"
        results.append(
            {"unique_id": unique_id, "status": status, "execution_time": 1.0, "timing": [ran], "adapter_response": {},
             "thread_id": f"Thread-{n % 4}", "message": "OK", "failures": None, "relation_name": None,
             "compiled": True, "compiled_code": "select 1"}
        )  # fmt: skip
    schema = "https://schemas.getdbt.com/dbt/run-results/v6.json"
    metadata: dict[str, Any] = {"dbt_schema_version": schema, "dbt_version": "1.11.0", "env": {}}
    metadata |= {"generated_at": _NOW.isoformat(), "invocation_id": None}
    args = {"which": "build", "threads": 4}
    return {"metadata": metadata, "args": args, "elapsed_time": len(built) / 4, "results": results}


class _Log:
    """The log of releases that nobody else writes."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def open(self, n: int) -> Release:
        at = _NOW + timedelta(days=n)
        release = Release(f"{at:%Y%m%dT%H%M%S}-{n}", f"{n:040x}", str(n), "ci", at)
        self.append(release, release)
        return release

    def append(self, release: Release, *records: Any) -> None:
        for record in records:
            n = len(self._events) + 1
            self._events.append(Event(str(n), release.id, record.KIND, release.opened_at, "ci", record.to_dict(), n))

    def read(self, release: Release | None = None) -> LogReading:
        return LogReading(tuple(self._events), release)

    def events(self, release_id: str, *, kinds: Collection[str] = ()) -> list[Event]:
        return self.read().of(release_id, kinds=tuple(kinds))


class Catalog:
    """Relations that are there, and answers about them, without a query."""

    def __init__(self) -> None:
        self._entries: dict[str, CatalogEntry] = {}

    def build(self, manifest: Manifest) -> None:
        """Let the relations of a manifest be there, and the sources."""
        for source in manifest.nodes.values():
            if source.resource_type == "source" and source.relation is not None:
                self._entries[source.relation.key] = CatalogEntry("table", "MANAGED")
        for key, node in manifest.relations.items():
            above = manifest.select(node.depends_on)
            texts = [f"SELECT id, v FROM {parent.relation.quoted}" for parent in above if parent.relation is not None]
            is_view = node.materialized == "view"
            columns = tuple(Column(name, "bigint") for name in ("id", "v"))
            self._entries[key] = CatalogEntry(
                "view" if is_view else "table",
                "VIEW" if is_view else "MANAGED",
                view_text=" UNION ALL ".join(texts) if is_view else None,
                columns=columns,
            )

    @property
    def keys(self) -> Collection[str]:
        """What is there, by `RelationName.key`."""
        return self._entries.keys()

    def listed(self, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
        return {r.key: self._entries[r.key] for r in relations if r.key in self._entries}

    def entries(self, relations: Sequence[RelationName]) -> dict[str, CatalogEntry]:
        return {r.key: self._entries.get(r.key, CatalogEntry("missing")) for r in relations}

    def settings(self, relations: Sequence[RelationName]) -> dict[str, CatalogSettings]:
        kept = CatalogSettings(keys=(), tags={}, column_tags={}, grants=(), owner="ci", row_filter="", column_masks={})
        return {r.key: kept for r in relations}

    def functions(self, _catalog: str, _names: Collection[str]) -> dict[str, Function]:
        return {}

    def history(self, _table: RelationName, **_limit: Any) -> History:
        return History.of([Commit(0, _NOW, "WRITE", "ci")])
