"""A dbt project of parents of every kind, each in staging, in production, in both or nowhere, and of what reads them.

Every parent says where it was made: `stg` and `prod` by dbt's build there, `before` where a test has made it in
production. What reads parents has a line for each, so that one relation covers many of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

NAME = "deferral"
RULES = ("read_staging", "read_existing", "build_in_prod")
KINDS = (
    "table", "view", "incremental", "seed", "snapshot", "custom", "alias", "latest", "older", "package", "function",
    "ephemeral", "keyed",
)  # fmt: skip
PLACES = ("both", "staging", "production", "neither")
READ_TOGETHER = tuple(kind for kind in KINDS if kind != "keyed")
READERS = ("table", "view", "incremental", "snapshot", "test", "post_hook", "hook")
"""What reads parents: the table all of them, hooks what is no CTE, which dbt cannot put into them."""
READ_BY = {"table": READ_TOGETHER, "post_hook": ("table",), "hook": ("table",)}
READ_BY_OTHERS = ("table", "ephemeral")
_NEXT = {"both": "staging", "staging": "production", "production": "both", "neither": "neither"}
_SELECT = "select '{{ target.name }}' as made_in"
_MATERIALIZED = {
    "table": "table", "view": "view", "incremental": "incremental", "custom": "as_table", "ephemeral": "table",
    "keyed": "table", "latest": "table", "older": "table", "package": "table", "alias": "table",
}  # fmt: skip
_AS_TABLE = """
{% materialization as_table, default %}
  {%- set target_relation = this.incorporate(type='table') -%}
  {% call statement('main') -%} create or replace table {{ this }} as {{ sql }} {%- endcall %}
  {{ return({'relations': [target_relation]}) }}
{% endmaterialization %}
"""


@dataclass(frozen=True)
class Parent:
    """One node that is read."""

    kind: str
    where: str

    @property
    def name(self) -> str:
        return f"{self.kind}_{self.where}"

    @property
    def unique_id(self) -> str:
        """The node whose relation is read: of an ephemeral model the one below it."""
        ids = {
            "seed": f"seed.{NAME}.{self.name}",
            "snapshot": f"snapshot.{NAME}.{self.name}",
            "function": f"function.{NAME}.{self.name}",
            "latest": f"model.{NAME}.{self._versioned}.v2",
            "older": f"model.{NAME}.{self._versioned}.v1",
            "package": f"model.vendored.table_{self.where}",
            "ephemeral": f"model.{NAME}.under_{self.name}",
        }
        return ids.get(self.kind, f"model.{NAME}.{self.name}")

    def relation(self, catalog: str, schema: str) -> str:
        """Its relation, as dbt is expected to name it."""
        return f"{catalog}.{self._schema(schema)}.{self._identifier}"

    @property
    def line(self) -> str:
        """The query that reads it, on one line."""
        given = f"select '{self.name}' as parent, made_in from {{{{ ref({self._ref}) }}}}"
        if self.kind == "function":
            return f"select '{self.name}' as parent, {{{{ function('{self.name}') }}}}() as made_in"
        return f"select parent, made_in from {{{{ ref('{self.name}') }}}}" if self.kind == "ephemeral" else given

    def files(self) -> Iterator[tuple[str, str]]:
        """The files that define it."""
        folder = f"parents/{self.where}"
        config = f"materialized='{_MATERIALIZED.get(self.kind, '')}'"
        if self.kind == "seed":
            yield f"seeds/{folder}/{self.name}.csv", "made_in\nfile\n"
        elif self.kind == "snapshot":
            config = "unique_key='made_in', strategy='check', check_cols='all'"
            text = f"{{% snapshot {self.name} %}} {{{{ config({config}) }}}} {_SELECT} {{% endsnapshot %}}"
            yield f"snapshots/{folder}/{self.name}.sql", text
        elif self.kind == "function":
            yield f"functions/{folder}/{self.name}.sql", "'{{ target.name }}'"
        elif self.kind == "older":
            yield f"models/{folder}/{self._identifier}.sql", f"{{{{ config({config}) }}}} {_SELECT}"
        elif self.kind == "package":
            yield f"vendored/models/{folder}/table_{self.where}.sql", f"{{{{ config({config}) }}}} {_SELECT}"
        elif self.kind == "ephemeral":
            text = f"select '{self.name}' as parent, made_in from {{{{ ref('under_{self.name}') }}}}"
            yield f"models/above/{self.name}.sql", f"{{{{ config(materialized='ephemeral') }}}} {text}"
            yield f"models/{folder}/under_{self.name}.sql", f"{{{{ config({config}) }}}} {_SELECT}"
        else:
            config += f", alias='{self._identifier}', schema='aside'" if self.kind == "alias" else ""
            key = ", 1 as id" if self.kind == "keyed" else ""
            name = self._identifier if self.kind == "latest" else self.name
            yield f"models/{folder}/{name}.sql", f"{{{{ config({config}) }}}} {_SELECT}{key}"

    def described(self) -> Mapping[str, Any] | None:
        """What a YAML file says of it."""
        if self.kind == "function":
            return {"name": self.name, "returns": {"data_type": "string"}, "arguments": []}
        if self.kind == "latest":
            return {"name": self.name, "latest_version": 2, "versions": [{"v": 1}, {"v": 2}]}
        return keyed(self.name) if self.kind == "keyed" else None

    @property
    def made_by(self) -> str:
        """The statement that makes it in production, in which `@` is its relation there."""
        if self.kind == "function":
            return "CREATE FUNCTION @() RETURNS STRING RETURN 'before'"
        if self.kind == "keyed":
            return (
                f"CREATE TABLE @ (made_in STRING, id INT NOT NULL, CONSTRAINT {self.name}_key PRIMARY KEY (id)) "
                "USING delta"
            )
        return f"CREATE {'VIEW' if self.kind == 'view' else 'TABLE'} @ AS SELECT 'before' AS made_in"

    @property
    def dropped_by(self) -> str:
        """The statement that drops it, in which `@` is its relation."""
        return f"DROP {({'view': 'VIEW', 'function': 'FUNCTION'}).get(self.kind, 'TABLE')} @"

    @property
    def _versioned(self) -> str:
        """The versioned model: where its first version is and where its second differ."""
        return f"latest_{_NEXT[self.where] if self.kind == 'older' else self.where}"

    @property
    def _ref(self) -> str:
        refs = {"older": f"'{self._versioned}', v=1", "package": f"'vendored', 'table_{self.where}'"}
        return refs.get(self.kind, f"'{self.name}'")

    @property
    def _identifier(self) -> str:
        names = {
            "alias": f"Alias_{self.where.title()}",
            "latest": f"{self._versioned}_v2",
            "older": f"{self._versioned}_v1",
            "package": f"table_{self.where}",
            "ephemeral": f"under_{self.name}",
        }
        return names.get(self.kind, self.name)

    def _schema(self, schema: str) -> str:
        return {"alias": f"{schema}_aside", "package": f"{schema}_vendored"}.get(self.kind, schema)


PARENTS = tuple(Parent(kind, where) for kind in KINDS for where in PLACES)
SOMEWHERE = tuple(p for p in PARENTS if p.where != "neither")
READ = {reader: tuple(p for p in SOMEWHERE if p.kind in READ_BY.get(reader, READ_BY_OTHERS)) for reader in READERS}
NOWHERE = tuple(p for p in PARENTS if p.where == "neither")


def keyed(name: str) -> dict[str, Any]:
    """A model with a primary key."""
    primary = {"name": "id", "data_type": "int", "constraints": [{"type": "not_null"}, {"type": "primary_key"}]}
    made_in = {"name": "made_in", "data_type": "string"}
    return {"name": name, "config": {"contract": {"enforced": True}}, "columns": [made_in, primary]}


def referring(rule: str) -> dict[str, Any]:
    """The model whose foreign keys refer to parents, and to one that is selected with it."""
    to = {**{p.where: p.name for p in SOMEWHERE if p.kind == "keyed"}, "owned": f"{rule}_owned"}
    columns = [
        {
            "name": column,
            "data_type": "int",
            "constraints": [{"type": "foreign_key", "to": f"ref('{name}')", "to_columns": ["id"]}],
        }
        for column, name in to.items()
    ]
    return {"name": f"{rule}_key", "config": {"contract": {"enforced": True}}, "columns": columns}


def body(parents: tuple[Parent, ...]) -> str:
    """The query over parents, a line each."""
    return "\nunion all\n".join(p.line for p in parents)


def fill(folder: Path) -> None:
    """Write the project."""
    for name, text in _files():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _files() -> Iterator[tuple[str, str]]:
    yield "dbt_project.yml", yaml.safe_dump(_project(), sort_keys=False)
    yield "packages.yml", yaml.safe_dump({"packages": [{"local": "vendored"}]})
    yield "macros/as_table.sql", _AS_TABLE
    vendored = {"name": "vendored", "version": "1.0", "models": {"vendored": {"+schema": "vendored", **_TAGGED}}}
    yield "vendored/dbt_project.yml", yaml.safe_dump(vendored)
    for parent in PARENTS:
        yield from parent.files()
    for rule in RULES:
        yield from _readers(rule)
    for parent in NOWHERE:
        yield f"models/nowhere/nowhere_{parent.kind}.sql", parent.line
    described = [d for p in PARENTS if p.kind != "function" and (d := p.described()) is not None]
    described += [d for rule in RULES for d in (referring(rule), keyed(f"{rule}_owned"), _related(rule))]
    yield "models/models.yml", yaml.safe_dump({"models": described}, sort_keys=False)
    functions = [p.described() for p in PARENTS if p.kind == "function"]
    yield "functions/functions.yml", yaml.safe_dump({"functions": functions}, sort_keys=False)


_TAGGED = {
    "parents": {place: {"+tags": ["heavy" if place == "neither" else "parent"]} for place in PLACES},
}


def _project() -> dict[str, Any]:
    hook = "create or replace view {{ target.catalog }}.{{ target.schema }}.hook_seen as " + body(READ["hook"])
    return {
        "name": NAME,
        "version": "1.0",
        "profile": NAME,
        "models": {
            NAME: {
                **_TAGGED,
                "nowhere": {"+tags": ["nowhere"]},
                "readers": {rule: {"+tags": [rule]} for rule in RULES},
            }
        },
        "seeds": {NAME: {**_TAGGED, "+post-hook": "update {{ this }} set made_in = '{{ target.name }}'"}},
        "snapshots": {NAME: {**_TAGGED, "readers": {rule: {"+tags": [rule]} for rule in RULES}}},
        "functions": {NAME: _TAGGED},
        "on-run-end": ["{% if target.name == 'prod' %}" + hook + "{% endif %}"],
    }


def _readers(rule: str) -> Iterator[tuple[str, str]]:
    folder, query = f"readers/{rule}", body(READ["view"])
    for kind in ("table", "view", "incremental"):
        text = f"{{{{ config(materialized='{kind}') }}}}\nselect *, 'before' as known from (\n{body(READ[kind])}\n)"
        yield f"models/{folder}/{rule}_{kind}.sql", text
    config = "unique_key='parent', strategy='check', check_cols='all'"
    text = f"{{% snapshot {rule}_snapshot %}}\n{{{{ config({config}) }}}}\n{query}\n{{% endsnapshot %}}"
    yield f"snapshots/{folder}/{rule}_snapshot.sql", text
    config = f"severity='warn', store_failures=true, tags=['{rule}']"
    yield f"tests/{rule}_test.sql", f"{{{{ config({config}) }}}}\n{query}"
    name = "{{ this.database }}.{{ this.schema }}.{{ this.identifier }}_seen"
    hook = f"create or replace view {name} as {body(READ['post_hook'])}".replace('"', "'")
    text = f'{{{{ config(materialized="table", post_hook="{hook}") }}}}\nselect 1 as id'
    yield f"models/{folder}/{rule}_post_hook.sql", text
    keys = ", ".join(f"1 as {column['name']}" for column in referring(rule)["columns"])
    yield f"models/{folder}/{rule}_key.sql", f"{{{{ config(materialized='table') }}}} select {keys}"
    yield f"models/{folder}/{rule}_owned.sql", f"{{{{ config(materialized='table') }}}} {_SELECT}, 1 as id"


def _related(rule: str) -> dict[str, Any]:
    """What says of the reader's column that a parent knows its value, which it does where a test has made that."""
    tests = [
        {
            "relationships": {
                "name": f"{rule}_relationship_{place}",
                "arguments": {"to": f"ref('table_{place}')", "field": "made_in"},
                "config": {"severity": "warn", "tags": [rule]},
            }
        }
        for place in ("both", "staging", "production")
    ]
    return {"name": f"{rule}_table", "columns": [{"name": "known", "data_tests": tests}]}
