"""One model in two environments, side by side: row counts, column profiles, and the rows that changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from dbx_cd import html
from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.lookup import require_model
from dbx_cd.errors import DbxCdError
from dbx_cd.records import Record
from dbx_cd.relations import RelationName, quote
from dbx_cd.smoke import data
from dbx_cd.smoke.answers import scalar, show
from dbx_cd.smoke.build import sensitive_columns
from dbx_cd.smoke.contract import Contract
from dbx_cd.smoke.contracts import contracts_from_manifest
from dbx_cd.smoke.numbers import kept

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from dbx_cd.artifacts.version import ArtifactVersion

_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
_UNORDERED = ("map", "variant", "binary", "struct", "array")


@dataclass(frozen=True)
class ColumnProfile:
    """What a column's values are like."""

    data_type: str
    """Spark's name of its type."""
    nulls: int
    """How many rows have no value."""
    distinct: int
    """How many distinct values there are, approximately."""
    least: Any = None
    """The smallest value; None where its type has no order."""
    greatest: Any = None
    """The largest value; None where its type has no order."""


@dataclass(frozen=True)
class ColumnDifference:
    """A column whose profile differs."""

    column: str
    """The column's name."""
    left: ColumnProfile | None
    """Its profile on the left side; None when it has no such column."""
    right: ColumnProfile | None
    """Its profile on the right side; None when it has no such column."""


@dataclass(frozen=True)
class ModelComparison(Record):
    """One model on two sides, by numbers and by rows."""

    KIND: ClassVar[str] = "compared"

    model: str
    """The model's name in dbt, and which version of it either side has."""
    left: str
    """The dbt target on the left side."""
    right: str
    """The dbt target on the right side."""
    left_rows: int
    """How many rows the left side has."""
    right_rows: int
    """How many rows the right side has."""
    columns: tuple[ColumnDifference, ...]
    """The columns whose profiles differ."""
    key: tuple[str, ...] = ()
    """The columns that identify a row; empty when rows could not be compared one by one."""
    only_left: int | None = None
    """How many keys only the left side has; None without a key."""
    only_right: int | None = None
    """How many keys only the right side has; None without a key."""
    differing: int | None = None
    """How many rows are on both sides and differ; None without a key."""
    changed: tuple[dict[str, str], ...] = ()
    """A sample of those rows: key and differences, each as `left | right`."""

    @property
    def same(self) -> bool:
        """Whether no difference was found in what was looked at."""
        return self.left_rows == self.right_rows and not (
            self.columns or self.only_left or self.only_right or self.differing
        )

    def __str__(self) -> str:
        rows = f"{self.left_rows} rows in {self.left}, {self.right_rows} in {self.right}"
        keyed = "" if self.differing is None else f", {self.differing} rows differ by key ({', '.join(self.key)})"
        return f"{self.model}: {rows}, {len(self.columns)} columns differ{keyed}"

    def to_html(self) -> str:
        """A page part: counts, profiles that differ, a sample of changed rows."""
        counts = [("rows", self.left_rows, self.right_rows)]
        if self.only_left is not None:
            counts.append(("keys only here", self.only_left, self.only_right or 0))
        profiles = [(d.column, *_cells(d.left), *_cells(d.right)) for d in self.columns]
        names = ("type", "nulls", "distinct", "least", "greatest")
        parts: list[object] = [html.paragraph(str(self)), html.table(("", self.left, self.right), counts)]
        if profiles:
            headers = ("column", *(f"{n} ({side})" for side in (self.left, self.right) for n in names))
            parts.append(html.table(headers, profiles))
        if self.changed:
            parts.append(html.table(list(self.changed[0]), [tuple(row.values()) for row in self.changed]))
        return str(html.section(f"{self.model}: {self.left} against {self.right}", *parts))


def compare_model(
    spark: SparkSession,
    left: ArtifactVersion,
    right: ArtifactVersion,
    *,
    model: str,
    key: Sequence[str] | None = None,
    sample: int = 20,
) -> ModelComparison:
    """Compare a model's rows in two environments, such as staging and prod.

    Args:
        spark: a classic or Spark Connect session.
        left: artifacts of one environment.
        right: artifacts of the other environment.
        model: the model's name in dbt; without a version, the latest of each side.
        key: the columns that identify a row; by default what the project promises to be unique. Without a key only
            counts and profiles are compared.
        sample: how many changed rows to show; sensitive columns are compared but never shown.

    Raises:
        DbxCdError: an environment has no such model or several, its table cannot be read, or the key is not a column of
            both.
    """
    manifest = left.manifest()
    nodes = [_node(side, model) for side in (left, right)]
    frames = [_table(spark, node.relation) for node in nodes if node.relation is not None]
    profiles = [_profile(frame) for frame in frames]
    shared = [c for c in profiles[0][1] if c in profiles[1][1]]
    keys = list(key) if key is not None else _promised_key(manifest, nodes[0], shared)
    missing = [c for c in keys if c.lower() not in {name.lower() for name in shared}]
    if missing:
        raise DbxCdError(f"the key {', '.join(missing)} is not a column on both sides", where=model)
    names = sorted({*profiles[0][1], *profiles[1][1]})
    hidden = frozenset[str]().union(*map(sensitive_columns, nodes))
    pairs = [ColumnDifference(name, profiles[0][1].get(name), profiles[1][1].get(name)) for name in names]
    return ModelComparison(
        model=model + _versions(left.target, nodes[0], right.target, nodes[1]),
        left=left.target,
        right=right.target,
        left_rows=profiles[0][0],
        right_rows=profiles[1][0],
        columns=tuple(_masked(d, hidden) for d in pairs if d.left != d.right),
        **(_by_key(frames, keys, shared, hidden=hidden, sample=sample) if keys else {}),
    )


def _node(side: ArtifactVersion, model: str) -> Node:
    node = require_model(side.manifest(), model, of=side.target)
    if node.relation is None:
        reason = f"{model} is ephemeral in {side.target} and has no table there"
        raise DbxCdError(reason, next_step="compare a model that reads it")
    return node


def _versions(left: str, of_left: Node, right: str, of_right: Node) -> str:
    """Which version each side's model is; "" where neither has one."""
    found = [f"version {n.version} in {side}" for side, n in ((left, of_left), (right, of_right)) if n.version]
    return f" ({', '.join(found)})" if found else ""


def _table(spark: SparkSession, relation: RelationName) -> DataFrame:
    frame = data.table(spark, relation)
    try:
        _ = frame.columns
    except Exception as exc:
        raise DbxCdError(f"{relation} cannot be read", where=show(exc)) from exc
    return frame


def _profile(frame: DataFrame) -> tuple[int, dict[str, ColumnProfile]]:
    """Rows and profiles in one scan."""
    types = {f.name: f.dataType.simpleString() for f in frame.schema.fields}
    wanted = ["count(*)"]
    for name, kind in types.items():
        column, ordered = quote(name), not kind.startswith(_UNORDERED)
        wanted += [f"count_if({column} is null)", f"approx_count_distinct({column})" if ordered else "0"]
        # But for numbers as text: Python has no year beyond 9999, and takes timestamps for its own time zone.
        shown = "{}" if kind.startswith(_NUMBERS) else "string({})"
        wanted += [shown.format(f"{end}({column})") for end in ("min", "max")] if ordered else ["null", "null"]
    values = list(frame.selectExpr(*(f"{expr} as c{i}" for i, expr in enumerate(wanted))).collect()[0])
    profiles = {
        name: ColumnProfile(types[name], int(nulls), int(distinct), kept(scalar(least)), kept(scalar(greatest)))
        for name, (nulls, distinct, least, greatest) in zip(
            types, zip(*(iter(values[1:]),) * 4, strict=True), strict=True
        )
    }
    return int(values[0]), profiles


def _by_key(
    frames: Sequence[DataFrame], keys: Sequence[str], shared: Sequence[str], *, hidden: frozenset[str], sample: int
) -> dict[str, Any]:
    from pyspark.sql import functions as f

    named = {k.lower() for k in keys}
    others = [c for c in shared if c.lower() not in named]
    sides = [
        frame.select(
            *(frame[quote(k)].alias(f"k{i}") for i, k in enumerate(keys)),
            f.lit(True).alias(f"{side}_here"),
            *(frame[quote(c)].cast("string").alias(f"{side}{i}") for i, c in enumerate(others)),
        )
        for side, frame in zip("lr", frames, strict=True)
    ]
    on = [sides[0][f"k{i}"].eqNullSafe(sides[1][f"k{i}"]) for i in range(len(keys))]
    joined = sides[0].join(sides[1], on=on, how="full")
    both = "l_here and r_here"
    differs = " or ".join(f"not (l{i} <=> r{i})" for i in range(len(others))) or "false"
    counts = joined.selectExpr(
        "count_if(r_here is null)", "count_if(l_here is null)", f"count_if({both} and ({differs}))"
    ).collect()[0]
    changed: list[dict[str, str]] = []
    if counts[2]:
        columns = [sides[0][f"k{i}"].cast("string") for i in range(len(keys))]
        columns += [f.col(f"{side}{i}") for i in range(len(others)) for side in "lr"]
        for row in joined.where(f"{both} and ({differs})").select(*columns).limit(sample).collect():
            changed.append(_change(list(row), keys, others, hidden=hidden))
    return {
        "key": tuple(keys),
        "only_left": int(counts[0]),
        "only_right": int(counts[1]),
        "differing": int(counts[2]),
        "changed": tuple(changed),
    }


def _change(row: list[Any], keys: Sequence[str], others: Sequence[str], *, hidden: frozenset[str]) -> dict[str, str]:
    shown = {k: "hidden" if k.lower() in hidden else show(v) for k, v in zip(keys, row, strict=False)}
    differences: list[str] = []
    for i, column in enumerate(others):
        before, after = row[len(keys) + 2 * i : len(keys) + 2 * i + 2]
        if before != after:
            differences.append(column if column.lower() in hidden else f"{column}: {show(before)} | {show(after)}")
    return {**shown, "differences": "; ".join(differences)}


def _promised_key(manifest: Manifest, node: Node, shared: Sequence[str]) -> list[str]:
    present = {c.lower() for c in shared}
    for contract in contracts_from_manifest(manifest, select=[node.unique_id]):
        if not isinstance(contract, Contract) or contract.rule not in ("unique", "unique_combination"):
            continue
        if contract.condition is None and all(c.lower() in present for c in contract.columns):
            return list(contract.columns)
    return []


def _masked(difference: ColumnDifference, hidden: frozenset[str]) -> ColumnDifference:
    if difference.column.lower() not in hidden:
        return difference
    sides = [
        None if p is None else ColumnProfile(p.data_type, p.nulls, p.distinct)
        for p in (difference.left, difference.right)
    ]
    return ColumnDifference(difference.column, *sides)


def _cells(profile: ColumnProfile | None) -> tuple[Any, ...]:
    if profile is None:
        return ("no such column", None, None, None, None)
    return (profile.data_type, profile.nulls, profile.distinct, profile.least, profile.greatest)
