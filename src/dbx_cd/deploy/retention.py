"""Which artifact versions are kept, by `keep` in `dbx_cd.yml`."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice

from dbx_cd.artifacts.pruning import PruneResult
from dbx_cd.deploy.docs import DocsSite
from dbx_cd.release.context import Cd


def prune_artifacts(cd: Cd, *, dry_run: bool = True) -> dict[str, PruneResult]:
    """Remove the artifact versions of every target that are older than `keep.days` and beyond `keep.versions`.

    What `latest` serves stays, and so do builds and docs of a release that is live: for each gated target the newest
    one that has changed it and the last good one, and those that wait, are approved or are being deployed.

    Args:
        cd: the context.
        dry_run: only say what would go.

    Returns:
        What was removed and what was kept, by target.
    """
    history = cd.log.history().rows
    live = {r.id for r, state in history if state.is_on_its_way}
    for target in {name for _, state in history for name in state.targets}:
        there = (r.id for r, state in history if state.of(target).is_changed)
        good = (r.id for r, state in history if state.of(target).is_in_place)
        live |= {*islice(there, 1), *islice(good, 1)}
    sites = (e for e in cd.log.events(kinds=(DocsSite.KIND,)) if e.release_id in live)
    pinned = live | {str(site.payload.get("timestamp")) for site in sites}
    keep = cd.config.keep
    return {
        target: cd.store.prune(
            target, keep=keep.versions, older_than=timedelta(days=keep.days), pinned=sorted(pinned), dry_run=dry_run
        )
        for target in cd.config.targets
    }
