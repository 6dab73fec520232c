"""What the dbt project already promises: its data tests and enforced model contracts, as smoke checks.

Generic tests are read from `test_metadata` in the manifest, contracts from the model's `contract`, `columns` and
`constraints` (https://docs.getdbt.com/reference/resource-properties/constraints). Nobody writes them twice.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dbx_cd.dbt.artifacts import BUILT_TYPES, Manifest, Node
from dbx_cd.dbt.names import all_names
from dbx_cd.errors import SuiteError
from dbx_cd.relations import quote, string_literal
from dbx_cd.smoke.checks import Check, Severity
from dbx_cd.smoke.suite import SmokeSuite

DOMAIN = "contracts"
OWN_COUNT = "fail_calc"
TRANSLATED = ("unique", "not_null", "relationships", "accepted_values", "dbt_utils.unique_combination_of_columns")

_IDENTIFIER = re.compile(r"`?(\w+)`?")
_DEFAULT_CONDITION = "!= 0"
_DEFAULT_COUNT = "count(*)"


@dataclass(frozen=True, kw_only=True)
class Contract(Check):
    """One promise of the dbt project."""

    KIND: ClassVar[str] = "contract"

    rule: str
    """What is promised: `unique`, `not_null`, `relationships`, ..., or the dbt test's name."""
    subject_id: str
    """The unique id of the model or source it is about."""
    checked_by: str | None
    """The dbt node that verifies it when built; None when dbt never does."""
    columns: tuple[str, ...] = ()
    """The columns it is about, as they go into SQL."""
    values: tuple[str, ...] = ()
    """The accepted values."""
    quoted: bool = True
    """Whether the accepted values are text."""
    parent_id: str | None = None
    """The unique id of the model that a relationship leads to."""
    parent_column: str = ""
    """The column of the parent, as it goes into SQL."""
    condition: str | None = None
    """dbt's `where`: keeps only the rows that meet it, in SQL."""
    warn_if: str = _DEFAULT_CONDITION
    """It warns when the number of failures meets this, as dbt writes it: `> 10`."""
    error_if: str = _DEFAULT_CONDITION
    """It fails when the number of failures meets this, as dbt writes it."""
    expression: str = ""
    """The SQL of a check constraint."""
    data_types: Mapping[str, str] = field(default_factory=dict)
    """The columns and data types of an enforced contract."""
    untranslated: str | None = None
    """Why it cannot be executed here; None when it can."""

    @property
    def counts(self) -> bool:
        """Whether the number of failures matters, not only whether there are any."""
        return (self.warn_if, self.error_if) != (_DEFAULT_CONDITION, _DEFAULT_CONDITION)

    @property
    def promise(self) -> tuple[object, ...]:
        """What is promised, to recognise the same promise made twice."""
        names = tuple(sorted(c.lower() for c in self.columns))
        return (self.subject_id, self.rule, names, self.condition, self.values, self.expression)

    def expectation(self) -> tuple[str, dict[str, Any]] | None:
        """The expectation that says the same of the rows that `condition` keeps; None when only a query does."""
        if self.rule == "columns":
            return "expect_column_data_types", {"data_types": dict(self.data_types)}
        plain = [match[1] for match in map(_IDENTIFIER.fullmatch, self.columns) if match]
        if self.counts or len(plain) != len(self.columns):
            return None
        if self.rule == "unique":
            return "expect_column_values_to_be_unique", {"column": plain[0]}
        if self.rule == "not_null":
            return "expect_column_values_to_not_be_null", {"column": plain[0]}
        if self.rule == "accepted_values" and self.quoted:
            return "expect_column_values_to_be_in_set", {"column": plain[0], "value_set": list(self.values)}
        if self.rule == "unique_combination":
            arguments = {"column_list": plain, "ignore_row_if": "never"}
            return "expect_compound_columns_to_be_unique", arguments
        return None

    def failures_query(self, relation: str, parent: str | None = None) -> str:
        """The failing rows or values, as dbt's own test of that name selects them, over quoted relations."""
        source = f"(select * from {relation} where {self.condition})" if self.condition else relation
        column = self.columns[0] if self.columns else ""
        if self.rule == "unique":
            return f"select {column} from {source} where {column} is not null group by {column} having count(*) > 1"
        if self.rule == "not_null":
            return f"select * from {source} where {column} is null"
        if self.rule == "accepted_values":
            listed = ", ".join(string_literal(v) if self.quoted else v for v in self.values)
            return f"select {column} from {source} group by {column} having {column} not in ({listed})"
        if self.rule == "relationships":
            # An anti join asks what dbt's `relationships` asks; Great Expectations has no expectation over two tables.
            return (
                f"select child.* from (select *, {column} as __key from {source}) as child"
                f" left anti join {parent} as parent on child.__key = parent.{self.parent_column}"
                f" where child.__key is not null"
            )
        if self.rule == "check":
            return f"select * from {source} where not ({self.expression})"
        names = ", ".join(self.columns)
        return f"select {names} from {source} group by {names} having count(*) > 1"


def contracts_from_manifest(manifest: Manifest, *, select: str | Iterable[str] | None = None) -> SmokeSuite:
    """The data tests and enforced contracts of the selected models and sources.

    Singular tests and generic tests of other packages have no translation; they are listed all the same.

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
        if node.resource_type in BUILT_TYPES and (node.config.get("contract") or {}).get("enforced") and chosen(node):
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
                f"the selection {word!r} matches no model", next_step="name models, unique ids or tag:<tag>"
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
        "owner": _owner(subject),
        "subject_id": subject_id,
        "checked_by": node.unique_id,
    }
    condition = node.config.get("where")
    reason = None
    if node.test is None:
        full_name, reason = "singular", "a singular test is SQL of its own; dbt build runs it"
    elif full_name not in TRANSLATED:
        reason = f"the dbt test {full_name} has no translation; dbt build runs it"
    elif str(node.config.get("fail_calc") or _DEFAULT_COUNT).strip().lower() != _DEFAULT_COUNT:
        full_name, reason = OWN_COUNT, "its `fail_calc` counts failures in a way of its own; dbt build runs it"
    elif condition and "{{" in str(condition):
        reason = "its `where` is a template that only dbt can render"
    if reason:
        return Contract(**shared, rule=full_name, untranslated=reason)
    parent_id = None
    if full_name == "relationships":
        others = [i for i in node.depends_on if i != subject_id]
        parent_id = others[0] if others else subject_id
    columns = kwargs.get("combination_of_columns") or [kwargs.get("column_name")]
    return Contract(
        **shared,
        warn_if=str(node.config.get("warn_if") or _DEFAULT_CONDITION).strip(),
        error_if=str(node.config.get("error_if") or _DEFAULT_CONDITION).strip(),
        rule="unique_combination" if "." in full_name else full_name,
        columns=tuple(str(c) for c in columns),
        values=tuple(str(v) for v in kwargs.get("values") or ()),
        quoted=bool(kwargs.get("quote", True)),
        parent_id=parent_id,
        parent_column=str(kwargs.get("field") or ""),
        condition=str(condition) if condition else None,
    )


def _from_model(manifest: Manifest, node: Node) -> Iterator[Contract]:
    shared: dict[str, Any] = {
        "where": node.path,
        "model": node.name,
        "version": node.version,
        "owner": _owner(node),
        "subject_id": node.unique_id,
    }
    types = {name: str(c.get("data_type") or "") for name, c in node.columns.items()}
    # dbt compares names and types before it builds an enforced model; Delta enforces NOT NULL and CHECK on tables.
    # Primary, foreign and unique keys are informational on Databricks, so nobody has verified them yet.
    # https://docs.databricks.com/aws/en/tables/constraints
    enforced = node.unique_id if node.materialized != "view" else None
    name = f"{node.name}: columns"
    yield Contract(**shared, name=name, rule="columns", checked_by=node.unique_id, data_types=types)
    for constraint in _constraints(node):
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
            yield _foreign_key(manifest, constraint, shared | {"name": label})
        if kind == "check":
            yield Contract(
                **shared, name=label, rule="check", checked_by=enforced, expression=str(constraint.get("expression"))
            )


def _constraints(node: Node) -> Iterator[dict[str, Any]]:
    for constraint in node.raw.get("constraints") or ():
        yield {**constraint, "columns": constraint.get("columns") or []}
    for name, column in node.columns.items():
        for constraint in column.get("constraints") or ():
            yield {**constraint, "columns": [name]}


def _foreign_key(manifest: Manifest, constraint: Mapping[str, Any], shared: Mapping[str, Any]) -> Contract:
    parent_columns = constraint.get("to_columns") or []
    to = str(constraint.get("to") or "")
    parent = next((p for p in manifest.nodes.values() if p.relation and to and _same_relation(p, to)), None)
    columns = tuple(str(c) for c in constraint["columns"])
    if parent is None or len(columns) != 1 or len(parent_columns) != 1:
        reason = "only a foreign key of one column, written with `to` and `to_columns`, can be executed"
        return Contract(**shared, rule="relationships", checked_by=None, columns=columns, untranslated=reason)
    return Contract(
        **shared,
        rule="relationships",
        checked_by=None,
        columns=columns,
        parent_id=parent.unique_id,
        parent_column=quote(str(parent_columns[0])),
    )


def _same_relation(node: Node, text: str) -> bool:
    return node.relation is not None and str(node.relation).lower() == text.replace("`", "").lower()


def _severity(node: Node) -> Severity:
    return "warn" if str(node.config.get("severity") or "error").lower() == "warn" else "error"


def _owner(node: Node | None) -> str | None:
    if node is None:
        return None
    meta = node.config.get("meta") or node.raw.get("meta") or {}
    owner = meta.get("owner") or node.raw.get("group")
    return str(owner) if owner else None
