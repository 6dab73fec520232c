"""Before anybody approves: could this deploy be undone? Read-only, from artifacts, without running dbt."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

from dbx_cd import html
from dbx_cd.artifacts.built_inputs import kept_by
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.effects import BuildEffects, affected_relations, known_readers
from dbx_cd.errors import ArtifactError, ArtifactNotFound, RestoreRefused
from dbx_cd.records import Record
from dbx_cd.rollback.capture import look_at
from dbx_cd.rollback.plan_item import PlanItem
from dbx_cd.rollback.point import RestorePoint

if TYPE_CHECKING:
    from dbx_cd.release.context import Cd
    from dbx_cd.release.events import Release

T = TypeVar("T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RollbackReadiness(Record):
    """The restore point that a deploy would take, had it begun now; it is in no log."""

    KIND: ClassVar[str] = "rollback_readiness"

    target: str
    """The gated target."""
    point: RestorePoint
    """What the restore point would be."""
    note: str
    """How it was found, for people."""

    @property
    def ok(self) -> bool:
        """Whether every relation can be brought back by the restore itself."""
        return self.point.ok

    def __str__(self) -> str:
        return f"rollback of {self.target}: {self.point}; {self.note}"

    def to_html(self) -> str:
        """The relations with what would bring each one back."""
        part = html.trusted(self.point.to_html())
        return str(html.section(f"Can this deploy to {self.target} be undone?", html.paragraph(self.note), part))


def rollback_readiness(cd: Cd, release: Release, *, target: str, full_refresh: bool = False) -> RollbackReadiness:
    """Say which relations of a target the deploy may touch, and whether and until when each can be brought back.

    dbt's selectors are not resolved for this: what counts is every node that the release has built in staging, or that
    the build in place (`latest` of the target) has built, where its manifest gives it a relation. That can be a few
    more than the deploy touches. A node that this build does not have has nothing to bring back; what a release that
    was rolled back has left behind is not known here. `prod_build` looks again, exactly, before it changes anything.

    Args:
        cd: the context.
        release: a release with a successful staging build.
        target: the gated target.
        full_refresh: whether the deploy rebuilds incremental models.

    Raises:
        ConfigError: no such target, or it defers to nothing.
        ArtifactNotFound: the release has no staging build.
        SqlFailed: the catalog cannot be asked.
    """
    staging = cd.config.staging_of(target)
    staged = cd.store.find(staging, release.id)
    try:
        before = cd.store.latest(target)
    except ArtifactError as exc:
        # Damaged artifacts of production must not keep the next release from replacing them.
        missing = isinstance(exc, ArtifactNotFound)
        note = f"{target} has no build yet, so its names are not known here" if missing else f"not known: {exc}"
        return RollbackReadiness(target, look_at(cd.tables, release, [], effects=BuildEffects()), note)
    then, now = before.manifest(), staged.manifest()
    built = {r.unique_id for version in (staged, before) for r in version.run_results().results} | kept_by(staged)
    relations = affected_relations(then, built)
    there = BuildEffects.of(now, built, full_refresh=full_refresh)
    effects = BuildEffects(
        replaced=_by_relation_of(then, now, there.replaced),
        properties=_by_relation_of(then, now, there.properties),
        altered=_by_relation_of(then, now, there.altered),
        readers=known_readers(then),
    )
    point = look_at(cd.tables, release, relations, effects=effects)
    note = f"judged by {staging}/{staged.timestamp} and {target}/{before.timestamp}; the build of {target} looks again"
    return RollbackReadiness(target, point, note)


def require_readiness(point: RestorePoint, *, policy: str, blocked: Sequence[PlanItem] = ()) -> None:
    """Tell the logger what the restore point is, as a warning where something could not be brought back.

    Args:
        point: the restore point that was taken for the deploy.
        blocked: what a rollback of an earlier attempt at this deploy could not bring back by now.
        policy: `policies.require_rollback_ready`: "ignore" tells nothing, "warn" tells, "error" also refuses the deploy
            where a relation would be lost for good.

    Raises:
        RestoreRefused: after the deploy nothing could bring at least one relation back; the message says why.
    """
    if policy == "ignore":
        return
    _log.log(logging.INFO if point.ok else logging.WARNING, "%s", point)
    changed = {i.name: f"an earlier attempt at this deploy changed it, and by now: {i.reason}" for i in blocked}
    for name, reason in changed.items():
        _log.warning("%s cannot be brought back: %s", name, reason)
    lost = {r.name: r.reason for r in point.readiness if r.is_lost} | changed
    if lost and policy == "error":
        raise RestoreRefused(
            f"{len(lost)} relations could not be brought back after this deploy: "
            + "; ".join(f"{name} ({reason})" for name, reason in lost.items()),
            next_step="of a table that is too old, grant the job MODIFY on it; else give the model another name, so "
            "that the old relation stays; or set policies.require_rollback_ready to warn",
        )


def _by_relation_of(then: Manifest, now: Manifest, replaced: Mapping[str, T]) -> dict[str, T]:
    """What a build means for a table, by the names that the target gives the nodes."""
    names = {n.unique_id: n.relation.key for n in then.nodes.values() if n.relation is not None}
    nodes = {key: node.unique_id for key, node in now.relations.items()}
    return {names[nodes[key]]: what for key, what in replaced.items() if nodes.get(key) in names}
