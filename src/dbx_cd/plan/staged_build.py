"""What a staging build has made and still holds: its tables show which columns the same code gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dbx_cd.artifacts.built_inputs import kept_by
from dbx_cd.delta.tables import CatalogEntry
from dbx_cd.errors import ArtifactError

if TYPE_CHECKING:
    from dbx_cd.artifacts.version import ArtifactVersion
    from dbx_cd.release.context import Cd

_BUILT_OVER = (
    "another release has built {} since: of what it built, contracts alone say which columns this one gives and loses"
)


@dataclass(frozen=True)
class StagedBuild:
    """The relations of one staging build."""

    made: Mapping[str, CatalogEntry]
    """What the catalog shows of those that are of this very build, by `RelationName.key`."""
    mind: tuple[str, ...] = ()
    """What cannot be told by them, in words."""

    @classmethod
    def look(cls, cd: Cd, staged: ArtifactVersion, in_state: Mapping[str, CatalogEntry]) -> StagedBuild:
        """What is left of a build: a table of an earlier or a later one says nothing of this code.

        Args:
            cd: the context.
            staged: the artifacts of the build.
            in_state: what the catalog shows of staging, by key.

        Raises:
            ArtifactError: the artifacts cannot be read.
        """
        manifest = staged.manifest()
        made = {result.unique_id for result in staged.run_results().results if result.status == "success"}
        made |= kept_by(staged)  # as this code would make it: with `changed_only` that is proved
        over = _built_over(cd, staged)
        keys = {n.relation.key for n in manifest.select(made) if n.relation is not None} - over
        mind = (_BUILT_OVER.format(staged.target),) if over else ()
        return cls({key: entry for key, entry in in_state.items() if key in keys}, mind)


def _built_over(cd: Cd, staged: ArtifactVersion) -> frozenset[str]:
    """The relations of staging, by key, that may be of a later build by now: its tables say nothing of this one."""
    found: set[str] = set()
    for version in cd.store.list(staged.target):
        if version.timestamp > staged.timestamp:
            try:
                built = {r.unique_id for r in version.run_results().results if r.status != "skipped"}
                nodes = version.manifest().select(built)
            except ArtifactError:  # as of a dbt that was killed: it may have built anything
                return frozenset(staged.manifest().relations)
            found |= {n.relation.key for n in nodes if n.relation is not None and n.builds_relation}
    return frozenset(found & staged.manifest().relations.keys())
