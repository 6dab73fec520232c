"""What of a target is proved unchanged, and the record that the next build goes by."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from dbx_cd.artifacts.built_inputs import BuiltInputs, InputVersion, NodeInputs
from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.doubts import Doubts
from dbx_cd.dbt.functions import functions_of, object_name
from dbx_cd.plan.input_versions import InputVersions
from dbx_cd.plan.must_build import Reasons, Standing, above, below, reads_outside, reasons_to_build
from dbx_cd.plan.relation_versions import RelationVersions, function_versions
from dbx_cd.relations import RelationName

if TYPE_CHECKING:
    from dbx_cd.delta.tables import Tables
    from dbx_cd.plan.changed_nodes import ChangedNodes
    from dbx_cd.plan.in_production import InProduction
    from dbx_cd.policies import Policies

NOT_RECORDED = "from what it was built is not recorded"


@dataclass(frozen=True)
class Unchanged:
    """A target before a build: what it has, from what that was built, and what these inputs are now."""

    standing: Standing
    """What the target has."""
    recorded: Mapping[str, NodeInputs]
    """From what it was built, by unique id."""
    reads: Mapping[str, tuple[RelationName, ...]]
    """What each node reads that is not selected."""
    versions: InputVersions
    """What that is now."""
    own: RelationVersions
    """What the relations themselves are now that may stand as they are."""
    functions: Mapping[str, InputVersion]
    """What the functions are now that may stand as they are, by key."""
    tables: Tables
    """The tables of a session."""
    on_new_data: bool = True
    """Whether new data counts."""

    @classmethod
    def look(
        cls,
        tables: Tables,
        standing: Standing,
        before: InProduction,
        *,
        places: Mapping[str, RelationName],
        policies: Policies,
    ) -> Unchanged:
        """Look at the inputs as they are now; the build must not have begun.

        Args:
            tables: the tables of a session.
            standing: what the target has.
            before: the build that says so.
            places: what the refs to unselected nodes mean, by their unique ids.
            policies: the project's.

        Raises:
            SqlFailed: the catalog cannot be asked.
            Unreachable: the record of the last build cannot be read now.
        """
        outside = reads_outside(standing.manifest, standing.selected, places)
        reads = {node.unique_id: outside[node.unique_id] for node in standing.made}
        versions = InputVersions(tables, [r for read in reads.values() for r in read])
        recorded = BuiltInputs.of(before.version)
        nodes = {} if recorded is None else recorded.nodes
        on_new_data = policies.refresh == "on_new_data"
        may_stand = [n.relation for n in standing.unchanged if n.relation is not None and n.unique_id in nodes]
        own = RelationVersions(tables, may_stand if on_new_data else [])
        functions = function_versions(tables, functions_of(standing.unchanged))
        return cls(standing, nodes, reads, versions, own, functions, tables, on_new_data)

    def reasons(self, *, data: bool = True) -> Reasons:
        """What must be built, and why.

        Args:
            data: whether what may give other rows by the same code counts, so far as the policy lets it.
        """
        return reasons_to_build(self.standing, lambda node: tuple(self._of_data(node)) if data else ())

    def record(self, target: str, built: Manifest, kept: Sequence[str]) -> BuiltInputs:
        """What is to be written beside the artifacts of a build that succeeded.

        Args:
            target: the dbt target.
            built: its manifest, with what dbt has compiled.
            kept: the unique ids that it did not build, since they are unchanged.
        """
        left = set(kept)
        doubts = Doubts(built)
        made = [node for node in self.standing.made if node.unique_id not in left]
        functions = function_versions(self.tables, functions_of(made))
        own = RelationVersions(self.tables, [n.relation for n in made if n.relation is not None])
        forgotten = self._other(left) | self.reads.keys()
        nodes = {i: known for i, known in self.recorded.items() if i not in forgotten}
        for unique_id, read in self.reads.items():
            if unique_id in left and unique_id in self.recorded:
                nodes[unique_id] = self.recorded[unique_id]
            elif unique_id not in left:
                node = built.nodes.get(unique_id) or self.standing.manifest.nodes[unique_id]
                why = doubts.of(node, also_read={r.key for r in read})
                name = object_name(self.standing.manifest.nodes[unique_id])
                left_as = None if name is None else functions.get(name.key) or own.of(name.key)
                nodes[unique_id] = NodeInputs(self._read(unique_id), why, left_as)
        return BuiltInputs(target, nodes, tuple(sorted(left)))

    def _other(self, left: Collection[str]) -> frozenset[str]:
        """What was not asked for and is not what a build of all would make any more: nothing of it is proved later."""
        changes = self.standing.changes
        changed = {i for i in self.standing.manifest.nodes if i not in changes or changes[i].change != "unchanged"}
        start = changed | (self.reads.keys() - set(left))
        gone = self.recorded.keys() - self.standing.manifest.nodes.keys()
        return frozenset(start | below(self.standing.manifest, start).keys() | gone)

    def _of_data(self, node: Node) -> Iterator[str]:
        known = self.recorded.get(node.unique_id)
        if known is None:
            yield NOT_RECORDED
            return
        read = self._read(node.unique_id)
        if self.on_new_data:
            yield from self.versions.new_since(known.inputs, read)
            yield from known.doubts
            yield from self._of_writers(node, known.left)
        else:
            yield from self.versions.other_than(known.inputs, read)
            if node.resource_type == "function":  # no restore point holds one, and no failed build names it
                yield from self._of_writers(node, known.left)

    def _read(self, unique_id: str) -> tuple[InputVersion, ...]:
        """What a node reads that is not built above it, as it is now; what dbt does not know to be above it is read."""
        read = self.reads.get(unique_id, ())
        found = self.versions.of(read)
        if not any(one.relation in self._makers for one in found):
            return found
        ancestors = above(self.standing.manifest, unique_id)
        return self.versions.of(read, above={key for key, maker in self._makers.items() if maker in ancestors})

    @cached_property
    def _makers(self) -> Mapping[str, str]:
        """The unique ids of what is made, by the keys of the relations."""
        return {n.relation.key: n.unique_id for n in self.standing.made if n.relation is not None}

    def _of_writers(self, node: Node, left: InputVersion | None) -> Iterator[str]:
        """A build of all would write over what somebody else has written, or go on from it."""
        name = object_name(node)
        if name is None:
            return
        if left is None or left.relation != name.key:
            yield NOT_RECORDED
            return
        now = self.functions.get(name.key) or self.own.of(name.key)
        if not (left.is_known and now.is_known):
            yield f"{name.key} has no version to tell by who has written to it"
        elif left.mark != now.mark if name.key in self.functions else not self.own.is_as(left):
            yield f"something else has written to {name.key}"


def by_code_alone(standing: Standing, *, on_new_data: bool) -> Reasons:
    """What would have to be built so far as the code tells: without a record of what the target was built from."""
    doubts = Doubts(standing.manifest)
    return reasons_to_build(standing, lambda node: doubts.of(node) if on_new_data else ())


def other_build(found: ChangedNodes, before: InProduction) -> str:
    """Why other things may be built from the same code, in words; "" where nothing says so.

    Args:
        found: the project as it is now, compared with what the target has.
        before: what the target has.
    """
    return "; ".join((*found.anywhere, *_other_dbt(before, found)))


def _other_dbt(before: InProduction, found: ChangedNodes) -> Iterator[str]:
    if before.version is None or before.manifest is None:
        return
    versions = (
        ("dbt", before.manifest.metadata.get("dbt_version"), found.manifest.metadata.get("dbt_version")),
        ("dbt-databricks", before.version.adapter_version, found.adapter_version),
    )
    yield from (f"it was built by {name} {a}, and this is {b}" for name, a, b in versions if a != b)
