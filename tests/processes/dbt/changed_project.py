"""A project before and after many small edits, one a node, each with what it is."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml

NAME = "shop"
SETTINGS = {
    "name": NAME,
    "version": "1.0",
    "profile": NAME,
    "vars": {"day": "monday", "rate": 1, "shared": "x", NAME: {"scoped": 1}, "parcels": {"size": 1}},
    "models": {NAME: {"dressed": {"+materialized": "{{ var('dressing', 'view') }}"}}},
}
LARGE = "id,name\n" + "".join(f"{n},{'x' * 60}\n" for n in range(18_000))
"""More than 1 MB: dbt compares its path alone."""
VIEW = "{{ config(materialized='view') }} "

FILES: dict[str, str] = {
    "models/same.sql": VIEW + "select 1 as id",
    "models/code.sql": VIEW + "select 1 as id",
    "models/config.sql": "select 1 as id",
    "models/by_macro.sql": VIEW + "select {{ cents('id') }} as id from {{ ref('same') }}",
    "models/by_inner.sql": VIEW + "select {{ outer('id') }} as id",
    "models/by_value.sql": VIEW + "{% set chosen = [handed_on] %} select {{ call_it(chosen) }} as id",
    "models/by_fallback.sql": VIEW + "select {{ parcels.weight() }} as id",
    "models/described.sql": VIEW + "select 1 as id",
    "models/undescribed.sql": VIEW + "select 1 as id",
    "models/contracted.sql": "{{ config(materialized='table') }} select 1 as id, 2 as more",
    "models/ordered.sql": "{{ config(materialized='table') }} select 1 as id, 2 as more",
    "models/masked.sql": VIEW + "select 1 as id",
    "models/tagged.sql": VIEW + "select 1 as id",
    "models/aliased.sql": "{{ config(materialized='view', alias='one') }} select 1 as id",
    "models/named.sql": "{{ config(materialized='view', meta={'named': 1}) }} select 1 as id",
    "models/moved.sql": VIEW + "select 'moved' as id",
    "models/before.sql": VIEW + "select 'renamed' as id",
    "models/gone.sql": VIEW + "select 'gone' as id",
    "models/reads_var.sql": VIEW + "select '{{ var(\"day\") }}' as id",
    "models/reads_scoped.sql": VIEW + "select '{{ var('scoped') }}' as id",
    "models/reads_same_var.sql": VIEW + "select '{{ var(\"shared\", 1) }}' as id",
    "models/reads_by_macro.sql": VIEW + "select {{ rated() }} as id",
    "models/reads_any.sql": VIEW + "select '{{ var('sha' ~ 'red') }}' as id",
    "models/reads_environment.sql": "{{ config(materialized='view', meta={'in': env_var('SHOP_IN', 'a')}) }} select 1",
    "models/dressed/by_var.sql": "select 1 as id",
    "models/built_by.sql": "{{ config(materialized='own') }} select 1 as id",
    "models/versioned_v1.sql": VIEW + "select 1 as id",
    "models/versioned_v2.sql": VIEW + "select 2 as id",
    "macros/cents.sql": "{% macro cents(column) %}({{ column }} / 100){% endmacro %}",
    "macros/outer.sql": "{% macro outer(c) %}{{ inner(c) }}{% endmacro %}{% macro inner(c) %}{{ c }}{% endmacro %}",
    "macros/handed.sql": "{% macro handed_on() %}1{% endmacro %}"
    "{% macro call_it(them) %}{{ them[0]() }}{% endmacro %}",
    "macros/rated.sql": "{% macro rated() %}{{ var('rate') }}{% endmacro %}",
    "macros/own.sql": "{% materialization own, default %}{{ return({'relations': []}) }}{% endmaterialization %}",
    "macros/naming.sql": "{% macro generate_alias_name(custom_alias_name=none, node=none) %}"
    "{{ (custom_alias_name or node.name ~ ('_v' ~ node.version if node.version else '')) ~ '' }}{% endmacro %}",
    "seeds/small.csv": "id\n1\n",
    "seeds/large.csv": LARGE,
    "seeds/as_large.csv": LARGE,
    "snapshots/history.sql": "{% snapshot history %}{{ config(strategy='check', unique_key='id', check_cols='all',"
    " target_schema='s') }} select 1 as id{% endsnapshot %}",
    "tests/singular.sql": "select 1 from {{ ref('same') }} where false",
    "dbt_packages/parcels/dbt_project.yml": "name: parcels\nversion: '1.0'\nvars: {size: 3, sort: 1}\n",
    "dbt_packages/parcels/models/packed.sql": VIEW + "select '{{ var('size') }}' as id",
    "dbt_packages/parcels/models/sorted.sql": VIEW + "select '{{ var('sort') }}' as id",
    "dbt_packages/parcels/macros/weight.sql": "{% macro weight() %}"
    "{{ return(adapter.dispatch('weight', 'parcels')()) }}{% endmacro %}{% macro default__weight() %}1{% endmacro %}",
}  # fmt: skip

PROPERTIES = {
    "models": [
        {"name": "config", "config": {"materialized": "view"}},
        {
            "name": "described", "description": "of old", "config": {"persist_docs": {"relation": True}},
            "columns": [{"name": "id", "data_tests": ["not_null", {"unique": {"config": {"severity": "warn"}}}]}],
        },
        {"name": "undescribed", "description": "of old"},
        {
            "name": "contracted", "config": {"contract": {"enforced": True}},
            "columns": [{"name": "id", "data_type": "int"}, {"name": "more", "data_type": "int"}],
        },
        {
            "name": "ordered", "config": {"contract": {"enforced": True}},
            "columns": [{"name": "id", "data_type": "int"}, {"name": "more", "data_type": "int"}],
        },
        {"name": "masked", "columns": [{"name": "id", "column_mask": {"function": "of_old"}}]},
        {"name": "tagged", "columns": [{"name": "id", "tags": ["old"], "meta": {"of": "old"}}]},
        {"name": "versioned", "latest_version": 1, "versions": [{"v": 1}, {"v": 2}]},
    ],
    "sources": [
        {"name": "web", "schema": "old", "tables": [{"name": "events"}]},
        {"name": "mail", "schema": "{{ env_var('SHOP_IN', 'a') }}", "tables": [{"name": "sent"}]},
    ],
    "exposures": [
        {"name": "board", "type": "dashboard", "owner": {"name": "a"}, "depends_on": ["ref('same')"]},
        {"name": "other", "type": "dashboard", "owner": {"name": "a"}, "depends_on": ["ref('same')"]},
    ],
    "unit_tests": [
        {"name": "adds", "model": "same", "given": [], "expect": {"rows": [{"id": 1}]}},
        {"name": "keeps", "model": "same", "given": [], "expect": {"rows": [{"id": 1}]}},
    ],
    "functions": [
        {"name": "half", "arguments": [{"name": "x", "data_type": "int"}], "returns": {"data_type": "int"}},
        {"name": "twice", "arguments": [{"name": "x", "data_type": "int"}], "returns": {"data_type": "int"}},
    ],
}  # fmt: skip
FUNCTIONS = {"functions/half.sql": "x / 2", "functions/twice.sql": "x * 2"}

VARS = {"dressing": "table"}
"""What dbt is given now: in `dbt_project.yml` itself no others are known."""

EXPECTED: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "model.shop.same": ("unchanged", ()),
    "model.shop.code": ("modified", ("code",)),
    "model.shop.config": ("modified", ("config materialized",)),
    "model.shop.by_macro": ("modified", ("macro shop.cents",)),
    "model.shop.by_inner": ("modified", ("macro shop.inner",)),
    "model.shop.by_value": ("modified", ("macro shop.handed_on",)),
    "model.shop.by_fallback": ("modified", ("macro shop.default__weight",)),
    "model.shop.described": ("modified", ("description",)),
    "model.shop.undescribed": ("unchanged", ()),
    "model.shop.contracted": ("modified", ("contract",)),
    "model.shop.ordered": ("modified", ("columns",)),
    "model.shop.masked": ("modified", ("columns",)),
    "model.shop.tagged": ("unchanged", ()),
    "model.shop.aliased": ("modified", ("code", "relation `prod`.`s`.`one` -> `prod`.`s`.`two`")),
    "model.shop.named": ("modified", ("relation `prod`.`s`.`named` -> `prod`.`s`.`named_1`",)),
    "model.shop.moved": ("modified", ("path",)),
    "model.shop.after": ("new", ()),
    "model.shop.reads_var": ("modified", ("var day",)),
    "model.shop.reads_scoped": ("modified", ("var scoped",)),
    "model.shop.reads_same_var": ("unchanged", ()),
    "model.shop.reads_by_macro": ("modified", ("var rate",)),
    "model.shop.reads_any": (
        "modified", ("var day", "var dressing", "var parcels", "var rate", "var scoped", "var shop"),
    ),
    "model.shop.reads_environment": ("environment", ("config meta",)),
    "model.shop.by_var": ("modified", ("var dressing", "config materialized")),
    "model.shop.built_by": ("modified", ("macro shop.materialization_own_default",)),
    "model.shop.versioned.v1": ("modified", ("latest_version",)),
    "model.shop.versioned.v2": ("modified", ("latest_version",)),
    "seed.shop.small": ("modified", ("code",)),
    "seed.shop.large": ("modified", ("code",)),
    "seed.shop.as_large": ("unchanged", ()),
    "snapshot.shop.history": ("modified", ("code",)),
    "test.shop.singular": ("modified", ("code",)),
    "test.shop.not_null_described_id": ("unchanged", ()),
    "test.shop.unique_described_id": ("modified", ("code", "config severity")),
    "model.parcels.packed": ("modified", ("var size",)),
    "model.parcels.sorted": ("unchanged", ()),
    "source.shop.web.events": ("modified", ("relation `prod`.`old`.`events` -> `prod`.`new`.`events`",)),
    "source.shop.mail.sent": ("environment", ("relation `prod`.`a`.`sent` -> `prod`.`b`.`sent`",)),
    "exposure.shop.board": ("modified", ("owner",)),
    "exposure.shop.other": ("unchanged", ()),
    "unit_test.shop.same.adds": ("modified", ("code",)),
    "unit_test.shop.same.keeps": ("unchanged", ()),
    "function.shop.half": ("modified", ("code",)),
    "function.shop.twice": ("unchanged", ()),
}  # fmt: skip
"""What became of each node. The tests of a file's last part have no hash here."""


def before(folder: Path) -> Path:
    """The project as it was."""
    for name, text in {**FILES, **FUNCTIONS}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "packages.yml").write_text("packages: [{local: parcels}]\n")
    (folder / "dbt_packages" / ".installed").touch()
    for kind, entries in PROPERTIES.items():
        for entry in entries:
            _write_yaml(folder / _place(kind) / f"{entry['name']}.yml", {kind: [entry]})
    _write_yaml(folder / "dbt_project.yml", SETTINGS)
    outputs = {"prod": {"type": "databricks", "catalog": "prod", "schema": "s", "host": "127.0.0.1",
                        "http_path": "/", "token": "none"}}  # fmt: skip
    _write_yaml(folder / "profiles.yml", {NAME: {"target": "prod", "outputs": outputs}})
    return folder


def after(old: Path, folder: Path) -> Path:
    """The project as it is now; the environment variable `SHOP_IN` is `b` now, too."""
    shutil.copytree(old, folder)
    for name, (a, b) in {
        "models/code.sql": ("1", "2"),
        "models/config.yml": ("view", "table"),
        "models/described.yml": ("of old", "of new"),
        "models/undescribed.yml": ("of old", "of new"),
        "models/masked.yml": ("of_old", "of_new"),
        "models/tagged.yml": ("old", "new"),
        "models/aliased.sql": ("one", "two"),
        "models/versioned.yml": ("latest_version: 1", "latest_version: 2"),
        "macros/cents.sql": ("100", "1000"),
        "macros/outer.sql": ("{{ c }}", "{{ c }} + 1"),
        "macros/handed.sql": ("1", "2"),
        "macros/own.sql": ("return({'relations': []})", "return({'relations': [] + []})"),
        "macros/naming.sql": ("~ ''", "~ ('_1' if node.name == 'named' else '')"),
        "seeds/small.csv": ("1", "2"),
        "seeds/large.csv": ("17999,x", "17999,y"),
        "snapshots/history.sql": ("1 as id", "2 as id"),
        "tests/singular.sql": ("false", "1 = 0"),
        "models/web.yml": ("old", "new"),
        "models/board.yml": ("name: a", "name: b"),
        "models/adds.yml": ("id: 1", "id: 2"),
        "functions/half.sql": ("/ 2", "* 0.5"),
    }.items():
        text = (folder / name).read_text()
        assert a in text, name
        (folder / name).write_text(text.replace(a, b))
    (folder / "models" / "described.yml").write_text(
        (folder / "models" / "described.yml").read_text().replace("severity: warn", "severity: error")
    )
    (folder / "models" / "contracted.yml").write_text(
        (folder / "models" / "contracted.yml")
        .read_text()
        .replace("- data_type: int\n    name: more", "- data_type: bigint\n    name: more")
    )
    ordered = yaml.safe_load((folder / "models" / "ordered.yml").read_text())
    ordered["models"][0]["columns"].reverse()
    _write_yaml(folder / "models" / "ordered.yml", ordered)
    (folder / "models" / "inside").mkdir()
    (folder / "models" / "moved.sql").rename(folder / "models" / "inside" / "moved.sql")
    (folder / "models" / "before.sql").rename(folder / "models" / "after.sql")
    (folder / "models" / "gone.sql").unlink()
    (folder / "macros" / "weight.sql").write_text("{% macro default__weight() %}2{% endmacro %}")
    given = {"day": "tuesday", "rate": 2, "shared": "x", NAME: {"scoped": 2}, "parcels": {"size": 2}}
    _write_yaml(folder / "dbt_project.yml", {**SETTINGS, "vars": given})
    return folder


def _place(kind: str) -> str:
    return "functions" if kind == "functions" else "models"


def _write_yaml(path: Path, document: object) -> None:
    path.write_text(yaml.safe_dump(document))
