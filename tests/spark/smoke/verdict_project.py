"""A dbt project of data tests that a seed makes up: where, limit, fail_calc, warn_if, error_if and severity at random.

The relations are small and awkward: duplicates, nulls, NaN, orphans, decimals of many digits.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

SUBJECTS = """
select cast(id as int) as id,
  case when id < 4 then null else 'x' end as answer,
  case when id % 5 = 0 then 'open' when id % 5 = 4 then 'late' else 'shut' end as state,
  cast(id div 3 as int) as third,
  cast(nullif(id, 7) % 7 as int) as parent_id,
  case when id in (1, 2) then double('NaN') when id = 3 then double('Infinity') else double(id div 2) end as ratio,
  cast(id div 2 as decimal(30, 18)) + cast('0.000000000000000001' as decimal(30, 18)) as exact,
  id % 4 = 0 as flagged
from range(20)"""
# None reads another: dbt skips what reads a model whose tests have failed.
MODELS = {
    "parents": "select cast(id as int) as parent_id, concat('p', id) as parent_name from range(5)",
    "subjects": SUBJECTS,
    "nothing": f"{SUBJECTS} where 1 = 0",
}
# What dbt_utils 1.3 has; a test of a package is known by the package's name.
DBT_UTILS = """
{% test unique_combination_of_columns(model, combination_of_columns, quote_columns=false) %}
{%- set columns_csv = combination_of_columns | join(', ') %}
with validation_errors as (
    select {{ columns_csv }} from {{ model }} group by {{ columns_csv }} having count(*) > 1
)
select * from validation_errors
{% endtest %}
"""
OWN_TEST = """
{% test below(model, column_name, most) %} select * from {{ model }} where {{ column_name }} > {{ most }} {% endtest %}
"""

CONDITIONS = """
!= 0; > 0; >3; > 10; >= 4; = 4; == 4; <> 0; < 3; <= 2; between 1 and 5; between 5 and 9; not between 1 and 3;
in (1, 2, 4); not in (0, 4); is null; is not null; % 2 = 1; + 1 > 5; > 2 and 1 = 1; < 1 or true; > (select 3); > 1.5;
> null; + 0; * 0; <=> null; > cast('3' as int); >= 2 -- or so; between 5; > 'x'; || 'x' = '4x'; || ' failures'
"""
WHERES = """
id >= 4; id < 4; state = 'open'; state = 'open' or id between 3 and 9; answer is not null; third in (1, 2) and id > 0;
flagged; not flagged; id in (select 5 union all select 6); 1 = 0; id < 1000 limit 0; state like 'l%'; exact > 3;
isnan(ratio); no_such_column = 1; id > 3 -- or so; state = 'it''s'; id >= {{ var('from_id', 4) }}
"""
COUNTS = """
count(*); COUNT(*); sum(n_records); coalesce(sum(n_records), 0); max(n_records); avg(n_records); count(*) + 1;
count(*) / 2; count(*) * 1.0; count(*) > 2; count(*) + 0.5; double('NaN'); cast(null as int); concat(count(*), '');
sum(no_such_column);
count(distinct n_records); -count(*); cast(count(*) as decimal(38, 0)); 1 / 0 * count(*); 9007199254740993 * count(*)
"""
# What no seed may leave out: relationships to an expression, values as dbt writes them into SQL, trailing comments,
# thresholds that are met, not met or no thresholds at all.
FIXED: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    *(
        ("relationships", "parent_id", {"to": "ref('parents')", "field": field}, {"where": where})
        for field, where in (
            ("case when parent_id < 3 then parent_id end", "parent_id < 4"),
            ("abs(parent_id)", "parent_id < 4"),
            ("cast(parent_id as string)", "parent_id > 3"),
            ("(select max(parent_id))", "parent_id = 4"),
        )
    ),
    ("accepted_values", "state", {"values": ["open", "shut"]}, {"warn_if": "> 1"}),
    ("accepted_values", "state", {"values": ["open", "shut", "late"]}, {"limit": 2}),
    ("accepted_values", "state", {"values": ["it's"]}, {}),
    ("accepted_values", "state", {"values": ["it's"]}, {"limit": 2}),
    (
        "accepted_values",
        "state",
        {"values": ["concat('op', 'en')", "'shut'"], "quote": False},
        {"where": "id % 5 <> 4"},
    ),
    ("not_null", "id", {}, {"where": "id > 3 -- or so"}),
    ("not_null", "id", {}, {"where": "id > 3 -- or so", "limit": 2}),
    ("unique", "third", {}, {"where": "id > 3 -- or so", "limit": 2}),
    ("not_null", "id", {}, {"where": "id > 3 limit 2"}),
    ("not_null", "answer", {}, {"limit": 0}),
    ("not_null", "answer", {}, {"error_if": ">= 2 -- or so"}),
    ("not_null", "answer", {}, {"severity": "warn", "error_if": "between 5"}),
    ("unique", "third", {}, {"fail_calc": "sum(n_records)", "error_if": "between 15 and 25", "warn_if": "= 0"}),
    ("unique", "third", {}, {"fail_calc": "cast(null as int)"}),
]


def _choices(text: str) -> list[str]:
    return [part.strip() for part in text.replace("\n", " ").split(";")]


def _subject(random_: random.Random) -> tuple[str, str, dict[str, Any]]:
    """A model, a test and its arguments."""
    model = random_.choice(["subjects", "subjects", "subjects", "subjects", "nothing"])
    kind = random_.choice(["unique", "not_null", "accepted_values", "relationships", "dbt_utils"] * 4 + ["below"])
    if kind == "unique":
        return model, kind, {"column_name": random_.choice(["id", "third", "ratio", "exact", "state", "parent_id"])}
    if kind == "not_null":
        return model, kind, {"column_name": random_.choice(["id", "answer", "parent_id", "flagged"])}
    if kind == "relationships":
        to = {"to": "ref('parents')", "field": random_.choice(["parent_id", "parent_id", "parent_id + 0"])}
        return model, kind, {"column_name": random_.choice(["parent_id", "third"]), **to}
    if kind == "dbt_utils":
        columns = random_.sample(["third", "state", "flagged", "id", "ratio"], k=random_.choice([1, 2]))
        return model, "dbt_utils.unique_combination_of_columns", {"combination_of_columns": columns}
    if kind == "below":
        return model, kind, {"column_name": "id", "most": random_.choice([3, 100])}
    return (
        model,
        kind,
        random_.choice(
            [
                {"column_name": "state", "values": ["open", "shut"]},
                {"column_name": "state", "values": ["open", "shut", "late"]},
                {"column_name": "state", "values": ["it's"]},
                {"column_name": "state", "values": "{{ var('states', ['open', 'shut']) }}"},
                {"column_name": "third", "values": [0, 1, 2, 3], "quote": False},
                {"column_name": "third", "values": [0, 1, 2, 3]},
                {"column_name": "flagged", "values": [True], "quote": False},
                {"column_name": "exact", "values": [0.5, 3.000000000000000001], "quote": False},
                {"column_name": "exact", "values": ["3.000000000000000001"]},
            ]
        ),
    )


def configurations(seed: int, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Models, each with one data test as it stands in a properties file."""
    random_ = random.Random(seed)
    for number in range(count):
        model, kind, arguments = _subject(random_)
        config: dict[str, Any] = {}
        for key, share, choices in (
            ("where", 0.4, _choices(WHERES)),
            ("limit", 0.3, [0, 1, 2, 3, 4, 100]),
            ("warn_if", 0.5, _choices(CONDITIONS)),
            ("error_if", 0.6, _choices(CONDITIONS)),
            ("fail_calc", 0.3, _choices(COUNTS)),
            ("severity", 0.5, ["warn", "error", "WARN", "Error"]),
            ("store_failures", 0.1, [True]),
        ):
            if random_.random() < share:
                config[key] = random_.choice(choices)
        column = (
            {"column_name": arguments.pop("column_name")} if kind != "dbt_utils.unique_combination_of_columns" else {}
        )
        body = {"name": f"g{number:03}", **column, "config": config}
        yield model, {kind: body | ({"arguments": arguments} if arguments else {})}


def write_project(folder: Path, *, seed: int, count: int, schema: str, beside: Path | None = None) -> None:
    """A project of that many data tests, with a profile that is yet to be connected.

    Args:
        folder: where to write it.
        seed: what the tests are made up from.
        count: how many there are.
        schema: where its models are built.
        beside: a folder of models with properties of their own, to be built with them.
    """
    files = {
        "dbt_project.yml": "{name: verdicts, version: '1.0', config-version: 2, profile: verdicts,"
        " models: {+materialized: table}, flags: {send_anonymous_usage_stats: false}}",
        "profiles.yml": "verdicts: {target: stg, outputs: {stg: {type: databricks, catalog: stg, threads: 4,"
        f" schema: {schema}, host: replaced, http_path: replaced, token: replaced}}}}}}",
        "macros/below.sql": OWN_TEST,
        "dbt_packages/dbt_utils/dbt_project.yml": "{name: dbt_utils, version: '1.3.0', config-version: 2}",
        "dbt_packages/dbt_utils/macros/unique_combination_of_columns.sql": DBT_UTILS,
        "tests/singular.sql": "{{ config(error_if='> 3', limit=2) }}"
        " select * from {{ ref('subjects') }} where answer is null -- or so",
        "tests/counted.sql": "{{ config(fail_calc='sum(third)', error_if='in (6)', warn_if='> 100') }}"
        " select * from {{ ref('subjects') }} where id in (18, 19, 1, 2)",
        "tests/commented.sql": "{{ config(warn_if='> 100') }}"
        " select * from {{ ref('subjects') }} where answer is null -- or so",
        **{f"models/{name}.sql": sql for name, sql in MODELS.items()},
    }
    tests: dict[str, list[Any]] = {name: [] for name in MODELS}
    for model, test in configurations(seed, count):
        tests[model].append(test)
    for number, (kind, column, arguments, config) in enumerate(FIXED):
        body = {"name": f"fixed{number:02}", "column_name": column, "config": config}
        tests["subjects"].append({kind: body | ({"arguments": arguments} if arguments else {})})
    properties = {"models": [{"name": name, "data_tests": found} for name, found in tests.items()]}
    files["models/tests.yml"] = yaml.safe_dump(properties, sort_keys=False)
    if beside is not None:
        files |= {f"models/{path.name}": path.read_text(encoding="utf-8") for path in beside.iterdir()}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
