"""What dbt writes: `manifest.json`, `run_results.json`, `sources.json`, `catalog.json`, as small dataclasses.

Only what dbx_cd uses is modelled; `Node.raw` keeps the rest. Format: https://schemas.getdbt.com (manifest v12,
run-results v6, sources v3), read with tolerance for fields that come and go between versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from dbx_cd.dbt.batches import naming, unbuilt_batches
from dbx_cd.dbt.json_files import read_json, reading
from dbx_cd.dbt.manifest_schema import refuse_other_schemas
from dbx_cd.dbt.names import named
from dbx_cd.dbt.timing import Timing, timing_of
from dbx_cd.errors import ArtifactError
from dbx_cd.relations import RelationName

BUILT_TYPES = ("model", "seed", "snapshot")
_NODE_GROUPS = (
    *("nodes", "sources", "exposures", "unit_tests"), *("functions", "semantic_models", "metrics", "saved_queries")
)  # fmt: skip
# What dbt says of a node that did not fail (dbt-core 1.11, `NodeStatus` in artifacts/schemas/results.py; `reused` is
# later dbt's). Any other word, also one that this code does not know, is a failure.
_NOT_FAILED = ("success", "pass", "warn", "no-op", "skipped", "reused")


@dataclass(frozen=True)
class Node:
    """A node of the manifest: model, seed, snapshot, test, source, exposure, ..."""

    unique_id: str
    """dbt's own id, such as `model.shop.orders`."""
    name: str
    """The name that `ref` takes."""
    resource_type: str
    """`model`, `seed`, `snapshot`, `test`, `source`, `exposure`, ..."""
    relation: RelationName | None
    """Where it is in the target's catalog; None for what makes no relation."""
    tags: tuple[str, ...]
    """Its tags, those inherited from folders included."""
    depends_on: tuple[str, ...]
    """The unique ids of the nodes that it reads."""
    path: str
    """The file that defines it, relative to the project."""
    raw: Mapping[str, Any] = field(repr=False, compare=False)
    """The whole entry of the manifest."""

    @property
    def config(self) -> Mapping[str, Any]:
        """The node's resolved config."""
        config: Mapping[str, Any] = self.raw.get("config") or {}
        return config

    @property
    def package(self) -> str:
        """The dbt package that defines it."""
        return str(self.raw.get("package_name") or self.unique_id.split(".")[1])

    @property
    def version(self) -> str | None:
        """The version of a versioned model; None for anything else."""
        version = self.raw.get("version")
        return None if version is None or self.resource_type != "model" else str(version)

    @property
    def is_latest(self) -> bool:
        """Whether `ref` without a version means this one."""
        return self.version is None or self.raw["version"] == self.raw.get("latest_version")

    @property
    def materialized(self) -> str:
        """The materialization; "" for what is not materialized."""
        return str(self.config.get("materialized") or "")

    @property
    def columns(self) -> Mapping[str, Mapping[str, Any]]:
        """The columns documented in the project, by name."""
        columns: Mapping[str, Mapping[str, Any]] = self.raw.get("columns") or {}
        return columns

    @property
    def test(self) -> Mapping[str, Any] | None:
        """`test_metadata` of a generic test: its name and arguments; None for anything else."""
        return self.raw.get("test_metadata")

    @property
    def is_ephemeral(self) -> bool:
        """Whether the model exists only as a CTE in others."""
        return self.materialized == "ephemeral"

    @property
    def is_blank(self) -> bool:
        """Whether its file is empty: dbt lists it, and leaves it out of every build without a word.

        As `CompiledNode.empty` and `NodeSelector` of dbt-core 1.11; a seed never is, though it has no code.
        """
        code = self.raw.get("raw_code")
        return self.resource_type in ("model", "snapshot") and isinstance(code, str) and not code.strip()

    @property
    def builds_relation(self) -> bool:
        """Whether building this node makes or changes a relation."""
        return self.resource_type in BUILT_TYPES and self.relation is not None and not self.is_ephemeral


@dataclass(frozen=True)
class Manifest:
    """A parsed `manifest.json`."""

    metadata: Mapping[str, Any] = field(repr=False)
    """What dbt says of the manifest: project, dbt version, adapter, time."""
    nodes: Mapping[str, Node] = field(repr=False)
    """Every node, source, exposure, unit test and metric, by unique id."""
    macros: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    """The entry of every macro, dbt's own included, by unique id."""

    @classmethod
    def load(cls, path: str | Path) -> Manifest:
        """Read a manifest file.

        Raises:
            ArtifactError: the file is missing, is not a manifest, or is one of a schema that is not read.
        """
        with reading("a dbt manifest", path):
            return cls.from_json(read_json(path), where=path)

    @classmethod
    def from_json(cls, document: Mapping[str, Any], *, where: object = None) -> Manifest:
        """Take a parsed manifest document; `where` is named in errors.

        Raises:
            ArtifactError: it is not one of dbt's, or of another schema than dbt 1.8 to 1.12 write.
        """
        if "nodes" not in document or "metadata" not in document:
            raise ArtifactError("not a dbt manifest: `nodes` or `metadata` is missing", where=where)
        refuse_other_schemas(document["metadata"], where=where)
        found = (raw for group in _NODE_GROUPS for raw in (document.get(group) or {}).values())
        nodes = {n.unique_id: n for n in map(_node, found)}
        return cls(metadata=document["metadata"], nodes=nodes, macros=document.get("macros") or {})

    @property
    def project_name(self) -> str:
        """The name of the root project."""
        return str(self.metadata.get("project_name") or "")

    @cached_property
    def relations(self) -> Mapping[str, Node]:
        """The nodes that build a relation, by `RelationName.key`."""
        return {n.relation.key: n for n in self.nodes.values() if n.builds_relation and n.relation}

    def by_name(self, name: str, *, package: str | None = None, version: object = None) -> Node | None:
        """The model, snapshot or seed that a name means, as dbt's `ref` reads it; None when there is none.

        Args:
            name: as `ref` or node selection takes it, see `dbx_cd.dbt.names.named`.
            package: the package, where that is given by itself.
            version: the version, where that is given by itself.

        Raises:
            DbxCdError: it may mean several; the message names them.
        """
        nodes = (n for n in self.nodes.values() if n.resource_type in BUILT_TYPES)
        return named(nodes, name, root=self.project_name, package=package, version=version)

    def source(self, source_name: str, table: str) -> Node | None:
        """The source table that `source()` means in the root project; None when there is none.

        Raises:
            DbxCdError: several packages have it, and the root project does not.
        """
        wanted = (source_name, table)
        found = [n for n in self.nodes.values() if n.resource_type == "source"]
        same = (n for n in found if (n.raw.get("source_name"), n.name) == wanted)
        return named(same, table, root=self.project_name)

    def select(self, unique_ids: Iterable[str]) -> Iterator[Node]:
        """The nodes of these ids that the manifest knows, in the order given."""
        return (self.nodes[i] for i in unique_ids if i in self.nodes)


def _node(raw: Mapping[str, Any]) -> Node:
    relation = None
    if raw.get("relation_name"):
        identifier = raw.get("alias") or raw.get("identifier") or raw["name"]
        relation = RelationName(str(raw.get("database") or ""), str(raw["schema"]), str(identifier))
    depends_on = (raw.get("depends_on") or {}).get("nodes") or ()
    return Node(
        unique_id=raw["unique_id"],
        name=raw["name"],
        resource_type=raw["resource_type"],
        relation=relation,
        tags=tuple(raw.get("tags") or ()),
        depends_on=tuple(depends_on),
        path=str(raw.get("original_file_path") or ""),
        raw=raw,
    )


@dataclass(frozen=True)
class NodeResult:
    """How one node ended in one dbt invocation."""

    unique_id: str
    """dbt's own id of the node."""
    status: str
    """dbt's word: `success`, `error`, `pass`, `fail`, `warn`, `skipped`, ..."""
    seconds: float
    """How long it took to execute."""
    message: str | None = None
    """What dbt or the database said of it; of a microbatch model also which batches were not built."""
    failures: int | None = None
    """How many rows a data test found; None for anything else."""
    relation_name: str | None = None
    """The relation it built, quoted, as dbt writes it."""
    unbuilt: tuple[str, ...] = ()
    """The batches of a microbatch model that failed or were not run, each as `2026-01-02 to 2026-01-03`."""
    timing: Timing | None = None
    """When it ran, and in which thread; None where dbt did not run it, or was ended."""

    @property
    def name(self) -> str:
        """The node's own name, without type and package: of a versioned model with its version, of a unit test with
        the model that it tests."""
        parts = self.unique_id.split(".")
        rest = parts[2:] if self.resource_type in ("model", "unit_test") else parts[2:3]
        return ".".join(rest) or self.unique_id

    @property
    def resource_type(self) -> str:
        """The first part of the unique id."""
        return self.unique_id.split(".", 1)[0]

    @property
    def failed(self) -> bool:
        """Whether the node failed; a skipped node did not run and did not fail."""
        return is_failure(self.status)


def is_failure(status: str) -> bool:
    """Whether dbt's word for how a node ended says that it failed."""
    return status not in _NOT_FAILED


@dataclass(frozen=True)
class RunResults:
    """A parsed `run_results.json`."""

    command: str
    """The dbt command: `build`, `run`, `test`, ..."""
    results: tuple[NodeResult, ...]
    """One result for each node that was selected."""
    args: Mapping[str, Any] = field(repr=False)
    """The flags dbt ran with, by name."""
    metadata: Mapping[str, Any] = field(repr=False)
    """What dbt says of the file: dbt version, invocation id, time."""
    elapsed: float | None = None
    """Seconds that all of it took after parsing, hooks included; None where dbt does not say."""

    @classmethod
    def load(cls, path: str | Path) -> RunResults:
        """Read a run results file.

        Raises:
            ArtifactError: the file is missing or is not run results.
        """
        document = read_json(path)
        if "results" not in document:
            raise ArtifactError("not dbt run results: `results` is missing", where=path)
        with reading("dbt run results", path):
            return cls(
                command=str((document.get("args") or {}).get("which") or ""),
                results=tuple(_result(r) for r in document["results"]),
                args=document.get("args") or {},
                metadata=document.get("metadata") or {},
                elapsed=document.get("elapsed_time"),
            )

    @property
    def ok(self) -> bool:
        """Whether no node failed and none was skipped because another failed."""
        return not any(r.failed or r.status == "skipped" for r in self.results)

    @property
    def failed(self) -> tuple[NodeResult, ...]:
        """The nodes that failed."""
        return tuple(r for r in self.results if r.failed)


def _result(raw: Mapping[str, Any]) -> NodeResult:
    unbuilt = unbuilt_batches(raw)
    return NodeResult(
        unique_id=raw["unique_id"],
        status=str(raw["status"]),
        seconds=float(raw.get("execution_time") or 0.0),
        message=naming(raw.get("message"), unbuilt),
        failures=raw.get("failures"),
        relation_name=raw.get("relation_name"),
        unbuilt=unbuilt,
        timing=timing_of(raw),
    )
