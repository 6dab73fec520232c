"""What the dbt project already promises: its data tests and enforced model contracts, as smoke checks.

Generic tests are read from `test_metadata` in the manifest, contracts from the model's `contract`, `columns` and
`constraints` (https://docs.getdbt.com/reference/resource-properties/constraints). Nobody writes them twice.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dbx_cd.dbt.artifacts import BUILT_TYPES, Manifest, Node
from dbx_cd.dbt.keys import constraints, enforces_contract, key_parent
from dbx_cd.dbt.lookup import nearest_model
from dbx_cd.dbt.names import all_names
from dbx_cd.errors import SuiteError
from dbx_cd.relations import quote, split_name
from dbx_cd.smoke.checks import Severity
from dbx_cd.smoke.contract import DEFAULT_CONDITION, DEFAULT_COUNT, Contract
from dbx_cd.smoke.suite import SmokeSuite

DOMAIN = "contracts"
TRANSLATED = ("unique", "not_null", "relationships", "accepted_values", "dbt_utils.unique_combination_of_columns")

_TEMPLATE = re.compile(r"\{[{%#]")
_WHERE = "get_where_subquery"
_ARGUMENTS = ("column_name", "values", "quote", "field", "combination_of_columns", "quote_columns")


def contracts_from_manifest(manifest: Manifest, *, select: str | Iterable[str] | None = None) -> SmokeSuite:
    """The data tests and enforced contracts of the selected models and sources.

    Singular tests, generic tests of other packages, and tests with templates that dbt fills in when it runs have no
    translation. They are listed all the same, each with its reason.

    Args:
        manifest: the artifacts' manifest.
        select: models by name, unique id or `tag:<tag>`, `*` allowed; one text with spaces or a list; None for all. As
            in dbt's own node selection a name without a version means all versions.

    Raises:
        SuiteError: a selector that is not understood or matches nothing.
    """
    chosen = _selector(manifest, select)
    contracts: list[Contract] = []
    for node in manifest.nodes.values():
        if node.resource_type == "test":
            contract = _from_test(manifest, node)
            if chosen(manifest.nodes.get(contract.subject_id)):
                contracts.append(contract)
    promised = {c.promise for c in contracts}
    for node in manifest.nodes.values():
        if node.resource_type in BUILT_TYPES and enforces_contract(node) and chosen(node):
            for contract in _from_model(manifest, node):
                if contract.promise not in promised:
                    promised.add(contract.promise)
                    contracts.append(contract)
    contracts.sort(key=lambda c: (c.model or "", c.name))
    return SmokeSuite(domain=DOMAIN, checks=tuple(contracts))


def selected_ids(manifest: Manifest, select: str | Iterable[str] | None) -> frozenset[str] | None:
    """The unique ids a selection names; None when nothing is selected and so everything is meant."""
    if select is None or select == "":
        return None
    words = select.split() if isinstance(select, str) else list(select)
    nodes = [n for n in manifest.nodes.values() if n.resource_type in (*BUILT_TYPES, "source")]
    found: set[str] = set()
    for word in words:
        matches = {n.unique_id for n in nodes if _matches(n, word)}
        if not matches:
            raise SuiteError(
                f"the selection {word!r} matches no model{nearest_model(manifest, word)}",
                next_step="name models, unique ids or tag:<tag>",
            )
        found |= matches
    return frozenset(found)


def _selector(manifest: Manifest, select: str | Iterable[str] | None) -> Callable[[Node | None], bool]:
    ids = selected_ids(manifest, select)
    return lambda node: ids is None or (node is not None and node.unique_id in ids)


def _matches(node: Node, word: str) -> bool:
    if word.startswith("tag:"):
        return any(fnmatch.fnmatchcase(tag, word[4:]) for tag in node.tags)
    return node.unique_id == word or any(fnmatch.fnmatchcase(name, word) for name in all_names(node))


def _from_test(manifest: Manifest, node: Node) -> Contract:
    test = node.test or {}
    kwargs = {**(test.get("kwargs") or {}), **((test.get("kwargs") or {}).get("arguments") or {})}
    full_name = ".".join(str(part) for part in (test.get("namespace"), test.get("name")) if part)
    subject_id = str(node.raw.get("attached_node") or next(iter(node.depends_on), ""))
    subject = manifest.nodes.get(subject_id)
    shared: dict[str, Any] = {
        "name": node.name,
        "where": node.path,
        "model": subject.name if subject else None,
        "version": subject.version if subject else None,
        "severity": _severity(node),
        "owner": owner_of(subject),
        "subject_id": subject_id,
        "checked_by": node.unique_id,
    }
    shared |= _thresholds(node)
    condition = node.config.get("where")
    reason = None
    if node.test is None:
        full_name, reason = "singular", "a singular test is SQL of its own; dbt build runs it"
    elif full_name not in TRANSLATED:
        reason = f"the dbt test {full_name} has no translation; dbt build runs it"
    else:
        reason = _not_understood(node, str(test.get("name")), kwargs)
    if reason:
        return Contract(**shared, rule=full_name, untranslated=reason)
    parent_id = None
    if full_name == "relationships":
        others = [i for i in node.depends_on if i != subject_id]
        parent_id = others[0] if others else subject_id
    columns = [str(c) for c in kwargs.get("combination_of_columns") or [kwargs.get("column_name")]]
    if kwargs.get("quote_columns"):
        columns = [quote(column) for column in columns]
    return Contract(
        **shared,
        rule="unique_combination" if "." in full_name else full_name,
        columns=tuple(columns),
        values=tuple(str(v) for v in kwargs.get("values") or ()),
        quoted=bool(kwargs.get("quote", True)),
        parent_id=parent_id,
        parent_column=str(kwargs.get("field") or ""),
        condition=str(condition) if condition else None,
    )


def _thresholds(node: Node) -> dict[str, Any]:
    """What a data test's config says of how many failures are too many."""
    config = node.config
    texts = {
        key: str(default if config.get(key) is None else config[key]).strip()
        for key, default in (
            ("fail_calc", DEFAULT_COUNT),
            ("warn_if", DEFAULT_CONDITION),
            ("error_if", DEFAULT_CONDITION),
        )
    }
    templates = [key for key, text in texts.items() if _is_template(text)]
    reason = f"its `{templates[0]}` is a template that only dbt can fill in" if templates else None
    if config.get("sql_header"):
        reason = "it begins with statements of its own, its `sql_header`, and smoke tests run queries alone"
    limit = config.get("limit")
    return {
        **texts,
        "limit": None if limit is None else int(limit),
        "stored": bool(config.get("store_failures")),
        "judged_by_dbt": reason,
    }


def _not_understood(node: Node, name: str, kwargs: Mapping[str, Any]) -> str | None:
    """Why a generic test of a translated name has no translation all the same."""
    package = next((m.split(".")[1] for m in _macros(node) if m.endswith(f".test_{name}")), "dbt")
    if package not in ("dbt", "dbt_utils"):
        return f"`{name}` is here a test of the project's own, in {package}; dbt build runs it"
    # dbt's page on `where` shows how to replace this macro: https://docs.getdbt.com/reference/resource-configs/where
    if any(m.endswith(f".{_WHERE}") and m != f"macro.dbt.{_WHERE}" for m in _macros(node)) and node.config.get("where"):
        return f"`{_WHERE}` is the project's own, and says what its `where` means"
    if _is_template(node.config.get("where")):
        return "its `where` is a template that only dbt can fill in"
    for key in _ARGUMENTS:
        if _is_template(kwargs.get(key)):
            return f"its `{key}` is a template that only dbt can fill in"
    if len([i for i in node.depends_on if i != node.raw.get("attached_node")]) > 1:
        return "it reads more than two relations; dbt build runs it"
    return None


def _macros(node: Node) -> list[str]:
    return [str(macro) for macro in (node.raw.get("depends_on") or {}).get("macros") or ()]


def _is_template(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(isinstance(v, str) and _TEMPLATE.search(v) is not None for v in values)


def _from_model(manifest: Manifest, node: Node) -> Iterator[Contract]:
    shared: dict[str, Any] = {
        "where": node.path,
        "model": node.name,
        "version": node.version,
        "owner": owner_of(node),
        "subject_id": node.unique_id,
    }
    types = {name: str(c.get("data_type") or "") for name, c in node.columns.items()}
    # dbt compares names and types before it builds an enforced model; Delta enforces NOT NULL and CHECK on tables.
    # Primary, foreign and unique keys are informational on Databricks, so nobody has verified them yet.
    # https://docs.databricks.com/aws/en/tables/constraints
    enforced = node.unique_id if node.materialized != "view" else None
    name = f"{node.name}: columns"
    yield Contract(**shared, name=name, rule="columns", checked_by=node.unique_id, data_types=types)
    for constraint in constraints(node):
        kind, columns = str(constraint.get("type")), tuple(constraint["columns"])
        about = ", ".join(columns) or str(constraint.get("name") or constraint.get("expression"))
        label = f"{node.name}: {kind.replace('_', ' ')} ({about})"
        if kind in ("not_null", "primary_key"):
            for column in columns:
                yield Contract(
                    **shared,
                    name=f"{node.name}: not null ({column})",
                    rule="not_null",
                    checked_by=enforced,
                    columns=(column,),
                )
        if kind in ("unique", "primary_key") and columns:
            rule = "unique" if len(columns) == 1 else "unique_combination"
            yield Contract(**shared, name=label, rule=rule, checked_by=None, columns=columns)
        if kind == "foreign_key":
            yield _foreign_key(manifest, node, constraint, shared | {"name": label})
        if kind == "check":
            yield Contract(
                **shared, name=label, rule="check", checked_by=enforced, expression=str(constraint.get("expression"))
            )


def _foreign_key(manifest: Manifest, node: Node, constraint: Mapping[str, Any], shared: Mapping[str, Any]) -> Contract:
    parent_columns = constraint.get("to_columns") or []
    to = str(constraint.get("to") or "")
    columns = tuple(str(c) for c in constraint["columns"])
    if not to or len(columns) != 1 or len(parent_columns) != 1:
        reason = "only a foreign key of one column, written with `to` and `to_columns`, can be executed"
        return Contract(**shared, rule="relationships", checked_by=None, columns=columns, untranslated=reason)
    parent = key_parent(manifest, to) or _namesake(manifest, node, to)
    names_parent = parent is not None and parent.relation is not None and parent.relation.key == _plain(to)
    return Contract(
        **shared,
        rule="relationships",
        checked_by=None,
        columns=columns,
        # Of what no node is, the check is broken for that: the manifest has no such node.
        parent_id=to if parent is None else parent.unique_id,
        parent_column=quote(str(parent_columns[0])),
        names_parent=names_parent,
    )


def _plain(name: str) -> str:
    return ".".join(split_name(name)).lower()


def _namesake(manifest: Manifest, node: Node, to: str) -> Node | None:
    """The one node among what a model depends on whose relation in another environment is meant.

    dbt compiles a key to the relation that a ref is deferred to (dbt-core 1.11, `compilation.py`), so a manifest of
    production may name staging's; the node is among what the model depends on all the same.
    """
    parts = split_name(to)
    others = [p for p in manifest.select(node.depends_on) if p.relation is not None]
    found = [p for p in others if p.relation and parts and p.relation.identifier.lower() == parts[-1].lower()]
    return found[0] if len(found) == 1 else None


def _severity(node: Node) -> Severity:
    return "warn" if str(node.config.get("severity") or "error").lower() == "warn" else "error"


def owner_of(node: Node | None) -> str | None:
    """Who answers for a model or a source: `owner` in its `meta`, or its group; None where nobody is named."""
    if node is None:
        return None
    meta = node.config.get("meta") or node.raw.get("meta") or {}
    owner = meta.get("owner") or node.raw.get("group")
    return str(owner) if owner else None
