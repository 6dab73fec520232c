"""Run what was planned: one validation for each table, for each condition on its rows, and for each query."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dbx_cd.errors import DbxCdError
from dbx_cd.smoke import data
from dbx_cd.smoke.answers import Answer, Ask, first_line, show
from dbx_cd.smoke.checks import Comparison, ExpectationCheck
from dbx_cd.smoke.contract import Contract
from dbx_cd.smoke.dbt_verdict import verdict
from dbx_cd.smoke.docs import DataDocsPage, write_data_docs
from dbx_cd.smoke.groups import IN, OUT, VERDICT
from dbx_cd.smoke.judge import broken, judge
from dbx_cd.smoke.plan import AGGREGATE, PARALLEL_TABLES, Planned
from dbx_cd.smoke.report import CheckResult
from dbx_cd.sql_messages import missing_rights

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_EXAMPLES = 20
_CLASS = re.compile(r"\b[\w.]*(Exception|Error)\b")
# Conditions whose message speaks of the query: the names in it are the suite's own, and say what to correct.
_ABOUT_THE_QUERY = re.compile(
    r"\[(PARSE_|UNRESOLVED_|TABLE_OR_VIEW_|DATATYPE_MISMATCH|AMBIGUOUS_|MISSING_|UNSUPPORTED_)"
)


def execute(spark: SparkSession, planned: Sequence[Planned], *, docs_dir: Path | None) -> list[CheckResult]:
    """Validate everything, several tables at a time, and write Data Docs where asked."""
    tables: dict[object, list[Planned]] = {}
    for i, one in enumerate(planned):
        key = i if one.query else (one.relation, one.condition)
        tables.setdefault(key, []).append(one)
    with ThreadPoolExecutor(max_workers=PARALLEL_TABLES) as pool:
        found = list(pool.map(partial(_validate, spark, docs=docs_dir is not None), tables.values()))
    if docs_dir is not None:
        write_data_docs(docs_dir, [page for _, page in found if page is not None])
    return [result for results, _ in found for result in results]


def _validate(
    spark: SparkSession, members: Sequence[Planned], *, docs: bool
) -> tuple[list[CheckResult], DataDocsPage | None]:
    from dbx_cd.smoke import gx

    first = members[0]
    started = time.perf_counter()
    try:
        if first.verdict:
            return [judge(first, _reported(first, _by_dbt(spark, first, started)))], None
        frame = data.query(spark, first.query or f"select * from {_source(first)}")
        _ = frame.columns  # a Connect session looks at the table only when asked for something
        validation = gx.validate(frame, _asks(members), source=None if first.query else _source(first))
        answers = validation.answers
        if first.query:
            answers = {0: _of_query(spark, frame, first, answers, started)}
    except Exception as exc:
        message = first_line(str(exc))
        return [broken(one, f"cannot be read: {_without_values(one, message)}") for one in members], None
    results = [judge(one, _reported(one, answers[i])) for i, one in enumerate(members)]
    page = None
    if docs and validation.results:
        title = (
            first.check.name if first.query else " where ".join(filter(None, (str(first.relation), first.condition)))
        )
        failed = sum(r.status in ("fail", "warn", "broken") for r in results)
        page = DataDocsPage(title, gx.data_docs_page(title, validation.results), failed=failed, checks=len(results))
    return results, page


def _asks(members: Sequence[Planned]) -> list[Ask]:
    first = members[0]
    if isinstance(first.check, Comparison) and first.query:
        counted = (f"count_if({VERDICT} = '{OUT}')", f"count_if({VERDICT} = '{IN}')", "count(*)")
        return [
            Ask(
                i,
                AGGREGATE,
                {"expression": text, "max_value": None if i else 0},
                beside_hidden=bool(first.hidden),
            )
            for i, text in enumerate(counted)
        ]
    return [
        Ask(
            i,
            p.type,
            p.arguments,
            _EXAMPLES,
            written=p.check.written if isinstance(p.check, ExpectationCheck) else {},
            code=p.code,
            hidden=p.names_hidden,
            beside_hidden=bool(p.hidden),
        )
        for i, p in enumerate(members)
    ]


def _source(planned: Planned) -> str:
    assert planned.relation is not None
    # A condition that ends with a comment dbt refuses.
    end = "" if isinstance(planned.check, Contract) else "\n"
    return data.rows_of(planned.relation.quoted, planned.condition, end=end)


def _by_dbt(spark: SparkSession, planned: Planned, started: float) -> Answer:
    """dbt's own verdict on the failing rows, with the first of them as examples unless it is good."""
    assert isinstance(planned.check, Contract)
    assert planned.verdict is not None
    answer = data.query(spark, planned.verdict)
    try:
        status, failures = verdict(planned.check, answer.columns, answer.limit(2).collect())
    except DbxCdError as exc:
        return Answer(False, error=str(exc), seconds=time.perf_counter() - started)
    examples = () if status == "pass" else _examples(spark, planned, data.query(spark, planned.query or ""))
    hidden = _mentions(planned.check.fail_calc, planned.hidden)
    return Answer(
        status == "pass",
        observed="hidden" if hidden else f"{failures} failures",
        examples=examples,
        seconds=time.perf_counter() - started,
        verdict=status,
    )


def _of_query(
    spark: SparkSession, frame: DataFrame, planned: Planned, answers: Mapping[int, Answer], started: float
) -> Answer:
    """The answer of a query with its first rows as examples, when there are any."""
    answer, rows = answers[0], frame
    if isinstance(planned.check, Comparison):
        out, judged, total = (answers[i].observed for i in range(3))
        answer = replace(answer, groups=None if answer.error else (int(out), int(judged), int(total)))
        rows = frame.where(f"{VERDICT} = '{OUT}'")
    examples = _examples(spark, planned, rows) if answer.error is None and answer.observed else ()
    return replace(answer, examples=examples, seconds=time.perf_counter() - started)


def _examples(spark: SparkSession, planned: Planned, rows: DataFrame) -> tuple[str, ...]:
    """The first rows; in their place why there are none: Spark may count rows that it cannot compute."""
    try:
        return tuple(_example_rows(rows, _shown(spark, rows.columns, planned)))
    except Exception as exc:
        return (f"no row can be shown: {_without_values(planned, first_line(str(exc)))}",)


def _shown(spark: SparkSession, columns: Sequence[str], planned: Planned) -> list[int]:
    """The positions of the columns that may be shown.

    A query can give a sensitive column another name. Where it mentions one, only columns that its tables have under
    that very name are shown.
    """
    known: set[str] | None = None
    if planned.sources and _mentions(planned.query or "", planned.hidden):
        known = {column.lower() for relation in planned.sources for column in data.table(spark, relation).columns}
    return [
        i
        for i, name in enumerate(columns)
        if not name.startswith("__") and name.lower() not in planned.hidden and (known is None or name.lower() in known)
    ]


def _mentions(sql: str, names: frozenset[str]) -> bool:
    return any(re.search(rf"\b{re.escape(name)}\b", sql, re.IGNORECASE) for name in names)


def _example_rows(frame: DataFrame, shown: Sequence[int]) -> list[str]:
    # By position: a query may return two columns of one name.
    places = frame.toDF(*(f"c{i}" for i in range(len(frame.columns)))).select(*(f"c{i}" for i in shown))
    # As text: Python has no year beyond 9999, and takes timestamps for its own time zone.
    texts = [_as_text(field.name, field.dataType.typeName()) for field in places.schema.fields]
    rows = places.selectExpr(*texts).limit(_EXAMPLES).collect() if shown else []
    return [", ".join(f"{frame.columns[i]}={show(v)}" for i, v in zip(shown, row, strict=True)) for row in rows]


def _as_text(column: str, data_type: str) -> str:
    if data_type == "binary":
        return f"hex({column}) as {column}"
    return f"to_json({column}) as {column}" if data_type == "variant" else f"string({column}) as {column}"


def _reported(planned: Planned, answer: Answer) -> Answer:
    """The answer as it may be reported: no value of a sensitive column is in it."""
    reported = replace(answer, error=answer.error and _without_values(planned, answer.error))
    if planned.names_hidden:
        reported = replace(reported, examples=())
    if planned.names_hidden and isinstance(planned.check, ExpectationCheck) and answer.unexpected is None:
        reported = replace(reported, observed=None if answer.observed is None else "hidden")
    return reported


def _without_values(planned: Planned, message: str) -> str:
    """A message of Spark without the values that it may quote, of which a sensitive one may have several lines.

    What is wrong with a query is said by its words alone; what is wrong with a row is told by the condition's name, or
    that of the exception (https://spark.apache.org/docs/latest/sql-error-conditions.html).
    """
    if not planned.hidden or missing_rights(message):  # of what may not be read no value is quoted
        return message
    condition = re.search(r"\[[A-Z][A-Z0-9_.]+\]", message)
    exception = _CLASS.search(message) if condition is None else None
    if exception is not None:
        return f"{exception[0]}: 'hidden'"
    if condition is None or _ABOUT_THE_QUERY.match(condition[0]):
        return re.sub(r"['\"].*", "'hidden'", message, flags=re.S)
    return f"{condition[0]} 'hidden'"
