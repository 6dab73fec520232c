"""Which artifact versions are kept, by `keep` in `dbx_cd.yml`."""

from __future__ import annotations

from datetime import timedelta

from dbx_cd.artifacts.store import PruneResult
from dbx_cd.release.context import Cd


def prune_artifacts(cd: Cd, *, dry_run: bool = True) -> dict[str, PruneResult]:
    """Remove the artifact versions of every target that are older than `keep.days` and beyond `keep.versions`.

    What `latest` serves stays, and so does everything of a release that is live: the one deployed last, and those that
    wait, are approved or are being deployed.

    Args:
        cd: the context.
        dry_run: only say what would go.

    Returns:
        What was removed and what was kept, by target.
    """
    history = list(cd.log.history())
    deployed = [release.id for release, state in history if state.phase == "deployed"]
    under_way = [r.id for r, state in history if state.undecided or state.phase in ("approved", "deploying")]
    live = [*deployed[:1], *under_way]
    keep = cd.config.keep
    return {
        target: cd.store.prune(
            target, keep=keep.versions, older_than=timedelta(days=keep.days), pinned=live, dry_run=dry_run
        )
        for target in cd.config.targets
    }
