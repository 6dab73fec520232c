"""dbt docs and the manifest, published for discovery and lineage.

A site is a version of its own. Tools that collect lineage (data catalogs) take fixed paths: what they read of the build
in place is also in `<root>/<target>/lineage/`, always under the same names, which nothing in here ever reads.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from dbx_cd import volume
from dbx_cd.artifacts import archive as project_archive
from dbx_cd.artifacts.installed import require_packages
from dbx_cd.artifacts.pruning import DOCS_NAME, DOCS_POINTER_NAME
from dbx_cd.artifacts.version import (
    RESULTS_NAME,
    TIMESTAMP_FORMAT,
    ArtifactVersion,
    FileRecord,
    copy_files,
    write_json,
)
from dbx_cd.dbt.invocation import run_dbt
from dbx_cd.dbt.run import DbtRun
from dbx_cd.deploy.connection import connected
from dbx_cd.deploy.failures import keeping_log
from dbx_cd.errors import ArtifactNotFound, DbtFailed, ReleaseError
from dbx_cd.records import Record
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Built, Release

_log = logging.getLogger(__name__)

LINEAGE_NAME = "lineage"
"""The folder of a target that tools read whose paths cannot follow a version."""
SITE_FILES = ("index.html", "static_index.html", "manifest.json", "catalog.json")


@dataclass(frozen=True)
class DocsSite(Record):
    """One published docs site: `index.html` beside its data, and `static_index.html`, which needs no server."""

    KIND: ClassVar[str] = "docs_published"

    path: Path
    """The folder of the site."""
    target: str
    """The dbt target."""
    timestamp: str
    """The version of the site: when it was published, UTC."""
    release_id: str
    """The release that it documents."""
    commit: str
    """The full SHA."""
    files: dict[str, FileRecord]
    """The files, each with size and digest."""

    def __str__(self) -> str:
        return f"docs of {self.target} at {self.path}"


def publish_docs(
    cd: Cd,
    release: Release,
    *,
    target: str,
    project_dir: str | Path = ".",
    profiles_dir: str | Path | None = None,
) -> DocsSite:
    """Generate dbt docs for a target and publish them under `<root>/<target>/docs/<timestamp>/`.

    `<root>/<target>/lineage/` gets the manifest, the catalog and the build's run results, where `latest` serves it.

    A target that has a build of this release gets the docs of that build's project archive. Nothing is deferred:
    `docs generate --defer` leaves models out (dbt-core issue 11407).

    Args:
        cd: the context.
        release: the release to document.
        target: the dbt target.
        project_dir: the project, used only where this release has no archive yet.
        profiles_dir: folder with `profiles.yml`; by default the one that dbt takes when started in the project's
            folder, as `run_dbt` says.

    Raises:
        ReleaseError: this release was not built into the target, so its docs would describe something else.
        DbtFailed: dbt could not generate the docs.
    """
    built = [b for b in cd.log.all(release, Built) if b.target == target and b.ok]
    if not built:
        raise ReleaseError(f"{release} is not built into {target}", next_step=f"build {target} first")
    with (
        tempfile.TemporaryDirectory(prefix="dbx_cd-", ignore_cleanup_errors=True) as folder,
        keeping_log(cd, release, work=Path(folder)),
        connected(cd) as connection,
    ):
        work = Path(folder)
        artifacts = cd.store.find(target, release.id)
        archived = project_archive.ARCHIVE_NAME in artifacts.files
        project = project_archive.unpack(artifacts, work / "built") if archived else Path(project_dir)
        if target in cd.config.gates:
            require_packages(project, of=artifacts, target=target)
        run = run_dbt(
            "docs generate --static",
            target=target,
            project_dir=project,
            profiles_dir=profiles_dir or None,
            work_dir=work,
            runner=cd.dbt,
            connection=connection,
        )
        site = _publish(cd, release, run)
        _publish_for_lineage(cd, site, artifacts)
    cd.log.append(release, site)
    return site


def _publish(cd: Cd, release: Release, run: DbtRun) -> DocsSite:
    target, source = run.target, run.files_dir
    missing = [name for name in ("index.html", "manifest.json", "catalog.json") if not (source / name).is_file()]
    if missing:
        raise DbtFailed(f"dbt left no {', '.join(missing)}", result=run, where=f"target {target}")
    timestamp = datetime.now(UTC).strftime(TIMESTAMP_FORMAT)
    path = cd.store.folder(target) / DOCS_NAME / timestamp
    volume.make_folder(path)
    files = copy_files(source, path, [name for name in SITE_FILES if (source / name).is_file()])
    site = DocsSite(path, target, timestamp, release.id, release.commit, files)
    # The pointer last: until then readers keep the site they have.
    write_json(path.parent.parent / DOCS_POINTER_NAME, site.to_dict())
    return site


def _publish_for_lineage(cd: Cd, site: DocsSite, artifacts: ArtifactVersion) -> None:
    """Overwrite what lineage tools read, the manifest last: who sees a new one finds the other files with it."""
    try:
        serving = cd.store.latest(site.target)
    except ArtifactNotFound:  # as after a rollback of the only release
        serving = None
    if serving is None or serving.timestamp != artifacts.timestamp:
        _log.warning(
            "%s is documented, and %s is in place: the files for lineage stay as they are",
            artifacts, serving or "nothing",
        )  # fmt: skip
        return
    folder = cd.store.folder(site.target) / LINEAGE_NAME
    volume.make_folder(folder)
    for source in (site.path / "catalog.json", artifacts.file(RESULTS_NAME), site.path / "manifest.json"):
        volume.copy(source, folder / source.name)
