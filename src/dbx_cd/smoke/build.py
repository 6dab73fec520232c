"""The build under test: which relation a name means there, and what an assertion's template becomes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from dbx_cd.dbt.artifacts import BUILT_TYPES, Manifest, Node, NodeResult, RunResults
from dbx_cd.dbt.lookup import require_model, require_source
from dbx_cd.dbt.names import numbered
from dbx_cd.errors import DbxCdError
from dbx_cd.relations import RelationName

_SENSITIVE = ("sensitive", "pii")
# dbt's event of a data test's result.
_WARNING = "LogTestResult"
_NOT_BUILT = "not built in this release"


class NotBuilt(Exception):
    """The relation a check needs does not belong to this release."""

    def __init__(self, node: Node) -> None:
        super().__init__(_NOT_BUILT + _why(node))
        self.node = node
        """What was not built."""


def _why(node: Node) -> str:
    """Why a node was not built, where that is known."""
    return f": its file {node.path} is empty" if node.is_blank else ""


@dataclass(frozen=True)
class Build:
    """The build under test: what it defined and what became of each node."""

    manifest: Manifest
    """What the project defines, for the target it was built in."""
    run_results: RunResults
    """How each node of the build ended."""
    kept: frozenset[str] = frozenset()
    """The unique ids of what was asked for, found unchanged: it stands as if it were built."""

    def result(self, unique_id: str | None) -> NodeResult | None:
        """How a node ended in this build; None when it was not part of it."""
        return self._by_id.get(unique_id or "")

    @cached_property
    def warnings_fail(self) -> bool:
        """Whether a data test that warns has failed, by the flags `warn_error` and `warn_error_options` of this build.

        As in `build_test_run_result` of dbt-core 1.11; of the options as `WarnErrorOptionsV2` of dbt-common reads them.
        """
        options = self.run_results.args.get("warn_error_options") or {}
        error, others = options.get("error") or (), (*(options.get("warn") or ()), *(options.get("silence") or ()))
        named = error in ("all", "*") or _WARNING in error
        return bool(self.run_results.args.get("warn_error")) or (named and _WARNING not in others)

    @cached_property
    def _by_id(self) -> Mapping[str, NodeResult]:
        return {r.unique_id: r for r in self.run_results.results}

    def find(self, model: str, *, package: str | None = None, version: object = None) -> Node:
        """The model, seed or snapshot that a name means, see `require_model`.

        Raises:
            DbxCdError: the project has none, and the message suggests the nearest name; or it may mean several.
        """
        return require_model(self.manifest, model, package=package, version=version)

    def built(self, node: Node) -> RelationName:
        """The relation of a node that this build made, or of a source.

        Raises:
            NotBuilt: the node was not part of the build.
            DbxCdError: its build failed, or it has no relation.
        """
        if node.relation is None or node.is_ephemeral:
            raise DbxCdError(f"{node.name} is ephemeral and has no table to look at")
        if node.resource_type == "source":
            return node.relation
        result = self.result(node.unique_id)
        if result is None and node.unique_id in self.kept:
            return node.relation
        if result is None:
            raise NotBuilt(node)
        if result.failed or result.status == "skipped":
            raise DbxCdError(f"the build of {node.name} ended with {result.status}")
        return node.relation

    def available(self, node: Node, exists: Callable[[RelationName], bool]) -> RelationName:
        """The relation this build made for a node, or one of its target that is there from before.

        Raises:
            NotBuilt: neither.
        """
        try:
            return self.built(node)
        except NotBuilt:
            if node.relation is not None and exists(node.relation):
                return node.relation
            raise

    def made_any(self, unique_ids: Iterable[str]) -> bool:
        """Whether this build made any of these nodes; also where nothing is known of what is read.

        An ephemeral model is made where something that reads it was, since its code is in that, or something it reads.
        A test that names its tables by itself, without `ref`, is about anything.
        """
        asked = tuple(unique_ids)
        return not asked or any(map(self._was_made, self.manifest.select(asked)))

    def _was_made(self, node: Node) -> bool:
        if node.is_ephemeral:
            return node.unique_id in self._compiled_in or any(
                map(self._was_made, self.manifest.select(node.depends_on))
            )
        return node.resource_type in BUILT_TYPES and self.stands(node)

    def stands(self, node: Node) -> bool:
        """Whether it was built, or found unchanged."""
        return self.result(node.unique_id) is not None or node.unique_id in self.kept

    @cached_property
    def _compiled_in(self) -> frozenset[str]:
        """The ephemeral models whose code is in what this build made."""
        found: set[str] = set()
        readers = [node for node in self.manifest.select((*self._by_id, *self.kept)) if node.builds_relation]
        while readers:
            read = self.manifest.select({parent for node in readers for parent in node.depends_on} - found)
            readers = [node for node in read if node.is_ephemeral]
            found |= {node.unique_id for node in readers}
        return frozenset(found)

    def left_out(self, unique_ids: Iterable[str]) -> list[Node]:
        """Those of these models, seeds and snapshots that this build did not make; an ephemeral one is what it reads.

        Their tables, where there are any, are of an earlier release, or of the state that was deferred to.
        """
        return [node for node in self._with_tables(unique_ids) if not self.stands(node)]

    def _with_tables(self, unique_ids: Iterable[str]) -> Iterator[Node]:
        for node in self.manifest.select(unique_ids):
            if node.is_ephemeral:
                yield from self._with_tables(node.depends_on)
            elif node.resource_type in BUILT_TYPES:
                yield node

    @property
    def favors_state(self) -> bool:
        """Whether refs to nodes outside the build meant the state's relations, even where the target has its own."""
        return bool(self.run_results.args.get("favor_state"))

    def compiled(self, test_id: str | None) -> str | None:
        """The SQL of a data test as dbt compiled it in this build, if it did."""
        test = self.manifest.nodes.get(test_id or "")
        return test.raw.get("compiled_code") if test is not None and test.resource_type == "test" else None

    def reads(self, source: Node) -> bool:
        """Whether a node of this build reads the source."""
        made = self.manifest.select((*self._by_id, *self.kept))
        return any(source.unique_id in n.depends_on for n in made if n.builds_relation)


def render(sql: str, build: Build, exists: Callable[[RelationName], bool]) -> tuple[str, list[Node]]:
    """An assertion with its `ref` and `source` calls replaced, and the nodes they name.

    Raises:
        DbxCdError: the template is malformed or names something the project does not have.
        NotBuilt: this release built none of its models, or one of them is not there.
    """
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    nodes: list[Node] = []

    def ref(first: str, second: str | None = None, *, version: object = None, v: object = None) -> str:
        package, name = (None, first) if second is None else (first, second)
        node = build.find(name, package=package, version=v if version is None else version)
        nodes.append(node)
        return build.available(node, exists).quoted

    def source(name: str, table: str) -> str:
        node = require_source(build.manifest, name, table)
        nodes.append(node)
        return build.built(node).quoted

    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.globals.clear()
    try:
        rendered = environment.from_string(sql).render(ref=ref, source=source)
    except (DbxCdError, NotBuilt):
        raise
    except Exception as exc:  # also what Python says of an expression, such as 1/0
        raise DbxCdError(f"the template cannot be rendered: {exc}") from exc
    if nodes and not any(build.stands(n) or n.resource_type == "source" for n in nodes):
        raise NotBuilt(next((n for n in nodes if n.is_blank), nodes[0]))
    return rendered, nodes


def left_out_in_words(left_out: Iterable[Node]) -> str:
    """What was not built, and why where that is known: `orders was not built in this release`; "" for nothing."""
    named = {numbered(node): _why(node) for node in left_out}
    return "; ".join(f"{name} was {_NOT_BUILT}{why}" for name, why in named.items())


def sensitive_columns(node: Node) -> frozenset[str]:
    """The columns, in lower case, whose tags or meta say that their values must not be shown."""
    found = set()
    for name, column in node.columns.items():
        config = column.get("config") or {}
        meta = {**(column.get("meta") or {}), **(config.get("meta") or {})}
        tags = {str(t).lower() for t in (*(column.get("tags") or ()), *(config.get("tags") or ()))}
        tags |= {str(k).lower() for k in (column.get("databricks_tags") or {})}
        if tags.intersection(_SENSITIVE) or any(meta.get(word) for word in _SENSITIVE):
            found.add(name.lower())
    return frozenset(found)
