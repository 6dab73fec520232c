"""What a change of a column's type takes away from its values."""

from __future__ import annotations

import pytest

from dbx_cd.plan.column_types import Change, change_of

CHANGES: list[tuple[str, str, Change]] = [
    ("int", "integer", "same"),
    ("BIGINT", "long", "same"),
    ("decimal", "decimal(10, 0)", "same"),
    ("decimal(12)", "numeric(12,0)", "same"),
    ("double precision", "double", "same"),
    ("struct<a: int, b: string>", "struct<a:int,b:string>", "same"),
    ("array<integer>", "array<int>", "same"),
    ("struct<a:integer,b:array<decimal(10)>>", "struct<a: int, b: array<decimal(10,0)>>", "same"),
    ("struct<`a`:int>", "struct<a:int>", "same"),
    ("struct<a:int comment 'x, it\\'s y'>", "struct<a:int>", "same"),
    ("char(5)", "char(10)", "wider"),
    ("char(10)", "char(5)", "narrower"),
    ("void", "int", "wider"),
    ("int", "bigint", "wider"),
    ("tinyint", "smallint", "wider"),
    ("bigint", "int", "narrower"),
    ("int", "double", "wider"),
    ("int", "float", "narrower"),  # a float keeps seven digits
    ("bigint", "double", "narrower"),
    ("double", "float", "narrower"),
    ("float", "double", "wider"),
    ("double", "decimal(38,10)", "narrower"),
    ("int", "decimal(10,0)", "wider"),
    ("int", "decimal(10,2)", "narrower"),
    ("decimal(12,2)", "decimal(14,2)", "wider"),
    ("decimal(12,2)", "decimal(14,4)", "wider"),
    ("decimal(12,2)", "decimal(12,3)", "narrower"),
    ("decimal(12,2)", "decimal(12,1)", "narrower"),
    ("string", "int", "narrower"),
    ("int", "string", "other"),
    ("date", "string", "other"),
    ("string", "varchar(10)", "narrower"),
    ("varchar(10)", "varchar(20)", "wider"),
    ("varchar(20)", "varchar(10)", "narrower"),
    ("varchar(20)", "string", "wider"),
    ("date", "timestamp", "wider"),
    ("timestamp", "date", "narrower"),
    ("timestamp", "timestamp_ntz", "narrower"),
    ("boolean", "int", "narrower"),
    ("array<int>", "array<bigint>", "wider"),
    ("array<bigint>", "array<int>", "narrower"),
    ("array<int>", "int", "narrower"),
    ("array<int>", "string", "narrower"),
    ("map<string,int>", "map<string,string>", "other"),
    ("struct<a:int,b:string>", "struct<a:int>", "narrower"),
    ("struct<a:int>", "struct<a:int,b:string>", "wider"),
    ("struct<a:int,b:decimal(10,2)>", "struct<b:decimal(12,2),a:int>", "wider"),
    ("struct<a:struct<c:int,d:int>,b:int>", "struct<a:struct<c:int>,b:int>", "narrower"),
    ("array<struct<a:int>>", "array<struct<a:string>>", "other"),
    ("map<string,array<int>>", "map<string,array<tinyint>>", "narrower"),
    ("variant", "string", "other"),
]


@pytest.mark.parametrize(("before", "after", "change"), CHANGES)
def test_what_a_change_of_type_does_to_values(before: str, after: str, change: Change) -> None:
    assert change_of(before, after) == change
