"""What a release will do to a gated target, computed before it does it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dbx_cd import html
from dbx_cd.dbt.changes import NodeChange
from dbx_cd.dbt.runnable import TEST_TYPES
from dbx_cd.dbt.selection import Selection
from dbx_cd.digest import digest
from dbx_cd.enumeration import listed
from dbx_cd.errors import DeployRefused
from dbx_cd.plan.estimate import Estimate
from dbx_cd.plan.leaks import Leak
from dbx_cd.plan.loss import Loss
from dbx_cd.plan.plan_page import (
    leaks_part,
    lineage_part,
    lines_part,
    losses_part,
    nodes_part,
    resolutions_part,
    warnings_part,
)
from dbx_cd.plan.resolution import Place, Resolution
from dbx_cd.records import Record

_SHOWN = 20


@dataclass(frozen=True)
class DeployPlan(Record):
    """The plan of one deploy: which nodes, from what, at which loss."""

    KIND: ClassVar[str] = "deploy_planned"

    target: str
    """The gated target."""
    state_target: str
    """The target that it defers to."""
    state_timestamp: str
    """The version of that one's artifacts."""
    baseline: str
    """The version of the target's own artifacts that says what it has; "" where nothing was ever deployed."""
    asked: Selection
    """What was asked for."""
    selection: Selection
    """What dbt will be asked to build: also what the project's policies add to it."""
    nodes: tuple[NodeChange, ...]
    """What is built, and how it differs from what the target has."""
    derived_state: str
    """A digest of the state that refs resolve by."""
    release_id: str = ""
    """The release."""
    commit: str = ""
    """The commit that it is of."""
    resolutions: tuple[Resolution, ...] = ()
    """Where the refs resolve that leave the selection."""
    untagged: tuple[str, ...] = ()
    """The unique ids above the selection that are not what the target has, and do not ship."""
    removed: tuple[str, ...] = ()
    """The unique ids that the target's last build has and this project does not."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """New unique ids by those that they take the place of."""
    columns: tuple[str, ...] = ()
    """The columns that it adds (`+`), takes away (`-`) or gives another type (`~`), a line each."""
    exposures: tuple[str, ...] = ()
    """The dashboards and other uses that depend on what it changes, in words."""
    losses: tuple[Loss, ...] = ()
    """What the target loses by it."""
    consent: tuple[str, ...] = ()
    """The names of the losses that whoever approves has to agree to, by the project's policies."""
    leaks: tuple[Leak, ...] = ()
    """What of the target will refer to what it defers to."""
    refused: tuple[str, ...] = ()
    """Why it must not be built, a line each."""
    mind: tuple[str, ...] = ()
    """What else to know before agreeing, a line each."""
    edges: tuple[tuple[str, str], ...] = ()
    """What of the project it touches: pairs of unique ids, what is read and what reads it."""
    estimate: Estimate | None = None
    """How long it will take, by the last builds."""
    kept: tuple[str, ...] = ()
    """The unique ids of what was asked for and is not built, since the target has it as it would be built."""
    savings: str = ""
    """What `policies.changed_only` saves, or would save, in words."""

    @property
    def ok(self) -> bool:
        """Whether it may be built."""
        return not self.refused

    @property
    def destructive(self) -> tuple[str, ...]:
        """The names of the losses that somebody has to agree to."""
        return tuple(loss.name for loss in self.losses if loss.destructive)

    @property
    def _leaking(self) -> frozenset[str]:
        """What is certain to refer to staging; why something cannot be read may be worded otherwise each time."""
        return frozenset(str(leak) for leak in self.leaks if leak.is_certain)

    @property
    def sealed(self) -> dict[str, Any]:
        """What an approval is bound to: never durations nor row counts."""
        return {
            "selection": self.selection.sealed(),
            "nodes": sorted(node.unique_id for node in self.nodes),
            "resolutions": sorted([r.parent, r.place, r.relation] for r in self.resolutions),
            "derived state": self.derived_state,
            "losses": sorted([loss.name, loss.kind] for loss in self.losses if loss.destructive),
            "leaks": sorted(self._leaking),
        }

    @property
    def digest(self) -> str:
        """One sha256 over what is sealed."""
        return digest(self.sealed)

    def beyond(self, agreed: DeployPlan) -> tuple[str, ...]:
        """What this plan would do that an agreed one does not say, a line each.

        A loss that is not there any more is none: an attempt that was killed half way has done it already.
        """
        own, other = {n.unique_id for n in self.nodes}, {n.unique_id for n in agreed.nodes}
        places = {r.parent: r for r in agreed.resolutions}
        lines = [f"{i} would be built as well" for i in sorted(own - other)]
        lines += [f"{i} would not be built" for i in sorted(other - own)]
        for found in self.resolutions:
            before = places.get(found.parent)
            if before is None or (before.place, before.relation) != (found.place, found.relation):
                was = f", not as {before.relation}" if before is not None else ""
                lines.append(f"{found.parent} would be read as {found.relation}{was}")
        # By kind as well: who agrees that a column is narrowed has not agreed that it goes.
        known = {(loss.name, loss.kind) for loss in agreed.losses if loss.destructive}
        losses = sorted((loss for loss in self.losses if loss.destructive), key=lambda loss: loss.name)
        lines += [f"loss: {loss.name}: {loss.detail}" for loss in losses if (loss.name, loss.kind) not in known]
        lines += [f"leak: {leak}" for leak in sorted(self._leaking - agreed._leaking)]
        if not lines and self.derived_state != agreed.derived_state:
            lines.append("the state that refs resolve by is another")
        return (*lines, *self.refused)

    def raise_if_refused(self) -> None:
        """Raise where it must not be built.

        Raises:
            DeployRefused: it must not; the message says why, and the plan is its `.plan`.
        """
        if self.refused:
            raise DeployRefused(
                f"{self.target} must not be built like this: {listed(self.refused, most=_SHOWN, separator='; ')}",
                plan=self,
                where=f"target {self.target}",
                next_step="change the project or the policy that is named, and merge again",
            )

    @property
    def builds_any(self) -> bool:
        """Whether anything is made; else at most tests run."""
        return any(node.unique_id.split(".", 1)[0] not in TEST_TYPES for node in self.nodes)

    def counted(self) -> str:
        """How many nodes are of which change, in words such as `1 modified, 7 unchanged`."""
        found = Counter(node.change for node in self.nodes)
        return ", ".join(f"{found[change]} {change}" for change in sorted(found)) or "nothing"

    def __str__(self) -> str:
        return "; ".join(self._parts())

    def _parts(self) -> Iterable[str]:
        yield f"plan for {self.target}: {len(self.nodes)} nodes ({self.counted()})"
        if self.columns:
            yield f"columns: {listed(self.columns, most=_SHOWN)}"
        if self.exposures:
            yield f"used by {listed(self.exposures, most=_SHOWN)}"
        if self.kept and not self.builds_any:
            yield f"no relation changes, and {len(self.kept)} stand as they are"
        staged = [r for r in self.resolutions if r.place == "state"]
        if staged:
            yield f"{len(staged)} parents read from {self.state_target}"
        if self.losses:
            yield f"{len(self.losses)} losses, {len(self.consent)} need consent"
        if self._leaking:
            leaking = sorted({leak.relation for leak in self.leaks if leak.is_certain})
            yield f"will refer to {self.state_target}: {listed(leaking, most=_SHOWN)}"
        if self.estimate is not None:
            yield f"time: {self.estimate}"
        if self.savings:
            yield self.savings
        if self.refused:
            yield f"REFUSED: {'; '.join(self.refused)}"

    def to_html(self) -> str:
        """The plan as a part of a page: what has to be decided first, then what is built, from what."""
        places: dict[Place, str] = {"target": self.target, "state": self.state_target, "nowhere": "nowhere"}
        against = f"{self.target}/{self.baseline}" if self.baseline else f"nothing: {self.target} has no build in place"
        parts = [
            *warnings_part(self.refused, self.mind),
            lines_part("Columns", self.columns),
            lines_part("Dashboards and other uses of what changes", self.exposures),
            losses_part(self.losses, target=self.target, consent=self.consent),
            leaks_part(self.leaks, target=self.target, state=self.state_target),
            resolutions_part(self.resolutions, places),
            nodes_part(self.nodes, self.removed, self.renamed, counted=self.counted(), against=against),
            lineage_part(self.edges, self.nodes, self.resolutions, places),
            html.paragraph(f"Time, by the last builds: {self.estimate or 'not known'}"),
            *([html.paragraph(self.savings)] if self.savings else []),
        ]
        return str(html.section(f"What the deploy to {self.target} will do", *parts))

    def to_page(self) -> str:
        """The plan as a whole document."""
        of = html.paragraph(f"Release {self.release_id} of commit {self.commit}")
        return str(html.page(f"Deploy plan: {self.target}", of, html.trusted(self.to_html())))
