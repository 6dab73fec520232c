"""The page of a build that shows when its nodes ran, kept with the release."""

from __future__ import annotations

import logging
from pathlib import Path

from dbx_cd import html
from dbx_cd.artifacts.store import ArtifactStore
from dbx_cd.artifacts.version import RESULTS_NAME, ArtifactVersion
from dbx_cd.dbt.timeline import timeline
from dbx_cd.errors import DbxCdError, what_failed

_log = logging.getLogger(__name__)


def keep_timeline(store: ArtifactStore, artifacts: ArtifactVersion) -> Path | None:
    """Keep the timeline of a build, against the last good one of its target, as `timeline-<target>.html`.

    It is there to be looked at: a build is not said to have failed because its picture cannot be made or stored.

    Args:
        store: the store.
        artifacts: what the build has left.

    Returns:
        The page; None where dbt left no times, or it cannot be made.
    """
    if artifacts.release_id is None or not {RESULTS_NAME, "manifest.json"} <= artifacts.files.keys():
        return None
    try:
        results = artifacts.run_results()
        earlier = [v for v in store.list(artifacts.target) if v.timestamp < artifacts.timestamp and v.is_deployable]
        made = timeline(artifacts.manifest(), results, last=earlier[-1].run_results() if earlier else None)
        if not made.bars:
            return None
        page = html.page(f"Build of {artifacts.target}, {artifacts.timestamp}", html.trusted(made.to_html()))
        return store.attach(artifacts.release_id, f"timeline-{artifacts.target}.html", page)
    except (DbxCdError, OSError) as exc:
        _log.warning("%s: no page of its timeline: %s", artifacts, what_failed(exc))
        return None
