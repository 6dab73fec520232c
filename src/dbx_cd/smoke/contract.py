"""One promise of the dbt project, and the SQL that finds the rows by which it is broken."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from dbx_cd.smoke.checks import Check

DEFAULT_CONDITION = "!= 0"
DEFAULT_COUNT = "count(*)"

_IDENTIFIER = re.compile(r"`?(\w+)`?")
# dbt puts accepted values between quotes as they are: Spark would read a quote or an escape in them.
_QUOTES = re.compile(r"['\\]")


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
    names_parent: bool = False
    """Whether it is a compiled key that names the parent's own relation, so that no other environment's is meant."""
    condition: str | None = None
    """dbt's `where`: keeps only the rows that meet it, in SQL."""
    limit: int | None = None
    """How many failing rows dbt looks at; None for all."""
    fail_calc: str = DEFAULT_COUNT
    """What the number of failures is, in SQL, over the failing rows."""
    warn_if: str = DEFAULT_CONDITION
    """It warns when the number of failures meets this, as it follows that number in SQL: `> 10`, `between 1 and 5`."""
    error_if: str = DEFAULT_CONDITION
    """It fails when the number of failures meets this, as it follows that number in SQL."""
    stored: bool = False
    """Whether dbt keeps the failing rows; they then have all columns."""
    expression: str = ""
    """The SQL of a check constraint."""
    data_types: Mapping[str, str] = field(default_factory=dict)
    """The columns and data types of an enforced contract."""
    untranslated: str | None = None
    """Why its failing rows are not known but from the SQL that dbt compiled; None when they are."""
    warnings_fail: bool = False
    """Whether the project's flags make a failure of every warning of a data test."""
    judged_by_dbt: str | None = None
    """Why dbt alone can judge it, even where its failing rows are known; None when its thresholds are SQL."""

    @property
    def counts(self) -> bool:
        """Whether more matters than whether there are failing rows: how many, by which count, of how many at most."""
        plain = (DEFAULT_CONDITION, DEFAULT_CONDITION, DEFAULT_COUNT, None)
        return (self.warn_if, self.error_if, self.fail_calc.lower(), self.limit) != plain

    @property
    def promise(self) -> tuple[object, ...]:
        """What is promised, to recognise the same promise made twice; one that only warns is another one."""
        names = tuple(sorted(c.lower() for c in self.columns))
        parent = (self.parent_id, self.parent_column.strip("`").lower())
        asked = (self.rule, names, parent, self.condition, self.values, self.expression, self.counts)
        return (self.subject_id, self.severity, *asked)

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
        if self.rule == "accepted_values" and self.quoted and self.values and not any(map(_QUOTES.search, self.values)):
            return "expect_column_values_to_be_in_set", {"column": plain[0], "value_set": list(self.values)}
        # Great Expectations wants two columns at least.
        if self.rule == "unique_combination" and len(plain) > 1:
            arguments = {"column_list": plain, "ignore_row_if": "never"}
            return "expect_compound_columns_to_be_unique", arguments
        return None

    def failures_query(self, relation: str, parent: str | None = None) -> str:
        """The failing rows or values, as dbt's own test of that name selects them, over quoted relations."""
        if self.rule == "check":
            return f"select * from {relation} where not ({self.expression})"
        if self.rule == "relationships" and not self.counts:
            source = f"(select * from {relation} where {self.condition}) dbt_subquery" if self.condition else relation
            column = self.columns[0]
            # An anti join asks what dbt's `relationships` asks; Great Expectations has no expectation over two tables.
            return (
                f"select child.* from (select *, {column} as __key from {source}) as child"
                f" left anti join (select {self.parent_column} as __field from {parent}) as parent"
                f" on child.__key = parent.__field where child.__key is not null"
            )
        return self._as_dbt_selects(relation, parent)

    def _as_dbt_selects(self, relation: str, parent: str | None) -> str:
        """With the columns that dbt's generic test gives them: `fail_calc` may name them."""
        source = f"(select * from {relation} where {self.condition}) dbt_subquery" if self.condition else relation
        column = self.columns[0]
        if self.rule == "unique":
            return (
                f"select {column} as unique_field, count(*) as n_records from {source}"
                f" where {column} is not null group by {column} having count(*) > 1"
            )
        if self.rule == "not_null":
            return f"select {'*' if self.stored or not self.counts else column} from {source} where {column} is null"
        if self.rule == "accepted_values":
            listed = ", ".join(f"'{value}'" if self.quoted else value for value in self.values)
            grouped = f"select {column} as value_field, count(*) as n_records from {source} group by {column}"
            return f"select * from ({grouped}) where value_field not in ({listed})"
        if self.rule == "relationships":
            child = f"select {column} as from_field from {source} where {column} is not null"
            others = f"select {self.parent_column} as to_field from {parent}"
            joined = f"({child}) as child left join ({others}) as parent on child.from_field = parent.to_field"
            return f"select from_field from {joined} where parent.to_field is null"
        names = ", ".join(self.columns)
        return f"select {names} from {source} group by {names} having count(*) > 1"
