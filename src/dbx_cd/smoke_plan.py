"""From a check to what is asked of which table, or straight to a result where there is nothing left to ask."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from dbx_cd.dbt_artifacts import BUILT_TYPES, Manifest, Node, NodeResult, RunResults
from dbx_cd.errors import DbxCdError
from dbx_cd.relations import RelationName
from dbx_cd.smoke_checks import Assertion, Check, Comparison, ExpectationCheck, InvalidCheck
from dbx_cd.smoke_contracts import Contract
from dbx_cd.smoke_report import CheckResult, Status

NO_ROWS = "expect_table_row_count_to_equal"
ROW_COUNT = "expect_table_row_count_to_be_between"
AGGREGATE = "expect_sql_aggregate_to_be_between"
PARALLEL_TABLES = 4
NOT_BUILT = "not built in this release"
BY_DBT = "checked by dbt build in this release"

_SENSITIVE = ("sensitive", "pii")
_FROM_DBT: dict[str, Status] = {"pass": "pass", "success": "pass", "warn": "warn", "fail": "fail"}


@dataclass(frozen=True)
class Planned:
    """An expectation to validate on a relation, or on its rows that meet a condition, or on the rows of a query.

    `low` and `high` bound a metric; `unjudged` says why its percentages cannot be judged, so that it can fail only by
    its absolute limits. `hidden` columns never show their values.
    """

    check: Check
    domain: str
    type: str
    arguments: Mapping[str, Any]
    expected: str
    relation: RelationName | None = None
    condition: str | None = None
    query: str | None = None
    baseline: Any = None
    low: float | None = None
    high: float | None = None
    unjudged: str | None = None
    hidden: frozenset[str] = field(default=frozenset())


class NotBuilt(Exception):
    """The relation a check needs does not belong to this release."""


@dataclass(frozen=True)
class Build:
    """The build under test: what it defined and what became of each node."""

    manifest: Manifest
    run_results: RunResults

    def result(self, unique_id: str | None) -> NodeResult | None:
        """How a node ended in this build; None when it was not part of it."""
        return self._by_id.get(unique_id or "")

    @cached_property
    def _by_id(self) -> Mapping[str, NodeResult]:
        return {r.unique_id: r for r in self.run_results.results}

    def find(self, model: str) -> Node:
        """The model, seed or snapshot of that name.

        Raises:
            DbxCdError: the project has none; the message suggests the nearest name.
        """
        node = self.manifest.by_name(model)
        if node is not None:
            return node
        names = [n.name for n in self.manifest.nodes.values() if n.resource_type in BUILT_TYPES]
        near = difflib.get_close_matches(model, names, n=1)
        raise DbxCdError(f"the project has no model `{model}`" + (f"; did you mean `{near[0]}`?" if near else ""))

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
        if result is None:
            raise NotBuilt
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
        return any(source.unique_id in n.depends_on for n in self.manifest.select(self._by_id) if n.builds_relation)


@dataclass(frozen=True)
class Planner:
    """Plans checks for one build. `exists` and `data_type` ask Spark."""

    build: Build
    recheck: bool
    exists: Callable[[RelationName], bool]
    data_type: Callable[[str], str]

    def plan(self, check: Check, domain: str) -> Planned | CheckResult:
        """What to ask for one check, or its result when that is already known."""
        try:
            if isinstance(check, Contract):
                return self._contract(check, domain)
            if isinstance(check, ExpectationCheck):
                return self._expectation(check, domain)
            if isinstance(check, Comparison):
                return self._comparison(check, domain)
            if isinstance(check, Assertion):
                return self._assertion(check, domain)
            problem = check.problem if isinstance(check, InvalidCheck) else f"unknown kind of check {check!r}"
            return result_of(check, domain, "broken", reason=problem)
        except NotBuilt:
            return result_of(check, domain, "skipped", reason=NOT_BUILT, due=False)
        except DbxCdError as exc:
            return result_of(check, domain, "broken", reason=str(exc))

    def _contract(self, contract: Contract, domain: str) -> Planned | CheckResult:
        result = self.build.result(contract.checked_by)
        only_dbt = contract.untranslated and self.build.compiled(contract.checked_by) is None
        if result is not None and (only_dbt or not self.recheck) and result.status != "skipped":
            status = _FROM_DBT.get(result.status, "broken")
            reason = BY_DBT if status != "broken" else f"{BY_DBT}: {result.message or result.status}"
            observed = f"{result.failures} failures" if result.failures is not None else None
            return result_of(contract, domain, status, reason=reason, observed=observed, seconds=result.seconds)
        target = self.build.manifest.nodes.get(contract.target_id)
        if target is None:
            raise DbxCdError(f"the manifest has no node {contract.target_id}")
        if target.is_ephemeral:
            return result_of(contract, domain, "skipped", reason="an ephemeral model has no table", due=False)
        relation = self.build.built(target)
        if target.resource_type == "source" and not self.build.reads(target) and not self.exists(relation):
            raise NotBuilt
        hidden = sensitive_columns(target)
        expected = _promise(contract)
        asked = None if contract.untranslated else contract.expectation()
        if asked is not None:
            kind, arguments = asked
            if contract.rule == "columns":
                arguments = {"data_types": {n: self.data_type(t) for n, t in contract.data_types.items()}}
            planned = Planned(contract, domain, kind, arguments, expected, relation=relation, hidden=hidden)
            return replace(planned, condition=contract.condition)
        query = self._failures_query(contract, relation)
        if query is None:
            return result_of(contract, domain, "skipped", reason=contract.untranslated)
        kind = ROW_COUNT if contract.counts else NO_ROWS
        arguments = {"min_value": 0} if contract.counts else {"value": 0}
        return Planned(contract, domain, kind, arguments, expected, relation=relation, query=query, hidden=hidden)

    def _failures_query(self, contract: Contract, relation: RelationName) -> str | None:
        """The failing rows; where the contract alone does not say how, as dbt compiled the test in this build.

        dbt's own SQL also knows where a parent outside the build was deferred to: artifacts do not record that.
        """
        compiled = self.build.compiled(contract.checked_by)
        if contract.untranslated:
            return compiled
        if contract.parent_id is None:
            return contract.failures_query(relation.quoted)
        parent = self.build.manifest.nodes.get(contract.parent_id)
        if parent is None:
            raise DbxCdError(f"the manifest has no node {contract.parent_id}")
        try:
            found = self.build.built(parent) if self.build.favors_state else self.build.available(parent, self.exists)
        except NotBuilt:
            if compiled is None:
                raise
            return compiled
        return contract.failures_query(relation.quoted, found.quoted)

    def _expectation(self, check: ExpectationCheck, domain: str) -> Planned:
        node = self.build.find(check.model or "")
        relation = self.build.built(node)
        expected = ", ".join(f"{k}={v}" for k, v in check.arguments.items() if k != "column")
        hidden = sensitive_columns(node)
        return Planned(check, domain, check.type, check.arguments, expected, relation=relation, hidden=hidden)

    def _comparison(self, check: Comparison, domain: str) -> Planned:
        relation = self.build.built(self.build.find(check.model or ""))
        low, high = check.bounds.allowed(None)
        arguments = {"expression": check.expression, "min_value": low, "max_value": high}
        return Planned(
            check,
            domain,
            AGGREGATE,
            arguments,
            str(check.bounds),
            relation=relation,
            condition=check.condition,
            low=low,
            high=high,
        )

    def _assertion(self, check: Assertion, domain: str) -> Planned:
        sql, nodes = render(check.sql, self.build, self.exists)
        hidden = frozenset[str]().union(*(sensitive_columns(n) for n in nodes))
        return Planned(check, domain, NO_ROWS, {"value": 0}, "no rows", query=sql, hidden=hidden)


def result_of(check: Check, domain: str, status: Status, **found: Any) -> CheckResult:
    """A check's result; a failure of a check with severity `warn` becomes a warning, a broken check never does."""
    if status == "fail" and check.severity == "warn":
        status = "warn"
    return CheckResult(
        name=check.name,
        kind=check.KIND,
        status=status,
        domain=domain,
        where=check.where,
        model=check.model,
        severity=check.severity,
        owner=check.owner,
        guardrail=check.guardrail,
        **found,
    )


def render(sql: str, build: Build, exists: Callable[[RelationName], bool]) -> tuple[str, list[Node]]:
    """An assertion with its `ref` and `source` calls replaced, and the nodes they name.

    Raises:
        DbxCdError: the template is malformed or names something the project does not have.
        NotBuilt: this release built none of its models, or one of them is not there.
    """
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import SandboxedEnvironment

    nodes: list[Node] = []

    def ref(*names: str) -> str:
        node = build.find(names[-1])
        nodes.append(node)
        return build.available(node, exists).quoted

    def source(name: str, table: str) -> str:
        for node in build.manifest.nodes.values():
            if (node.resource_type, node.raw.get("source_name"), node.name) == ("source", name, table):
                nodes.append(node)
                return build.built(node).quoted
        raise DbxCdError(f"the project has no source `{name}.{table}`")

    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
    environment.globals.clear()
    try:
        rendered = environment.from_string(sql).render(ref=ref, source=source)
    except (TemplateError, TypeError) as exc:
        raise DbxCdError(f"the template cannot be rendered: {exc}") from exc
    if nodes and not any(build.result(n.unique_id) or n.resource_type == "source" for n in nodes):
        raise NotBuilt
    return rendered, nodes


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


def _promise(contract: Contract) -> str:
    columns = ", ".join(contract.columns)
    words = {
        "unique": f"{columns} is unique",
        "unique_combination": f"({columns}) is unique",
        "not_null": f"{columns} is never null",
        "accepted_values": f"{columns} is one of {', '.join(contract.values)}",
        "relationships": f"{columns} is in {contract.parent_column} of the parent",
        "columns": "columns and data types as in the contract",
        "check": contract.expression,
    }
    limits = f", warn if {contract.warn_if}, error if {contract.error_if}" if contract.counts else ""
    return words.get(contract.rule, contract.rule) + limits
