"""What GetColumns says about one column: its type by JDBC's numbers, its size, whether it may be null."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql.types import DataType, StructField

_TEXT, _INT = pa.string(), pa.int32()
COLUMNS = pa.schema(
    [
        ("TABLE_CAT", _TEXT),
        ("TABLE_SCHEM", _TEXT),
        ("TABLE_NAME", _TEXT),
        ("COLUMN_NAME", _TEXT),
        ("DATA_TYPE", _INT),
        ("TYPE_NAME", _TEXT),
        ("COLUMN_SIZE", _INT),
        ("BUFFER_LENGTH", pa.int8()),
        ("DECIMAL_DIGITS", _INT),
        ("NUM_PREC_RADIX", _INT),
        ("NULLABLE", _INT),
        ("REMARKS", _TEXT),
        ("COLUMN_DEF", _TEXT),
        ("SQL_DATA_TYPE", _INT),
        ("SQL_DATETIME_SUB", _INT),
        ("CHAR_OCTET_LENGTH", _INT),
        ("ORDINAL_POSITION", _INT),
        ("IS_NULLABLE", _TEXT),
        ("SCOPE_CATALOG", _TEXT),
        ("SCOPE_SCHEMA", _TEXT),
        ("SCOPE_TABLE", _TEXT),
        ("SOURCE_DATA_TYPE", pa.int16()),
        ("IS_AUTO_INCREMENT", _TEXT),
    ]
)
"""The columns of GetColumns' answer."""

# Spark SQL type -> the constant in java.sql.Types.
_JDBC_TYPES = {
    "VOID": 0,
    "BOOLEAN": 16,
    "TINYINT": -6,
    "SMALLINT": 5,
    "INT": 4,
    "BIGINT": -5,
    "FLOAT": 6,
    "DOUBLE": 8,
    "DECIMAL": 3,
    "STRING": 12,
    "VARCHAR": 12,
    "CHAR": 1,
    "BINARY": -2,
    "DATE": 91,
    "TIMESTAMP": 93,
    "TIMESTAMP_NTZ": 93,
    "ARRAY": 2003,
    "MAP": 2000,
    "STRUCT": 2002,
    "INTERVAL": 1111,
    "VARIANT": 1111,
}
_OTHER = 1111
_PRECISIONS = {"TINYINT": 3, "SMALLINT": 5, "INT": 10, "BIGINT": 19, "FLOAT": 7, "DOUBLE": 15, "DECIMAL": 38}
# What Spark's own Thrift server answers (SparkGetColumnsOperation).
_DIGITS = {"BOOLEAN": 0, "TINYINT": 0, "SMALLINT": 0, "INT": 0, "BIGINT": 0, "FLOAT": 7, "DOUBLE": 15, "TIMESTAMP": 6}
# Where Spark keeps what a column was declared as: its type for a string of limited length, and its default.
_DECLARED_TYPE, _DEFAULT = "__CHAR_VARCHAR_TYPE_STRING", "CURRENT_DEFAULT"
_IDENTITY = "delta.identity.start"


def jdbc_types() -> Iterator[tuple[str, int, int | None]]:
    """Name, JDBC number and precision of each SQL type."""
    for name, number in _JDBC_TYPES.items():
        yield name, number, _PRECISIONS.get(name)


def column_facts(field: StructField, position: int) -> list[Any]:
    """The values of `COLUMNS` after the table's name.

    Args:
        field: the column.
        position: its place in the table, from 1.
    """
    type_name = str(field.metadata.get(_DECLARED_TYPE, "")).upper() or sql_type(field.dataType)
    base = re.split(r"[(<\s]", type_name, maxsplit=1)[0]
    arguments = [int(number) for number in re.findall(r"\d+", type_name)] if re.match(r"\w+\(", type_name) else []
    digits = arguments[1] if len(arguments) > 1 else _DIGITS.get(base)
    return [
        field.name,
        _JDBC_TYPES.get(base, _OTHER),
        type_name,
        arguments[0] if arguments else _PRECISIONS.get(base),
        None,
        digits,
        10 if base in _PRECISIONS else None,
        int(field.nullable),
        field.metadata.get("comment", ""),
        field.metadata.get(_DEFAULT),
        None,
        None,
        None,
        position,
        "YES" if field.nullable else "NO",
        None,
        None,
        None,
        None,
        "YES" if _IDENTITY in field.metadata else "NO",
    ]


def sql_type(spark_type: DataType) -> str:
    """A type as Databricks writes it: `STRUCT<name: STRING, age: INT>`, names of fields as they are."""
    from pyspark.sql import types

    if isinstance(spark_type, types.ArrayType):
        return f"ARRAY<{sql_type(spark_type.elementType)}>"
    if isinstance(spark_type, types.MapType):
        return f"MAP<{sql_type(spark_type.keyType)}, {sql_type(spark_type.valueType)}>"
    if isinstance(spark_type, types.StructType):
        return f"STRUCT<{', '.join(map(_sql_field, spark_type.fields))}>"
    return spark_type.simpleString().upper()


def _sql_field(field: StructField) -> str:
    name = field.name if re.fullmatch(r"[A-Za-z_]\w*", field.name) else "`" + field.name.replace("`", "``") + "`"
    return f"{name}: {sql_type(field.dataType)}{'' if field.nullable else ' NOT NULL'}"
