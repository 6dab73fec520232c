"""`policies.changed_only` for a gated target: what of a selection is built, and what that saves."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from dbx_cd.dbt.artifacts import RunResults
from dbx_cd.dbt.runnable import TEST_TYPES
from dbx_cd.plan.changed_nodes import ChangedNodes
from dbx_cd.plan.deploy_plan import DeployPlan
from dbx_cd.plan.estimate import estimate
from dbx_cd.plan.in_production import InProduction
from dbx_cd.plan.must_build import Reasons, Standing, moved_by
from dbx_cd.plan.narrowing import Narrowed, as_agreed, narrowed
from dbx_cd.plan.project_dbt import ProjectDbt
from dbx_cd.plan.resolution import Resolution
from dbx_cd.plan.unchanged import Unchanged, by_code_alone, other_build
from dbx_cd.relations import RelationName

_SHOWN = 3


@dataclass(frozen=True)
class ChangedOnly:
    """What of a selection is built."""

    narrowed: Narrowed
    """The selection that dbt is given."""
    reasons: Reasons
    """What must be built, and why; without the policy so far as the code tells."""
    made: int
    """How many relations were asked for."""
    unchanged: Unchanged | None = None
    """What is proved, for the record; None without the policy."""
    stale: tuple[str, ...] = ()
    """What must be built and was not agreed to, in words."""

    def savings(self, asked: ChangedNodes, runs: Sequence[RunResults], *, refresh: str) -> str:
        """What it saves, or would save, in words."""
        if self.unchanged is not None and not self.narrowed.kept:
            return f"changed_only ({refresh}): all {self.made} relations are built"
        tests = {n.unique_id for n in asked.manifest.nodes.values() if n.resource_type in TEST_TYPES}
        if self.unchanged is not None:
            built, verb = self.narrowed.changed.selected, "builds"
        else:
            below = {i for i in tests & asked.selected if self.reasons.keys() & set(asked.manifest.nodes[i].depends_on)}
            built, verb = frozenset(self.reasons.keys() | below), "would build"
        count = len(built - tests)
        of, all_of = (
            estimate(asked.manifest, built, runs).seconds,
            estimate(asked.manifest, asked.selected, runs).seconds,
        )
        time = "" if of is None or all_of is None else f", about {of:.0f} s of {all_of:.0f} s"
        how = f"({refresh})" if self.unchanged is not None else "(off, judged by the code alone)"
        return f"changed_only {how}: {verb} {count} of {self.made} relations{time}"


def changed_only(
    dbt: ProjectDbt,
    asked: ChangedNodes,
    before: InProduction,
    *,
    resolved: Sequence[Resolution],
    there: Collection[str],
    agreed: DeployPlan | None,
) -> ChangedOnly:
    """Narrow what was asked for to what must be built, where the policy says so.

    Args:
        dbt: dbt on the release's archive and the gated target.
        asked: what was asked for.
        before: what the target has.
        resolved: where the refs resolve that leave what was asked for.
        there: the relations and functions that the target has, by key.
        agreed: a plan that somebody has agreed to: what it builds is built, though data may have changed since.

    Raises:
        DbtFailed: dbt cannot say what the narrowed selection means.
        SqlFailed: the catalog cannot be asked.
    """
    policies = dbt.cd.config.policies
    standing = Standing(
        asked.manifest,
        asked.selected,
        asked.changes,
        there,
        "a full refresh was asked for" if asked.selection.full_refresh else other_build(asked, before),
        moved_by(resolved),
    )
    made = [node.unique_id for node in standing.made]
    if not policies.changed_only:
        reasons = by_code_alone(standing, on_new_data=policies.refresh == "on_new_data")
        return ChangedOnly(Narrowed(asked), reasons, len(made))
    places = {r.parent: RelationName.parse(r.relation) for r in resolved if r.place != "nowhere"}
    unchanged = Unchanged.look(dbt.cd.tables, standing, before, places=places, policies=policies)
    if agreed is None:
        reasons = unchanged.reasons()
        return ChangedOnly(narrowed(dbt, asked, made, reasons), reasons, len(made), unchanged)
    found = as_agreed(dbt, asked, made, agreed.selection)
    reasons = unchanged.reasons(data=False)
    return ChangedOnly(found, reasons, len(made), unchanged, tuple(_stale(reasons, found)))


def _stale(reasons: Reasons, found: Narrowed) -> Iterator[str]:
    for unique_id in sorted(reasons.keys() & found.kept):
        why = "; ".join(reasons[unique_id][:_SHOWN])
        yield f"{unique_id} must be built as well ({why}), and was not when the plan was agreed to"
