"""Which relations and functions a SQL text names."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies as st

from dbx_cd.delta.references import References, references
from dbx_cd.relations import RelationName, quote

HERE = ("prod", "shop")
X = "stg.shop.x"

# A query, and the relations that it names when it is read in prod.shop.
QUERIES = {
    "plain": ("SELECT * FROM stg.shop.x", X),
    "without a select": ("FROM stg.shop.x", X),
    "two parts": ("SELECT * FROM other.x", "prod.other.x"),
    "one part": ("SELECT * FROM x", "prod.shop.x"),
    "other case": ("select * from STG.Shop.X", X),
    "blanks": ("SELECT * FROM stg . shop\n.  x", X),
    "quoted": ("SELECT * FROM `stg`.`shop`.`x`", X),
    "quoted with dots and blanks": ("SELECT * FROM `s.t g`.`sh``op`.`x y`", "s.t g.sh`op.x y"),
    "partly quoted": ("SELECT * FROM stg.`shop`.x", X),
    "begins with a digit": ("SELECT * FROM stg.shop.2020_x", "stg.shop.2020_x"),
    "alias": ("SELECT t.a FROM stg.shop.x AS t (a, b)", X),
    "alias of a relation's name": ("SELECT y.a FROM stg.shop.x y", X),
    "column of three parts": ("SELECT other.shop.y.a, q.w.e FROM stg.shop.x", X),
    "join": ("SELECT * FROM a LEFT ANTI JOIN stg.shop.x USING (id)", f"prod.shop.a {X}"),
    "join in parentheses": ("SELECT * FROM (a JOIN stg.shop.x ON a.id = x.id)", f"prod.shop.a {X}"),
    "comma": ("SELECT * FROM a, stg.shop.x", f"prod.shop.a {X}"),
    "union": ("SELECT 1 FROM a UNION ALL (SELECT 2 FROM stg.shop.x) EXCEPT SELECT 3 FROM a", f"prod.shop.a {X}"),
    "subquery": ("SELECT * FROM (SELECT * FROM stg.shop.x) t", X),
    "in a predicate": ("SELECT * FROM a WHERE id IN (SELECT id FROM stg.shop.x)", f"prod.shop.a {X}"),
    "exists": ("SELECT * FROM a WHERE EXISTS (SELECT 1 FROM stg.shop.x WHERE x.id = a.id)", f"prod.shop.a {X}"),
    "scalar": ("SELECT (SELECT max(id) FROM stg.shop.x) AS m FROM a", f"prod.shop.a {X}"),
    "lateral": ("SELECT * FROM a, LATERAL (SELECT * FROM stg.shop.x WHERE x.id = a.id)", f"prod.shop.a {X}"),
    "lateral view": ("SELECT t.v FROM stg.shop.x LATERAL VIEW OUTER explode(many) t AS v", X),
    "time travel": ("SELECT * FROM stg.shop.x VERSION AS OF 3", X),
    "time travel by time": ("SELECT * FROM stg.shop.x TIMESTAMP AS OF '2026-01-01' t", X),
    "time travel by sign": ("SELECT * FROM stg.shop.x@v3", X),
    "sample": ("SELECT * FROM stg.shop.x TABLESAMPLE (5 PERCENT) REPEATABLE (1)", X),
    "pivot": ("SELECT * FROM stg.shop.x PIVOT (sum(n) FOR k IN ('a', 'b'))", X),
    "unpivot": ("SELECT * FROM stg.shop.x UNPIVOT (n FOR k IN (a, b))", X),
    "window and qualify": ("SELECT row_number() OVER (PARTITION BY a) r FROM stg.shop.x QUALIFY r = 1", X),
    "changes of a table": ("SELECT * FROM table_changes('stg.shop.x', 1)", X),
    "changes of a quoted table": ("SELECT * FROM TABLE_CHANGES ( '`stg`.`shop`.`x`', 1) AS c", X),
    "identifier": ("SELECT * FROM identifier('stg.shop.x')", X),
    "identifier, quoted": ("SELECT * FROM IDENTIFIER ( \"`stg`.`shop`.x\" ) t", X),
    "identifier, put together": ("SELECT * FROM identifier('stg.' || 'shop' || '.x')", X),
    "identifier, juxtaposed": ("SELECT * FROM identifier('stg.' 'shop.x')", X),
    "identifier of one part": ("SELECT * FROM stg.shop.identifier('x')", X),
    "table argument": ("SELECT * FROM prod.shop.f(TABLE(stg.shop.x))", X),
    "table argument by name": ("SELECT * FROM prod.shop.f(input => TABLE(stg.shop.x))", X),
    "table argument of a query": ("SELECT * FROM prod.shop.f(TABLE(SELECT * FROM stg.shop.x))", X),
    "stream": ("SELECT * FROM STREAM(stg.shop.x)", X),
    "stream without parentheses": ("SELECT * FROM STREAM stg.shop.x", X),
    "pipes": ("FROM stg.shop.x |> WHERE a > 1 |> JOIN a USING (id)", f"prod.shop.a {X}"),
    "values": ("SELECT * FROM VALUES (1), (2) AS t(a)", ""),
    "table function": ("SELECT * FROM range(10), explode(array(1))", ""),
    "files by a string": ("SELECT * FROM read_files('/Volumes/stg/shop/x')", ""),
    "nothing": ("", ""),
    "nothing but a comment": ("-- stg.shop.x", ""),
    "ends with a semicolon": ("SELECT * FROM stg.shop.x;", X),
    "modern": ("SELECT * EXCEPT (b), a:c.d::int, transform(m, e -> e + 1), try_cast(f AS INT) FROM stg.shop.x", X),
    "intervals": ("SELECT date '2026-01-01' + INTERVAL 1 DAY, timestamp_ntz '2026-01-01' FROM stg.shop.x", X),
    "escaped quotes": (r"SELECT 'it\'s from a.b.c', 'it''s', '\\' FROM stg.shop.x WHERE a = 'from d.e.f'", X),
    "raw string": (r"SELECT r'\' AS a FROM stg.shop.x", X),
    "double quotes are strings": ('SELECT "from a.b.c" FROM stg.shop.x', X),
    "comment": ("SELECT * /* FROM a.b.c */ FROM stg.shop.x -- JOIN d.e.f\n", X),
    "comment in a comment": ("SELECT * /* a /* b */ FROM a.b.c */ FROM stg.shop.x", X),
    "comment in a name": ("SELECT * FROM stg./* not */shop.x", X),
    "string like a comment": ("SELECT '/*' FROM stg.shop.x WHERE b = '*/' AND c = '--'", X),
    "common table expression": ("WITH x AS (SELECT * FROM a.b.c) SELECT * FROM x", "a.b.c"),
    "of other case": ("WITH X AS (SELECT * FROM a.b.c) SELECT * FROM `x`", "a.b.c"),
    "of its relation's name": ("WITH x AS (SELECT * FROM x) SELECT * FROM x", "prod.shop.x"),
    "whole names are none": ("WITH x AS (SELECT 1) SELECT * FROM stg.shop.x, x", X),
    "one after another": ("WITH a AS (SELECT * FROM stg.shop.x), b AS (SELECT * FROM a) SELECT * FROM b", X),
    "not before it is there": ("WITH a AS (SELECT * FROM b), b AS (SELECT 1) SELECT * FROM a", "prod.shop.b"),
    "recursive": ("WITH RECURSIVE r (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT * FROM r", ""),
    "within a subquery": (
        "SELECT * FROM (WITH x AS (SELECT 1 AS a) SELECT * FROM x) t JOIN x ON t.a = x.a", "prod.shop.x"),
    "within an inner query": (
        "WITH x AS (SELECT 1 AS a) SELECT * FROM b WHERE a IN (WITH y AS (SELECT * FROM x) SELECT a FROM y)",
        "prod.shop.b"),
    "as a table argument": ("WITH x AS (SELECT 1) SELECT * FROM prod.shop.f(TABLE(x))", ""),
    "expression": ("a * 2 + (SELECT max(id) FROM stg.shop.x)", X),
    "body with return": ("RETURN SELECT * FROM stg.shop.x", X),
}  # fmt: skip


@pytest.mark.parametrize(("text", "named"), QUERIES.values(), ids=QUERIES)
def test_relations_are_named(text: str, named: str) -> None:
    found = references(text, namespace=HERE)
    assert not found.by_tokens
    assert {r.key for r in found.relations} == _keys(named)
    assert (found.unclear, found.paths) == ((), ())


def _keys(named: str) -> set[str]:
    """Names with blanks in them stand alone."""
    return {named} if "`" in named else set(named.split())


NOT_PARSED = {
    "table statement": ("TABLE stg.shop.x", X),
    "compound": ("BEGIN RETURN SELECT * FROM stg.shop.x; END", X),
    "partitions of a table argument": ("SELECT * FROM prod.shop.f(TABLE(stg.shop.x) PARTITION BY a)", X),
    "a clause nobody knows": ("SELECT * FROM stg.shop.x WITH (SOMETHING new)", X),
    "no SQL": ("this is ( no SQL FROM `stg`.`shop`.x,, y '", f"{X} prod.shop.y"),
    "still no comment or string": ("((( 'a.b.c' /* d.e.f */ stg.shop.x -- g.h.i", X),
    "left as a command": ("EXPLAIN SELECT * FROM stg.shop.x", X),
    "comment in a comment": ("((( /* a.b.c /* d */ e.f.g */ stg.shop.x", X),
    "comment without an end": ("((( stg.shop.y /* stg.shop.x", f"stg.shop.y {X}"),
    "string without an end": ("((( stg.shop.y ' stg.shop.x", f"stg.shop.y {X}"),
    "numbers": ("((( 1.5 2.5e3 stg.shop.x", X),
}


@pytest.mark.parametrize(("text", "named"), NOT_PARSED.values(), ids=NOT_PARSED)
def test_of_what_cannot_be_parsed_every_name_counts(text: str, named: str) -> None:
    found = references(text, namespace=HERE)
    assert found.by_tokens
    assert {r.key for r in found.relations} == set(named.split())


FUNCTIONS = {
    "in full": ("SELECT stg.shop.f(a) FROM b", "stg.shop.f", ""),
    "two parts": ("SELECT `other`.f (a) FROM b", "prod.other.f", ""),
    "one part": ("SELECT F(a), count(*) FROM b", "", "f count"),
    "of functions": ("SELECT stg.shop.f(prod.shop.g(a)) FROM b", "prod.shop.g stg.shop.f", ""),
    "of tables": ("SELECT * FROM stg.shop.f(1) t JOIN b", "stg.shop.f", ""),
    "lateral": ("SELECT * FROM b, LATERAL stg.shop.f(b.id)", "stg.shop.f", ""),
    "identifier": ("SELECT identifier('stg.shop.f')(a) FROM b", "stg.shop.f", ""),
    "not a string's": ("SELECT 'stg.shop.f(a)' FROM b /* stg.shop.g(a) */", "", ""),
    "expression": ("stg.shop.f(1) + g()", "stg.shop.f", "g"),
}


@pytest.mark.parametrize(("text", "functions", "called"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_functions_are_named(text: str, functions: str, called: str) -> None:
    found = references(text, namespace=HERE)
    assert {f.key for f in found.functions} == set(functions.split())
    assert found.called == set(called.split())
    assert {r.key for r in found.relations} <= {"prod.shop.b"}


def test_without_a_namespace_names_of_one_or_two_parts_are_unclear() -> None:
    found = references("SELECT f(a), s.g(a) FROM x JOIN s.y JOIN stg.shop.x")
    assert found.unclear == ("s.g", "s.y", "x")
    assert [str(r) for r in found.relations] == [X]


def test_a_name_that_is_computed_is_unclear() -> None:
    for text in ("SELECT * FROM identifier('stg.' || :x)", "SELECT * FROM stg.shop.identifier(lower('X'))"):
        assert references(text, namespace=HERE).unclear == ("identifier(...)",)


def test_files_are_read_by_their_path() -> None:
    found = references(
        "SELECT * FROM delta.`/data/stg.shop.x` JOIN parquet.`s3://b/stg/x` JOIN delta.x", namespace=HERE
    )
    assert found.paths == ("delta./data/stg.shop.x", "parquet.s3://b/stg/x")
    assert [str(r) for r in found.relations] == ["prod.delta.x"]


def test_each_name_comes_once() -> None:
    found = references("SELECT * FROM stg.shop.x JOIN STG.shop.`X` JOIN stg.shop.x", namespace=HERE)
    assert [r.key for r in found.relations] == [X]


PARTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8)
NAMES = st.builds(RelationName, PARTS, PARTS, PARTS)


@given(
    NAMES, NAMES, st.sampled_from(["SELECT * FROM {} JOIN {}", "WITH c AS (FROM {}) SELECT * FROM {}, c", "((( {} {}"])
)
def test_any_quoted_name_is_found(one: RelationName, other: RelationName, query: str) -> None:
    text = query.format(*(".".join(map(quote, (n.catalog, n.schema, n.identifier))) for n in (one, other)))
    assert {r.key for r in references(text).relations} == {one.key, other.key}


@given(st.text(max_size=40))
@example("``")
def test_any_text_has_an_answer(text: str) -> None:
    assert isinstance(references(text, namespace=HERE), References)
