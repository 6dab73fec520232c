"""What in a node's code may give other rows from the same inputs: found by name, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.doubts import Doubts

OWN = "`prod`.`shop`.`orders`"
RELATION = {"database": "prod", "schema": "shop"}


def manifest(code: str, *, compiled: str = "", macro: str = "", **config: Any) -> Manifest:
    macros = {"macro.shop.stamp": {"name": "stamp", "macro_sql": macro, "depends_on": {"macros": []}}} if macro else {}
    parent = {"unique_id": "model.shop.raw", "name": "raw", "resource_type": "model", "alias": "raw",
              "relation_name": "`prod`.`shop`.`raw`", **RELATION}  # fmt: skip
    node = {
        "unique_id": "model.shop.orders", "name": "orders", "resource_type": "model", "raw_code": code,
        "compiled_code": compiled, "relation_name": OWN, "alias": "orders", **RELATION,
        "language": config.pop("language", "sql"),
        "config": {"materialized": "table", **config},
        "depends_on": {"nodes": ["model.shop.raw"], "macros": list(macros)},
    }  # fmt: skip
    nodes = {n["unique_id"]: n for n in (parent, node)}
    return Manifest.from_json({"metadata": {"project_name": "shop"}, "nodes": nodes, "macros": macros})


def doubts(code: str = "select 1 as id", **more: Any) -> tuple[str, ...]:
    found = manifest(code, **more)
    return Doubts(found).of(found.nodes["model.shop.orders"])


CLOCK = "it reads the clock or random values"


@pytest.mark.parametrize(
    "code",
    [
        "select current_timestamp() as at", "select CURRENT_DATE as day", "select now() as at",
        "select {{ dbt.current_timestamp() }} as at", "select '{{ run_started_at }}' as at",
        "select '{{ invocation_id }}' as run", "select uuid() as id", "select rand(1) as r",
        "select unix_timestamp() as at", "{% set day = modules.datetime.date.today() %} select 1 as id",
        "select * from {{ ref('raw') }} tablesample (10 percent)", "select '--' as line, now() as at",
        "select 'a/*' as a, now() as at, '*/' as b", "select date'today' as day",
    ],
)  # fmt: skip
def test_the_clock_and_chance_are_found(code: str) -> None:
    assert doubts(code) == (CLOCK,)


@pytest.mark.parametrize(
    "code",
    [
        "select known, brand(1) as b, unix_timestamp(at) as u from {{ ref('raw') }}",
        "select 1 as id -- as of current_date", "/* now() */ select 1 as id", "{# env_var('X') #} select 1 as id",
        "select extract(year from o.day) as y from {{ ref('raw') }} o",
        "select o.place.city, place.land.code from {{ ref('raw') }} as o, {{ ref('raw') }} p order by 1, p.land.code",
        "select graph.id, 'a' as a -- isn't it now()", "select users(1) as u",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_is_not(code: str) -> None:
    assert doubts(code, compiled=code.replace("{{ ref('raw') }}", "`prod`.`shop`.`raw`")) == ()


def test_a_macro_is_looked_through_and_so_is_what_dbt_compiled() -> None:
    assert doubts("select {{ stamp() }} as at", macro="{% macro stamp() %}now(){% endmacro %}") == (CLOCK,)
    assert doubts("select {{ other() }} as at", compiled="select now() as at") == (CLOCK,)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("select '{{ env_var('X') }}' as x", "it reads an environment variable"),
        ("{% set n = run_query('select 1') %} select 1 as id", "it asks the database when compiled"),
        ("select current_user() as who", "it reads who runs it"),
        ("select user() as who", "it reads who runs it"),
        ("{% set n = adapter.execute('select 1', fetch=true) %} select 1 as id", "it asks the database when compiled"),
        (
            "{% if adapter.get_relation('a', 'b', 'c') %} select 1 as id {% endif %}",
            "it asks the database when compiled",
        ),
        ("select {{ graph.nodes.values() | length }} as n", "it reads the project itself, or how dbt is called"),
        ("select {{ graph['nodes'] | length }} as n", "it reads the project itself, or how dbt is called"),
        ("select {{ selected_resources | length }} as n", "it reads the project itself, or how dbt is called"),
        ("select {{ flags.FULL_REFRESH }} as whole", "it reads the project itself, or how dbt is called"),
        ("select ai_classify(text, array('a')) as x", "it reads files or the network"),
        ("select * from read_files('/Volumes/a')", "it reads files or the network"),
    ],
)
def test_other_reasons(code: str, why: str) -> None:
    assert doubts(code) == (why,)


def test_a_relation_that_is_named_by_itself_is_no_known_input() -> None:
    compiled = "with a as (select * from `prod`.`shop`.`raw`) select * from a join other.shop.lines b using (id)"
    assert doubts(compiled=compiled) == ("it names other.shop.lines by itself, without ref or source",)
    assert doubts(compiled="select * from raw.lines") == ("it names raw.lines by itself, without ref or source",)
    listed = "select * from prod.shop.raw as r, other.shop.lines, `other`.`shop`.`days` d where r.id = d.id"
    assert len(doubts(compiled=listed)) == 2
    found = manifest("", compiled="select * from stg.shop.lines")
    node = found.nodes["model.shop.orders"]
    assert Doubts(found).of(node, also_read={"stg.shop.lines"}) == ()


@pytest.mark.parametrize(
    ("config", "doubted"),
    [
        ({"incremental_strategy": "append"}, True),
        ({}, True),
        ({"unique_key": "id"}, False),
        ({"incremental_strategy": "insert_overwrite"}, False),
        ({"incremental_strategy": "microbatch"}, True),
        ({"incremental_strategy": "delete+insert"}, False),
        ({"incremental_strategy": "by_hand", "unique_key": "id"}, True),
    ],
)
def test_incremental_models_that_another_run_may_change(config: dict[str, str], *, doubted: bool) -> None:
    assert bool(doubts(materialized="incremental", **config)) is doubted


def test_a_table_that_reads_itself_is_another_each_time() -> None:
    compiled = "select max(id) + 1 as id from prod.shop.orders"
    assert doubts(compiled=compiled) == ("it reads what it was before",)
    assert doubts(compiled=compiled, materialized="incremental", unique_key="id") == ()


def test_a_python_model_may_read_anything() -> None:
    assert doubts("def model(dbt, session): ...", language="python") == (
        "it is written in Python, which may read anything",
    )
