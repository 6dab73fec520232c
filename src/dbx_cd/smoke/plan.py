"""From a check to what is asked of which table, or straight to a result where there is nothing left to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from dbx_cd.dbt.artifacts import Node
from dbx_cd.errors import DbxCdError
from dbx_cd.relations import RelationName
from dbx_cd.smoke.build import Build, NotBuilt, left_out_in_words, render, sensitive_columns
from dbx_cd.smoke.checks import Assertion, Check, Comparison, ExpectationCheck, InvalidCheck
from dbx_cd.smoke.contract import DEFAULT_CONDITION, DEFAULT_COUNT, Contract
from dbx_cd.smoke.dbt_verdict import limited, verdict_query
from dbx_cd.smoke.numbers import Number, digits, is_number
from dbx_cd.smoke.query import refuse_calls
from dbx_cd.smoke.report import CheckResult, Status

NO_ROWS = "expect_table_row_count_to_equal"
AGGREGATE = "expect_sql_aggregate_to_be_between"
PARALLEL_TABLES = 4
_FETCHES_ROWS = "unexpected_rows_expectation"
BY_DBT = "checked by dbt build in this release"
_NAMES_NO_MODEL = "it names no model by `ref`, so no selection of models reaches it; dbt runs it where it is selected"

_FROM_DBT: dict[str, Status] = {"pass": "pass", "success": "pass", "warn": "warn", "fail": "fail"}


@dataclass(frozen=True)
class Planned:
    """An expectation to validate on a relation, on its rows that meet a condition, or on the rows of a query."""

    check: Check
    """The check it answers."""
    domain: str
    """The suite the check belongs to."""
    type: str
    """The expectation's snake-case name, or the dotted path of its class."""
    arguments: Mapping[str, Any]
    """The expectation's own arguments."""
    expected: str
    """What is expected, in words."""
    relation: RelationName | None = None
    """The table to look at; None for a query over several."""
    condition: str | None = None
    """Keeps only the rows that meet it, in SQL."""
    query: str | None = None
    """Looks at the rows of this query instead of the table's."""
    verdict: str | None = None
    """dbt's own query for how many of those rows are too many; None where any row is."""
    baseline: Any = None
    """The metric's value in the baseline."""
    low: Number | None = None
    """The least value that a metric may have."""
    high: Number | None = None
    """The greatest value that a metric may have."""
    unjudged: str | None = None
    """Why a metric's percentages cannot be judged; it then fails only by its absolute limits."""
    hidden: frozenset[str] = field(default=frozenset())
    """Sensitive columns, in lower case: their values are never shown."""
    sources: tuple[RelationName, ...] = ()
    """The tables that the query names."""
    code: str | None = None
    """The file of an expectation of one's own."""
    of_the_build: bool = True
    """Whether it looks at something that this build made."""
    left_out: str = ""
    """What it reads that this build did not make, in words."""

    @property
    def names_hidden(self) -> bool:
        """Whether an expectation of a suite is about a sensitive column."""
        named: list[Any] = [self.arguments.get(k) for k in ("column", "column_A", "column_B")]
        named += self.arguments.get("column_list") or []
        return bool(self.hidden.intersection(str(name).lower() for name in named))


@dataclass(frozen=True)
class Planner:
    """Plans the checks of one build."""

    build: Build
    """The build under test."""
    recheck: bool
    """Whether contracts that dbt build has checked are executed again."""
    exists: Callable[[RelationName], bool]
    """Whether a relation is there; asks Spark."""
    data_type: Callable[[str], str]
    """Spark's own spelling of a data type; asks Spark."""

    def plan(self, check: Check, domain: str) -> Planned | CheckResult:
        """What to ask for one check, or its result when that is already known."""
        try:
            if isinstance(check, Contract):
                is_test = (check.checked_by or "").startswith("test.")
                found = self._contract(replace(check, warnings_fail=is_test and self.build.warnings_fail), domain)
                return self._about(found, self._reads(check))
            for text in _sql_of(check):
                refuse_calls(text)
            if isinstance(check, ExpectationCheck | Comparison):
                node = self.build.find(check.model or "")
                check = replace(check, version=node.version)
                if isinstance(check, ExpectationCheck):
                    return self._expectation(check, domain, node)
                return self._comparison(check, domain, node)
            if isinstance(check, Assertion):
                return self._assertion(check, domain)
            problem = check.problem if isinstance(check, InvalidCheck) else f"unknown kind of check {check!r}"
            return result_of(check, domain, "broken", reason=problem)
        except NotBuilt as exc:
            # An empty file is a slip that nobody else tells of: seen, and in nobody's way where it is meant.
            status: Status = "warn" if exc.node.is_blank else "skipped"
            return result_of(check, domain, status, reason=str(exc), due=False, of_the_build=False)
        except DbxCdError as exc:
            return result_of(check, domain, "broken", reason=str(exc))

    def _contract(self, contract: Contract, domain: str) -> Planned | CheckResult:
        result = self.build.result(contract.checked_by)
        only_dbt = contract.judged_by_dbt or (contract.untranslated and self._compiled(contract) is None)
        if result is not None and (only_dbt or not self.recheck) and result.status != "skipped":
            status = _FROM_DBT.get(result.status, "broken")
            reason = BY_DBT if status != "broken" else f"{BY_DBT}: {result.message or result.status}"
            left_out = self.build.left_out(self._reads(contract))
            if status == "pass" and any(node.is_blank for node in left_out):
                status = "warn"
            reason = "; ".join(filter(None, (reason, left_out_in_words(left_out))))
            observed = f"{result.failures} failures" if result.failures is not None else None
            found = {"observed": observed, "expected": _promise(contract), "reason": reason}
            return result_of(contract, domain, status, **found, seconds=result.seconds)
        subject = self.build.manifest.nodes.get(contract.subject_id)
        if subject is None and not contract.subject_id:
            return result_of(contract, domain, "skipped", reason=_NAMES_NO_MODEL, due=False)
        if subject is None:
            raise DbxCdError(f"the manifest has no node {contract.subject_id}")
        if subject.is_ephemeral:
            return result_of(contract, domain, "skipped", reason="an ephemeral model has no table", due=False)
        relation = self.build.built(subject)
        if subject.resource_type == "source" and not self.build.reads(subject) and not self.exists(relation):
            raise NotBuilt(subject)
        hidden = sensitive_columns(subject)
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
            return result_of(contract, domain, "skipped", reason=contract.judged_by_dbt or contract.untranslated)
        verdict = verdict_query(contract, query) if contract.counts else None
        query = limited(contract, query)
        planned = Planned(contract, domain, NO_ROWS, {"value": 0}, expected, relation=relation, query=query)
        return replace(planned, verdict=verdict, hidden=hidden, sources=(relation,))

    def _reads(self, contract: Contract) -> tuple[str, ...]:
        """The unique ids of what it is about: of a data test all that it reads."""
        test = self.build.manifest.nodes.get(contract.checked_by or "")
        if test is not None and test.resource_type == "test":
            return test.depends_on
        return tuple(filter(None, (contract.subject_id, contract.parent_id)))

    def _compiled(self, contract: Contract) -> str | None:
        """dbt's own query for the failing rows."""
        return None if contract.judged_by_dbt else self.build.compiled(contract.checked_by)

    def _failures_query(self, contract: Contract, relation: RelationName) -> str | None:
        """The failing rows; where the contract alone does not say how, as dbt compiled the test in this build.

        dbt's own SQL also knows where a parent outside the build was deferred to: artifacts do not record that.
        """
        compiled = self._compiled(contract)
        if contract.untranslated or contract.judged_by_dbt:
            return compiled
        if contract.parent_id is None:
            return contract.failures_query(relation.quoted)
        parent = self.build.manifest.nodes.get(contract.parent_id)
        if parent is None:
            raise DbxCdError(f"the manifest has no node {contract.parent_id}")
        may_be_state_s = self.build.favors_state and not contract.names_parent
        try:
            found = self.build.built(parent) if may_be_state_s else self.build.available(parent, self.exists)
        except NotBuilt:
            if compiled is None:
                raise
            return compiled
        return contract.failures_query(relation.quoted, found.quoted)

    def _expectation(self, check: ExpectationCheck, domain: str, node: Node) -> Planned:
        relation = self.build.built(node)
        arguments = {**check.arguments, **check.written}
        expected = ", ".join(f"{k}={_as_written(v)}" for k, v in arguments.items() if k != "column")
        hidden = sensitive_columns(node)
        if hidden and check.type == _FETCHES_ROWS:
            reason = f"{check.type} fetches whole rows, and {node.name} has sensitive columns"
            raise DbxCdError(reason, next_step="write it under `assertions`")
        planned = Planned(check, domain, check.type, check.arguments, expected, relation=relation, hidden=hidden)
        return replace(planned, code=check.code)

    def _comparison(self, check: Comparison, domain: str, node: Node) -> Planned:
        relation = self.build.built(node)
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
            hidden=sensitive_columns(node),
        )

    def _assertion(self, check: Assertion, domain: str) -> Planned | CheckResult:
        sql, nodes = render(check.sql, self.build, self.exists)
        hidden = frozenset[str]().union(*(sensitive_columns(n) for n in nodes))
        sources = tuple(n.relation for n in nodes if n.relation is not None)
        versions = ", ".join(f"{n.name} (version {n.version})" for n in nodes if n.version)
        expected = f"no rows, of {versions}" if versions else "no rows"
        planned = Planned(check, domain, NO_ROWS, {"value": 0}, expected, query=sql, hidden=hidden, sources=sources)
        return self._about(planned, [n.unique_id for n in nodes])

    def _about(self, found: Planned | CheckResult, unique_ids: Sequence[str]) -> Planned | CheckResult:
        """With what it says of the build by what it reads."""
        if isinstance(found, Planned):
            found = replace(found, left_out=left_out_in_words(self.build.left_out(unique_ids)))
        return replace(found, of_the_build=self.build.made_any(unique_ids))


def _sql_of(check: Check) -> Iterator[str]:
    """Every text of a check that may get into SQL. Great Expectations' own texts are taken for such without a look."""
    if isinstance(check, Comparison):
        yield from filter(None, (check.expression, check.condition))
    elif isinstance(check, Assertion):
        yield check.sql
    elif isinstance(check, ExpectationCheck):
        yield from _texts(check.arguments)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list | tuple):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(inner)


def result_of(check: Check, domain: str, status: Status, **found: Any) -> CheckResult:
    """A check's result; a failure of a check with severity `warn` becomes a warning, a broken check never does."""
    severity = "error" if isinstance(check, Contract) and check.warnings_fail else check.severity
    if status == "fail" and severity == "warn":
        status = "warn"
    return CheckResult(
        name=check.name,
        kind=check.KIND,
        status=status,
        domain=domain,
        where=check.where,
        model=check.model,
        version=check.version,
        severity=severity,
        owner=check.owner,
        guardrail=check.guardrail,
        **found,
    )


def _as_written(value: Any) -> str:
    """An argument of an expectation for people, with the digits that the suite has."""
    if isinstance(value, list):
        return f"[{', '.join(_as_written(inner) if is_number(inner) else repr(inner) for inner in value)}]"
    return digits(value) if isinstance(value, Decimal) else str(value)


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
        "singular": "no rows",
    }
    return "".join((words.get(contract.rule, contract.rule), *_limits(contract)))


def _limits(contract: Contract) -> Iterator[str]:
    """How many failures a data test may have, as far as its project says so itself."""
    only_warns = contract.severity == "warn" and not contract.warnings_fail
    if only_warns:
        yield ", severity warn"
    most = "" if contract.limit is None else f" of at most {contract.limit} failures"
    counted = (contract.fail_calc.lower(), contract.limit) != (DEFAULT_COUNT, None)
    # dbt does not look at `error_if` where the severity is `warn`.
    conditions = (("warn", contract.warn_if), *(() if only_warns else (("error", contract.error_if),)))
    for what, condition in conditions:
        if condition != DEFAULT_CONDITION or counted:
            yield f", {what} if {contract.fail_calc}{most} {condition}"
