"""What numbers are compared with: the same model in another environment, or the same table before this release."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.lookup import NoSuchName, require_model
from dbx_cd.relations import RelationName

if TYPE_CHECKING:
    from dbx_cd.artifacts.version import ArtifactVersion


@dataclass(frozen=True)
class NoBaseline:
    """There is nothing to compare with."""

    reason: str
    """Why, in words; comparisons are then skipped with it."""


class Baseline(Protocol):
    """Where a model's earlier rows are."""

    def source(self, model: str, relation: RelationName) -> str | NoBaseline:
        """What to select from for a model whose relation in the build under test is `relation`."""


@dataclass(frozen=True)
class ArtifactsBaseline:
    """What the name of a model means in the environment that these artifacts describe, wherever it lives there.

    The name, not the model's version, is what people read: when `people` moves from version 1 to 2, the rows of the new
    one are compared with those that `people` had.
    """

    manifest: Manifest
    """The other environment's manifest."""
    label: str
    """What the environment is called in messages: its dbt target."""

    def source(self, model: str, relation: RelationName) -> str | NoBaseline:  # noqa: ARG002
        """The relation the other environment's manifest gives the model.

        Raises:
            DbxCdError: the name may mean several models there.
        """
        try:
            node = require_model(self.manifest, model, of=self.label)
        except NoSuchName:
            return NoBaseline(f"{self.label} has no model `{model}`")  # a new one: another name was not meant
        if node.relation is None or node.is_ephemeral:
            return NoBaseline(f"{model} is ephemeral in {self.label} and has no table there")
        return node.relation.quoted


@dataclass(frozen=True)
class TimeTravelBaseline:
    """The same table at the version it had before this release."""

    versions: Mapping[str, int | None]
    """The Delta version before this release, by `RelationName.key`; None where there was no table."""
    kinds: Mapping[str, str]
    """What each relation was then: `table`, `view`, ..., by `RelationName.key`."""
    unreachable: Mapping[str, str] = field(default_factory=dict)
    """Why a table's version then cannot be read, by `RelationName.key`, where it cannot."""

    def source(self, model: str, relation: RelationName) -> str | NoBaseline:  # noqa: ARG002
        """The relation at its version in the restore point."""
        if relation.key in self.unreachable:
            return NoBaseline(f"no comparison with {relation} as it was: {self.unreachable[relation.key]}")
        version = self.versions.get(relation.key)
        if version is not None:
            return f"{relation.quoted} VERSION AS OF {version}"
        kind = self.kinds.get(relation.key)
        if kind is None:
            return NoBaseline(f"the restore point does not hold {relation}")
        if kind == "view":
            return NoBaseline("a view has no earlier versions")
        return NoBaseline(f"{relation} did not exist before this release")


def baseline_from(found: ArtifactVersion | NoBaseline | Baseline | None) -> Baseline | NoBaseline:
    """A baseline from what `run_smoke` is given: artifacts stand for the environment that they describe."""
    if found is None:
        return NoBaseline("no baseline was given")
    if isinstance(found, NoBaseline) or hasattr(found, "source"):
        return found
    return ArtifactsBaseline(manifest=found.manifest(), label=found.target)
