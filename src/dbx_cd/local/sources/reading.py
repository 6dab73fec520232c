"""A source's file as a DataFrame with the types that the project declares."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException
from pyspark.sql import functions as f
from pyspark.sql.types import (
    ArrayType,
    DataType,
    DecimalType,
    MapType,
    NullType,
    StringType,
    StructField,
    StructType,
    VariantType,
)  # fmt: skip

from dbx_cd.errors import ConfigError
from dbx_cd.local.sources.declared import DeclaredColumn
from dbx_cd.local.sources.lines import check_text, is_json_array, line_of
from dbx_cd.local.sources.tables import FORMATS
from dbx_cd.relations import quote

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

_CSV = {"header": "true", "multiLine": "true", "quote": '"', "escape": '"', "encoding": "UTF-8"}
_SHOWN = 3


def empty(spark: SparkSession, declared: Sequence[DeclaredColumn]) -> DataFrame:
    """No rows, of the declared columns; one without a type is a string.

    Raises:
        ConfigError: a type is none.
    """
    columns = ", ".join(f"CAST(NULL AS {_type(c).simpleString()}) AS {quote(c.name)}" for c in declared)
    return spark.sql(f"SELECT {columns} WHERE false")


def read(spark: SparkSession, path: Path, declared: Sequence[DeclaredColumn], *, temporary: Path) -> DataFrame:
    """The rows of a file.

    Columns whose type is declared have that type, the others the one that Spark finds. Of csv an empty value that is
    not in quotes is null.

    Args:
        spark: a session of the embedded workspace.
        path: the file.
        declared: the columns that the project declares.
        temporary: a folder for a copy of what Spark cannot read as it is; to be kept for as long as the rows are read.

    Raises:
        ConfigError: the file cannot be read, lacks a declared column, or holds a value that the declared type cannot;
            with the line, where that is known.
    """
    kind = FORMATS[path.suffix.lstrip(".").lower()]
    if kind == "parquet":
        frame = _parquet(spark, in_microseconds(path, temporary))
    else:
        check_text(path, kind)
        frame = _text(spark, path, kind)
    found = {name.lower(): name for name in frame.columns}
    for column in declared:
        if column.name.lower() not in found:
            near = difflib.get_close_matches(column.name.lower(), found, n=1)
            raise ConfigError(
                f"{path.name} has no column {column.name}, which the project declares ({column.where})"
                + (f"; it has {found[near[0]]}" if near else ""),
                where=path.parent,
                next_step="add the column to the file, or correct the declaration",
            )
    types = {column.name.lower(): column for column in declared if column.data_type}
    inferred = _inferred(spark, path, kind, frame)
    wanted: list[tuple[str, DataType, DeclaredColumn | None]] = []
    # The names of an object have no order, and Spark sorts them.
    first = [found[column.name.lower()] for column in declared] if kind == "json" else []
    for name in dict.fromkeys([*first, *frame.columns]):
        own = types.get(name.lower())
        wanted.append((name, _type(own) if own is not None else inferred[name], own))
    for name, type_, own in wanted:
        if own is not None:
            _require_fit(frame, path, kind, name=name, type_=type_, declared=own)
    return frame.select([_converted(frame, name, type_).alias(name) for name, type_, _ in wanted])


def _parquet(spark: SparkSession, path: Path) -> DataFrame:
    try:
        return spark.read.parquet(_escaped(path))
    except PySparkException as exc:
        raise ConfigError(f"not Parquet: {str(exc).splitlines()[0]}", where=path, next_step="correct the file") from exc


def in_microseconds(path: Path, temporary: Path) -> Path:
    """The file; or a copy in microseconds where it has nanoseconds, as pandas writes and Spark refuses.

    Args:
        path: a Parquet file, or a folder of them, which is taken as it is.
        temporary: the folder for the copy.

    Raises:
        ConfigError: it is no Parquet file.
    """
    if path.is_dir():
        return path
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        schema = pq.read_schema(path)
        if not any(pa.types.is_timestamp(column.type) and column.type.unit == "ns" for column in schema):
            return path
        copy = temporary / "microseconds.parquet"
        pq.write_table(pq.read_table(path), copy, coerce_timestamps="us", allow_truncated_timestamps=True)
        return copy
    except (OSError, pa.ArrowException) as exc:
        raise ConfigError(f"not Parquet: {exc}", where=path, next_step="correct the file") from exc


def _text(spark: SparkSession, path: Path, kind: str) -> DataFrame:
    """All columns as text: of csv as it stands, of JSON each value as JSON, strings without their quotes."""
    if kind == "csv":
        return spark.read.options(**_CSV).csv(_escaped(path))
    reader = spark.read.options(multiLine=is_json_array(path))
    names = reader.json(_escaped(path)).columns
    schema = StructType([StructField(name, StringType()) for name in names])
    return spark.read.options(multiLine=is_json_array(path)).schema(schema).json(_escaped(path))


def _inferred(spark: SparkSession, path: Path, kind: str, frame: DataFrame) -> dict[str, DataType]:
    if kind == "csv":
        found = spark.read.options(**_CSV, inferSchema="true").csv(_escaped(path)).schema
    elif kind == "json":
        found = spark.read.options(multiLine=is_json_array(path)).json(_escaped(path)).schema
    else:
        found = frame.schema
    # A column of nothing but nulls has no type, and Delta keeps none such.
    return {
        field.name: StringType() if isinstance(field.dataType, NullType) else field.dataType for field in found.fields
    }


def _converted(frame: DataFrame, name: str, type_: DataType) -> Column:
    column = frame[quote(name)]
    if not isinstance(frame.schema[name].dataType, StringType) or isinstance(type_, StringType):
        return f.expr(f"try_cast({quote(name)} AS {type_.simpleString()})")
    if isinstance(type_, (StructType, ArrayType, MapType)):
        return f.from_json(column, type_.simpleString())
    if isinstance(type_, VariantType):
        return f.try_parse_json(column)
    return f.expr(f"try_cast({quote(name)} AS {type_.simpleString()})")


def _require_fit(
    frame: DataFrame, path: Path, kind: str, *, name: str, type_: DataType, declared: DeclaredColumn
) -> None:
    converted = _converted(frame, name, type_)
    lost = converted.isNull()
    if isinstance(type_, DecimalType):
        lost = lost | (f.expr(f"try_cast({quote(name)} AS decimal(38, 18))") != converted)
    try:
        wrong = frame.where(frame[quote(name)].isNotNull() & lost).select(quote(name)).limit(_SHOWN).collect()
    except PySparkException as exc:
        what = f"{path.name}: {name} is {frame.schema[name].dataType.simpleString()}"
        raise ConfigError(
            f"{what}, and the project declares {declared.data_type} ({declared.where})",
            where=path.parent,
            next_step="correct the file or the declaration",
        ) from exc
    if wrong:
        values = [str(row[0]) for row in wrong]
        line = line_of(path, kind, name, values) if kind != "parquet" else None
        raise ConfigError(
            f"{name} is {values[0]!r}, which is no {declared.data_type} as the project declares it ({declared.where})",
            where=f"{path}:{line}" if line else path,
            next_step="correct the file or the declaration",
        )


def _type(column: DeclaredColumn) -> DataType:
    try:
        return DataType.fromDDL(column.data_type or "string")
    except PySparkException as exc:
        raise ConfigError(
            f"{column.data_type!r}, declared for the column {column.name}, is no type",
            where=column.where,
            next_step="write it as SQL has it, such as decimal(12, 2)",
        ) from exc


def _escaped(path: Path) -> str:
    """A path in which Spark finds no pattern."""
    return re.sub(r"([\[\]{}*?\\,])", r"\\\1", str(path))
