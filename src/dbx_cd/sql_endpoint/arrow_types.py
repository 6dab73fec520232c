"""How Spark types travel: as Arrow where the connector can read them, as text where it cannot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dbx_cd.sql_endpoint.rows import Collect, Result, ResultRows
from dbx_cd.sql_endpoint.thrift_api import T

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType

# The Arrow field metadata by which the connector recognises a VARIANT (its thrift_backend `_col_to_description`).
SQL_NAME = b"Spark:DataType:SqlName"

_PRIMITIVES: dict[pa.DataType, int] = {
    pa.bool_(): T.TTypeId.BOOLEAN_TYPE,
    pa.int8(): T.TTypeId.TINYINT_TYPE,
    pa.int16(): T.TTypeId.SMALLINT_TYPE,
    pa.int32(): T.TTypeId.INT_TYPE,
    pa.int64(): T.TTypeId.BIGINT_TYPE,
    pa.float32(): T.TTypeId.FLOAT_TYPE,
    pa.float64(): T.TTypeId.DOUBLE_TYPE,
    pa.date32(): T.TTypeId.DATE_TYPE,
    pa.binary(): T.TTypeId.BINARY_TYPE,
    pa.large_binary(): T.TTypeId.BINARY_TYPE,
    pa.null(): T.TTypeId.NULL_TYPE,
}
_TEXT_OF: dict[str, int] = {
    "array": T.TTypeId.ARRAY_TYPE,
    "map": T.TTypeId.MAP_TYPE,
    "struct": T.TTypeId.STRUCT_TYPE,
    "timestamp": T.TTypeId.TIMESTAMP_TYPE,
    "timestamp_ntz": T.TTypeId.TIMESTAMP_TYPE,
}
_COMPLEX = ("array", "map", "struct")


def table_schema(schema: pa.Schema, names: Sequence[str]) -> Any:
    """The Thrift description of a result's columns, under their `names`."""
    columns = enumerate(zip(names, schema, strict=True), start=1)
    return T.TTableSchema([T.TColumnDesc(name, _type_description(field), at, "") for at, (name, field) in columns])


def distinct(names: Sequence[str]) -> list[str]:
    """The names, with the position added to those that were there before."""
    seen: set[str] = set()
    unique = []
    for at, name in enumerate(names, start=1):
        while name in seen:
            name = f"{name}:{at}"
        seen.add(name)
        unique.append(name)
    return unique


def _type_description(field: pa.Field) -> Any:
    type_id, qualifiers = _type_id(field)
    return T.TTypeDesc([T.TTypeEntry(primitiveEntry=T.TPrimitiveTypeEntry(type_id, qualifiers))])


def _type_id(field: pa.Field) -> tuple[int, Any]:
    sql_name = (field.metadata or {}).get(SQL_NAME, b"").decode()
    if sql_name.startswith("DECIMAL"):
        precision, scale = (int(part) for part in re.findall(r"\d+", sql_name))
        return T.TTypeId.DECIMAL_TYPE, _decimal_qualifiers(precision, scale)
    if sql_name.startswith("INTERVAL"):
        is_months = "YEAR" in sql_name or "MONTH" in sql_name
        return (T.TTypeId.INTERVAL_YEAR_MONTH_TYPE if is_months else T.TTypeId.INTERVAL_DAY_TIME_TYPE), None
    if pa.types.is_string(field.type) and (text_of := _TEXT_OF.get(sql_name.lower().partition("<")[0])) is not None:
        return text_of, None
    return _arrow_type_id(field.type)


def _arrow_type_id(arrow: pa.DataType) -> tuple[int, Any]:
    if pa.types.is_decimal(arrow):
        return T.TTypeId.DECIMAL_TYPE, _decimal_qualifiers(arrow.precision, arrow.scale)
    if pa.types.is_timestamp(arrow):
        return T.TTypeId.TIMESTAMP_TYPE, None
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow):
        return T.TTypeId.ARRAY_TYPE, None
    if pa.types.is_map(arrow):
        return T.TTypeId.MAP_TYPE, None
    if pa.types.is_struct(arrow):
        return T.TTypeId.STRUCT_TYPE, None
    return _PRIMITIVES.get(arrow, T.TTypeId.STRING_TYPE), None


def _decimal_qualifiers(precision: int, scale: int) -> Any:
    # The connector refuses a DECIMAL column without both.
    values = {"precision": precision, "scale": scale}
    return T.TTypeQualifiers({name: T.TTypeQualifierValue(i32Value=value) for name, value in values.items()})


def types_as_text(native: Any) -> frozenset[str]:
    """The Spark type names that this client wants as text.

    Args:
        native: the request's `useArrowNativeTypes`; None means that the client reads every Arrow type.
    """
    if native is None:
        return frozenset()
    wanted = {
        _COMPLEX: native.complexTypesAsArrow,
        ("decimal",): native.decimalAsArrow,
        ("timestamp", "timestamp_ntz"): native.timestampAsArrow,
    }
    return frozenset(name for names, as_arrow in wanted.items() if not as_arrow for name in names)


def to_rows(
    frame: DataFrame, *, collect: Collect, as_text: frozenset[str] = frozenset(), temporary: Path | None = None
) -> Result:
    """The rows of `frame`, in types the connector reads.

    Intervals become Hive-style text and a VARIANT becomes JSON: the connector asks for intervals as text, and
    Databricks sends a VARIANT as JSON. Time zone aware timestamps carry the session's zone.
    """
    from pyspark.sql import functions as F  # noqa: N812

    fields, rows = frame.schema.fields, ResultRows(temporary)
    if not fields:
        return Result(pa.schema([]), rows)  # a command, which has run
    text = {at: c for at, f in enumerate(fields) if (c := _text_column(f"c{at}", f.dataType, as_text)) is not None}
    names = [f"c{at}" for at in range(len(fields))]
    try:
        if text or len({field.name for field in fields}) < len(fields):
            # By position: a result may have two columns of one name, or a name with a dot in it.
            columns = [text.get(at, F.col(name)).alias(name) for at, name in enumerate(names)]
            arrow = collect(frame.toDF(*names).select(*columns), rows)
        else:
            arrow = collect(frame, rows)
    except BaseException:
        rows.free()
        raise
    return Result(pa.schema([_labelled(arrow.field(at), f, at in text, frame) for at, f in enumerate(fields)]), rows)


def _labelled(arrow: pa.Field, spark_field: Any, is_text: bool, frame: DataFrame) -> pa.Field:
    field = pa.field(spark_field.name, arrow.type, arrow.nullable)
    if is_text:
        return field.with_metadata({SQL_NAME: spark_field.dataType.simpleString().upper()})
    if pa.types.is_timestamp(arrow.type) and arrow.type.tz is not None:
        zone = frame.sparkSession.conf.get("spark.sql.session.timeZone")
        return field.with_type(pa.timestamp(arrow.type.unit, zone))
    return field


def _text_column(name: str, spark_type: DataType, as_text: frozenset[str]) -> Column | None:
    from pyspark.sql import functions as F  # noqa: N812

    kind = spark_type.typeName().partition("(")[0]
    if "interval" in kind:
        return _interval_text(F.col(name), spark_type.simpleString())
    if kind != "variant" and kind not in as_text:
        return None  # most are: a column of Spark is asked for only where one is needed
    return F.to_json(F.col(name)) if kind == "variant" or kind in _COMPLEX else F.col(name).cast("string")


def _interval_text(column: Column, sql_name: str) -> Column:
    """Hive's form, which Spark's own Thrift server sends: `1-2`, or `1 02:03:04.000000000`."""
    from pyspark.sql import functions as F  # noqa: N812

    if sql_name == "interval":
        return column.cast("string")
    is_months = "year" in sql_name or "month" in sql_name
    widest = column.cast("interval year to month" if is_months else "interval day to second")
    quoted = F.regexp_extract(widest.cast("string"), "'(.*)'", 1)
    if is_months:
        return quoted
    seconds = F.substring_index(quoted, ".", 1)
    fraction = F.when(F.instr(quoted, ".") > 0, F.substring_index(quoted, ".", -1)).otherwise(F.lit(""))
    return F.concat(seconds, F.lit("."), F.rpad(fraction, 9, "0"))
