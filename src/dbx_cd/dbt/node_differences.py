"""In what two manifests' entries of one node differ, by what `state:modified` of dbt-core 1.11 compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dbx_cd.dbt.artifacts import Node

# `same_contents` of dbt-core 1.11's contracts/graph/nodes.py and of its configs: what else a kind of node has. Of
# dbt-core 1.12, read only: the overloads of functions, and by files alone what else it adds.
_FIELDS = {
    "model": ("latest_version", "access", "deprecation_date"),
    "source": ("quoting", "freshness", "external"),
    "exposure": ("type", "owner", "maturity", "url", "description", "label", "depends_on"),
    "function": ("arguments", "returns", "overloads"),
    "metric": ("filter", "metadata", "type", "type_params", "description", "label"),
    "semantic_model": ("model", "description", "defaults", "entities", "dimensions", "measures", "primary_entity"),
    "saved_query": ("query_params", "description", "label", "exports"),
}
_TEST_CONFIG = (
    "severity", "where", "limit", "fail_calc", "warn_if", "error_if", "store_failures", "store_failures_as",
)  # fmt: skip
_PLACE = ("database", "schema", "alias")
_PLACE_OF_SOURCE = ("unrendered_database", "unrendered_schema", "identifier")
_NOT_COMPARED = (*_PLACE, "tags", "group")
# `ColumnInfo` of dbt-core 1.11 and 1.12 (artifacts/resources/v1/components.py): what else a column has is an adapter's.
_COLUMN = (
    "name", "description", "meta", "data_type", "constraints", "quote", "config", "tags", "granularity", "doc_blocks",
    "dimension", "entity",
)  # fmt: skip
_BY_CHECKSUM = ("seed", "unit_test")
_WITHOUT_BODY = ("source", "exposure", "metric", "semantic_model", "saved_query")
_BY_PATH = "path"
MOVED = "relation "
"""What a difference between two relations begins with."""
# Code is not rendered, and where a file lies is not in it; what `doc` brings is in other files.
_NEVER_OUTSIDE = ("code", "description", "path")


@dataclass(frozen=True)
class Difference:
    """One thing that differs."""

    what: str
    """In words: `code`, `config materialized`, `description`, `path`, `relation`, `contract`, `columns`, or a field's
    name."""
    written: bool
    """Whether it is written otherwise, as far as the manifests tell: its value alone may differ by an environment."""
    seen: bool = True
    """Whether dbt compares it."""

    def may_be_outside(self, node: Node, *, same_files: bool | None) -> bool:
        """Whether an environment or an upgrade may be all that makes it differ.

        Args:
            node: the node.
            same_files: whether all that is written of the node is the same; None where the files are not there.
        """
        if self.what in _NEVER_OUTSIDE or node.resource_type == "unit_test":
            return False
        return not self.written if same_files is None else same_files


def differences(old: Node, new: Node) -> Iterator[Difference]:
    """All that differs, most telling first."""
    if _body(old) != _body(new):
        yield Difference("code", written=True)
    yield from _configs(old, new)
    if _contract(old) != _contract(new):
        yield Difference("contract", written=True)
    yield from _relation(old, new)
    if new.builds_relation and _column_settings(old) != _column_settings(new):
        yield Difference("columns", written=True, seen=False)
    if _descriptions(old, by=new) != _descriptions(new, by=new):
        yield Difference("description", written=True)
    if old.raw.get("fqn") != new.raw.get("fqn"):
        yield Difference("path", written=True)
    for name in _FIELDS.get(new.resource_type, ()):
        if (old.raw.get(name) or None) != (new.raw.get(name) or None):
            yield Difference(name, written=True)


def is_known_by_path(node: Node) -> bool:
    """Whether a seed is so large that dbt compares its path alone."""
    checksum = node.raw.get("checksum")
    return node.resource_type == "seed" and isinstance(checksum, dict) and checksum.get("name") == _BY_PATH


def _body(node: Node) -> Any:
    if node.resource_type in _BY_CHECKSUM:
        return None if is_known_by_path(node) else node.raw.get("checksum")
    return None if node.resource_type in _WITHOUT_BODY else node.raw.get("raw_code")


def _configs(old: Node, new: Node) -> Iterator[Difference]:
    a, b = _unrendered(old), _unrendered(new)
    names = [name for name in sorted({*a, *b}) if name not in _NOT_COMPARED]
    for name in names if new.resource_type != "test" else _TEST_CONFIG:
        if a.get(name, _NOTHING) != b.get(name, _NOTHING):
            yield Difference(f"config {name}", written=True)
        elif name in a and _rendered(old, name) != _rendered(new, name):
            yield Difference(f"config {name}", written=False, seen=False)


def _relation(old: Node, new: Node) -> Iterator[Difference]:
    a, b = old.raw.get("relation_name"), new.raw.get("relation_name")
    is_source = new.resource_type == "source"
    before, after = (node.raw if is_source else _unrendered(node) for node in (old, new))
    written = any(before.get(name) != after.get(name) for name in (_PLACE_OF_SOURCE if is_source else _PLACE))
    if a != b:
        # dbt compares it as it is written; of sources as it is, unless a flag says otherwise.
        yield Difference(f"{MOVED}{a} -> {b}", written=written, seen=written or is_source)
    elif written:
        yield Difference("relation", written=True)


def _contract(node: Node) -> Any:
    contract = node.raw.get("contract") or {}
    return (bool(contract.get("enforced")), contract.get("checksum") if contract.get("enforced") else None)


def _column_settings(node: Node) -> Any:
    """What is set of columns beside what dbt compares: masks, tags of the catalog, and of a contract their order.

    dbt-databricks sets the former with every build (`column_mask`, `databricks_tags`), and dbt selects the columns of a
    contract in the order of the properties (`get_select_subquery`).
    """
    settings = {
        (name, key): value
        for name, column in node.columns.items()
        for key, value in column.items()
        if key not in _COLUMN
    }
    is_enforced, _ = _contract(node)
    return settings, list(node.columns) if is_enforced else None


def _descriptions(node: Node, *, by: Node) -> Any:
    """Those that are written into the database, by the config of the newer state."""
    persisted = by.config.get("persist_docs")
    persisted = persisted if isinstance(persisted, dict) else {}
    columns = {name: column.get("description") for name, column in node.columns.items()}
    own = node.raw.get("description") if persisted.get("relation") else None
    return own, columns if persisted.get("columns") else None


def _unrendered(node: Node) -> Mapping[str, Any]:
    found: Mapping[str, Any] = node.raw.get("unrendered_config") or {}
    return found


def _rendered(node: Node, name: str) -> Any:
    """A config's value; hooks are called otherwise in the file than in the manifest."""
    return node.config.get(name.replace("_hook", "-hook"), node.config.get(name))


_NOTHING = object()
