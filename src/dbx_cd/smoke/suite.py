"""Smoke suites: what is to be checked, read from `smoke/<domain>.yml`, each check with its file and line."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Self

from dbx_cd.errors import SuiteError
from dbx_cd.smoke.checks import Assertion, Bounds, Check, Comparison, ExpectationCheck, InvalidCheck
from dbx_cd.smoke.numbers import Number, is_finite, within
from dbx_cd.smoke.own_code import file_beside
from dbx_cd.smoke.yaml_lines import Located, read_located


@dataclass(frozen=True)
class SmokeSuite:
    """The checks of one domain."""

    domain: str
    """Its name; `contracts` is what dbt's own tests and contracts promise."""
    checks: tuple[Check, ...]
    """Its checks, in the order they were written."""
    owner: str | None = None
    """Who answers for checks that name nobody."""
    narrowed: str = ""
    """The selection or the domains by which this and the suites beside it are a part of the project's; "" for all."""

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read one suite file.

        Raises:
            SuiteError: the file or one of its checks is malformed; the message names file and line and suggests the
                nearest known word. All problems of the file are listed.
        """
        suite = cls.read(path)
        problems = [c for c in suite.checks if isinstance(c, InvalidCheck)]
        if problems:
            raise SuiteError(
                "; ".join(f"{c.where}: {c.problem}" for c in problems),
                where=problems[0].where,
                next_step="fix the suite",
            )
        return suite

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read one suite file, keeping each malformed check as an `InvalidCheck` so that the others still run.

        Raises:
            SuiteError: the file as a whole is not a suite.
        """
        file = Path(path)
        reader = _Reader(f"{file.parent.name}/{file.name}", file.parent)
        content = read_located(file)
        if not isinstance(content, Located):
            raise SuiteError("must be a mapping with `domain` and `tables`", where=f"{reader.file}:1")
        reader.keys(content, ("domain", "owner", "tables", "assertions"), inside="a suite")
        owner = content.get("owner")
        reader.owner = str(owner) if owner else None
        reader.tables(content)
        reader.assertions(content)
        if not reader.checks:
            raise SuiteError("has no check: give some under `tables` or `assertions`", where=f"{reader.file}:1")
        return cls(domain=str(content.get("domain") or file.stem), checks=tuple(reader.checks), owner=reader.owner)

    def __iter__(self) -> Iterator[Check]:
        return iter(self.checks)

    def __len__(self) -> int:
        return len(self.checks)


_SHARED = ("name", "severity", "owner", "guardrail")
_BOUNDS = ("within_pct", "max_drop_pct", "max_rise_pct", "min_value", "max_value", "min_baseline")
_METRIC = ("metric", "sql", "where", "group_by", *_BOUNDS)
_LIMITS_OF_VALUES = ("min_value", "max_value", "value_set")


class _Problem(Exception):
    """What is wrong with one check, and the line."""

    def __init__(self, text: str, line: int) -> None:
        super().__init__(text)
        self.line = line


class _Reader:
    """Turns one located YAML document into checks; problems become `InvalidCheck`s in the order of the file."""

    def __init__(self, file: str, folder: Path) -> None:
        self.file = file
        self.folder = folder
        self.owner: str | None = None
        self.checks: list[Check] = []

    def keys(self, found: Located, known: Sequence[str], *, inside: str) -> None:
        """Note every key that is not known."""
        for key in found:
            if key not in known:
                self._invalid(_unknown(key, known, inside=inside), found.line_of(key))

    def tables(self, content: Located) -> None:
        for table in self._items(content, "tables"):
            model = table.get("model")
            if not isinstance(model, str) or not model:
                self._invalid("a table needs `model`, the dbt model's name", table.line)
                continue
            self.keys(table, ("model", "expectations", "compare"), inside="a table")
            if not table.get("expectations") and not table.get("compare"):
                self._invalid("a table needs `expectations` or `compare`, a list of checks", table.line, model=model)
            for item in self._items(table, "expectations", model=model):
                self._add(item, partial(self._expectation, model=model), model=model)
            for item in self._items(table, "compare", model=model):
                self._add(item, partial(self._comparison, model=model), model=model)

    def assertions(self, content: Located) -> None:
        for item in self._items(content, "assertions"):
            self._add(item, self._assertion, model=None)

    def _items(self, parent: Located, key: str, *, model: str | None = None) -> list[Located]:
        items = parent.get(key)
        if items is None:
            return []
        if not isinstance(items, list) or not all(isinstance(item, Located) for item in items):
            self._invalid(f"`{key}` must be a list of mappings", parent.line_of(key), model=model)
            return []
        return items

    def _add(self, item: Located, read: Callable[[Located], Check], *, model: str | None) -> None:
        try:
            self.checks.append(read(item))
        except _Problem as exc:
            self._invalid(str(exc), exc.line, model=model, name=str(item.get("name") or next(iter(item), "")))

    def _invalid(self, problem: str, line: int, *, model: str | None = None, name: str = "suite file") -> None:
        where = f"{self.file}:{line}"
        self.checks.append(InvalidCheck(name=name, where=where, model=model, owner=self.owner, problem=problem))

    def _expectation(self, item: Located, *, model: str) -> Check:
        from dbx_cd.smoke.gx import expectation_names, problem_with

        types = [key for key in item if key not in _SHARED]
        named = [key for key in types if key.startswith(("expect_", "unexpected_")) or "." in key]
        stray = [key for key in types if key not in named]
        if stray and named:
            raise _Problem(_unknown(stray[0], _SHARED, inside="an expectation"), item.line_of(stray[0]))
        if len(types) != 1:
            raise _Problem("one list item names exactly one expectation", item.line)
        (kind,) = types
        arguments = item[kind] if item[kind] is not None else {}
        if kind not in named:
            raise _Problem(_unknown(kind, [*expectation_names(), *_SHARED], inside="an expectation"), item.line)
        if not isinstance(arguments, Mapping):
            raise _Problem(f"the arguments of {kind} must be a mapping", item.line_of(kind))
        code = file_beside(self.folder, kind)
        plain = {key: _plain(value) for key, value in arguments.items()}
        problem = problem_with(kind, plain, code=code)
        if problem:
            raise _Problem(problem, item.line_of(kind))
        written = {key: value for key, value in arguments.items() if key in _LIMITS_OF_VALUES}
        column = plain.get("column")
        name = item.get("name") or (f"{kind}({column})" if column else kind)
        return ExpectationCheck(
            **self._shared(item, name),
            where=self._where(item, kind),
            model=model,
            type=kind,
            arguments=plain,
            written=written,
            code=code,
        )

    def _comparison(self, item: Located, *, model: str) -> Check:
        if "row_count" in item:
            self._known(item, ("row_count", "where", *_SHARED), inside="a comparison")
            given, name, expression = item["row_count"], str(item.get("name") or "row_count"), "count(*)"
            if not isinstance(given, Located):
                raise _Problem("`row_count` must be a mapping of limits", item.line_of("row_count"))
            self._known(given, _BOUNDS, inside="row_count")
            line_key = "row_count"
        elif "metric" in item:
            self._known(item, (*_METRIC, *_SHARED), inside="a metric")
            given, name, line_key = item, str(item["metric"]), "metric"
            expression = _text(item, "sql") or ""
            if not expression.strip():
                raise _Problem(f"the metric {name} needs `sql`, an aggregate over the model", item.line)
        else:
            raise _Problem("a comparison is `row_count` or `metric`", item.line)
        bounds = _bounds(given)
        if not str(bounds):
            raise _Problem(f"{name} has no limit: give one of {', '.join(_BOUNDS[:-1])}", item.line)
        return Comparison(
            **self._shared(item, name),
            where=self._where(item, line_key),
            model=model,
            expression=expression.strip(),
            bounds=bounds,
            condition=_text(item, "where"),
            group_by=_columns(item, "group_by"),
        )

    def _assertion(self, item: Located) -> Check:
        self._known(item, ("sql", "model", *_SHARED), inside="an assertion")
        for key in ("name", "sql"):
            if not isinstance(item.get(key), str) or not item[key].strip():
                raise _Problem(f"an assertion needs `{key}`", item.line)
        return Assertion(
            **self._shared(item, item["name"]),
            where=self._where(item, "name"),
            model=_text(item, "model"),
            sql=item["sql"].strip().rstrip(";"),
        )

    def _known(self, item: Located, known: Sequence[str], *, inside: str) -> None:
        for key in item:
            if key not in known:
                raise _Problem(_unknown(key, known, inside=inside), item.line_of(key))

    def _shared(self, item: Located, name: object) -> dict[str, Any]:
        severity, guardrail = item.get("severity", "error"), item.get("guardrail", False)
        if severity not in ("error", "warn"):
            raise _Problem(f"`severity` must be error or warn, not {severity!r}", item.line_of("severity"))
        if not isinstance(guardrail, bool):
            raise _Problem(f"`guardrail` must be true or false, not {guardrail!r}", item.line_of("guardrail"))
        owner = str(item["owner"]) if item.get("owner") else self.owner
        return {"name": str(name), "severity": severity, "guardrail": guardrail, "owner": owner}

    def _where(self, item: Located, key: str) -> str:
        return f"{self.file}:{item.line_of(key)}"


def _unknown(key: str, known: Sequence[str], *, inside: str) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(known[:12])}"
    return f"unknown key `{key}` in {inside}; {hint}"


def _bounds(given: Located) -> Bounds:
    numbers: dict[str, Number] = {}
    for key in _BOUNDS:
        value = given.get(key)
        if value is None:
            continue
        if not is_finite(value):
            raise _Problem(f"`{key}` must be a number, not {_plain(value)!r}", given.line_of(key))
        if not within(value, -sys.float_info.max, sys.float_info.max):
            raise _Problem(f"`{key}` is beyond every number that Spark has", given.line_of(key))
        if key.endswith("_pct") and value < 0:
            raise _Problem(f"`{key}` must not be negative", given.line_of(key))
        numbers[key] = value
    return Bounds(**numbers)


def _text(item: Located, key: str) -> str | None:
    value = item.get(key)
    if value is not None and not isinstance(value, str):
        raise _Problem(f"`{key}` must be text, not {value!r}", item.line_of(key))
    return value


def _columns(item: Located, key: str) -> tuple[str, ...]:
    value = item.get(key)
    columns = [] if value is None else value if isinstance(value, list) else [value]
    if not all(isinstance(column, str) for column in columns):
        raise _Problem(f"`{key}` must be a column or a list of columns", item.line_of(key))
    return tuple(columns)


def _plain(value: Any) -> Any:
    """Located mappings and numbers inside arguments as plain ones: Great Expectations copies and serialises them."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, Decimal):
        return float(value)
    return [_plain(inner) for inner in value] if isinstance(value, list) else value
