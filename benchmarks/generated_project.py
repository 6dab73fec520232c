"""dbt projects of any size, the same for the same seed: what is measured on a thousand models, and edited at random.

A project is a record of its parts, so that an edit is a change of one part; `write` makes files of it. Every relation
has the columns `id` and `v`, one row for each id, and nothing in it depends on when or how often it is built, but for
the models of `UNSTABLE`.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

Layer = Literal["staging", "intermediate", "marts"]
NAME = "generated"
PRIME = 1_000_003
"""Every value is below it."""
UNSTABLE = ("stamped",)
"""Models with the time of the build in them: no two builds leave the same."""
ROWS = 20
"""Rows of a source before anything is appended."""
_STAGING, _INTERMEDIATE = 0.15, 0.35
_MATERIALIZED: dict[Layer, tuple[str, ...]] = {
    "staging": ("view", "view", "view", "table"),
    "intermediate": ("ephemeral", "view", "view", "table", "incremental"),
    "marts": ("table", "table", "table", "view", "incremental"),
}


@dataclass
class Model:
    """One model."""

    name: str
    layer: Layer
    materialized: str
    parents: tuple[str, ...]
    """Calls of `ref` and `source`, the first of them says which ids there are."""
    factor: int
    tags: tuple[str, ...] = ()
    macro: str = ""
    """A macro that its value goes through."""
    variable: str = ""
    """A variable that is added to its value."""
    contract: bool = False
    tested: bool = True
    fails_in_prod: bool = False
    """Whether its statement fails there."""
    settings: dict[str, Any] = field(default_factory=dict)
    """More of its config."""

    def sql(self) -> str:
        """Its file."""
        config = {"materialized": self.materialized, "tags": list(self.tags), **self.settings}
        if self.materialized == "incremental":
            config |= {"unique_key": "id", "incremental_strategy": "merge"}
        value = " + ".join(f"coalesce(p{n}.v, 0)" for n in range(len(self.parents)))
        value = f"{{{{ {self.macro}('{value}') }}}}" if self.macro else f"({value})"
        added = f" + {{{{ var('{self.variable}') }}}}" if self.variable else ""
        if self.fails_in_prod:
            failing = "cast(raise_error('no such day') as bigint)"
            value = f"{{% if target.name == 'prod' %}}{failing}{{% else %}}{value}{{% endif %}}"
        extra = ",\n  current_timestamp() as built_at" if self.name in UNSTABLE else ""
        first, *others = self.parents
        return "\n".join(
            [
                f"{{{{ config(**{config!r}) }}}}",
                "select",
                "  p0.id,",
                f"  cast(pmod({value} * {self.factor}{added}, {PRIME}) as bigint) as v{extra}",
                f"from {{{{ {first} }}}} as p0",
                *(f"left join {{{{ {p} }}}} as p{n} on p{n}.id = p0.id" for n, p in enumerate(others, start=1)),
                *self._new_rows(),
                "",
            ]
        )

    def _new_rows(self) -> list[str]:
        if self.materialized != "incremental":
            return []
        return [
            "{% if is_incremental() %}",
            "where p0.id > (select coalesce(max(id), 0) from {{ this }})",
            "{% endif %}",
        ]

    def properties(self) -> dict[str, Any]:
        """Its entry among the properties."""
        tests: dict[str, Any] = {"data_tests": ["not_null", "unique"]} if self.tested else {}
        described: dict[str, Any] = {
            "name": self.name,
            "description": f"The {self.layer} model {self.name}.",
            "columns": [
                {"name": "id", "description": "The key.", "data_type": "bigint", **tests},
                {"name": "v", "description": "The value.", "data_type": "bigint"},
            ],
        }
        if self.contract:
            described["config"] = {"contract": {"enforced": True}}
        return described


@dataclass
class Project:
    """A whole project, and the rows of its sources."""

    models: dict[str, Model]
    seeds: dict[str, list[tuple[int, int]]]
    """Rows of `id` and `v`, by name."""
    sources: tuple[str, ...]
    """The names of the tables that it reads and does not build."""
    macros: dict[str, int]
    """What a macro multiplies by, by name."""
    variables: dict[str, int]
    snapshots: dict[str, str]
    """The relation that is kept, as a call, by name."""
    exposures: dict[str, str] = field(default_factory=dict)
    """The model that is shown, by name."""
    raw: str = "dev_raw.raw"
    """Catalog and schema of the sources."""

    @classmethod
    def generated(cls, *, models: int, seed: int = 1) -> Project:
        """A project of some number of models, a few of each kind at least."""
        rng = random.Random(seed)
        project = cls(
            models={},
            seeds={
                f"seed_{n}": [(i, rng.randrange(PRIME)) for i in range(1, ROWS)] for n in range(max(2, models // 50))
            },
            sources=tuple(f"landed_{n}" for n in range(max(2, models // 50))),
            macros={f"scaled_{n}": rng.randrange(2, 99) for n in range(max(2, models // 40))},
            variables={f"offset_{n}": rng.randrange(99) for n in range(max(2, models // 40))},
            snapshots={},
        )
        for number in range(models - len(UNSTABLE)):
            share = number / models
            layer: Layer = (
                "staging" if share < _STAGING else "intermediate" if share < _STAGING + _INTERMEDIATE else "marts"
            )
            project.add(layer, rng)
        for name in UNSTABLE:
            project.models[name] = Model(name, "marts", "table", (project.refs("marts")[0],), 1, ("deploy",))
        marts = [model.name for model in project.models.values() if model.layer == "marts"]
        project.exposures = {f"dashboard_{n}": rng.choice(marts) for n in range(max(1, models // 50))}
        project.snapshots = {f"kept_{n}": f"source('landed', '{s}')" for n, s in enumerate(project.sources[:2])}
        return project

    def add(self, layer: Layer, rng: random.Random, *, name: str = "") -> Model:
        """Add one model that reads some of what is there."""
        name = name or f"{layer}_{len(self.models):04}"
        above = self.refs(layer)
        count = 1 if layer == "staging" else rng.randrange(1, 4)
        model = Model(
            name,
            layer,
            rng.choice(_MATERIALIZED[layer]),
            tuple(dict.fromkeys(rng.choice(above) for _ in range(count))),
            rng.randrange(2, 999),
            tags=self._tags(layer, rng),
            macro=rng.choice([*self.macros]) if rng.random() < 0.3 else "",
            variable=rng.choice([*self.variables]) if rng.random() < 0.2 else "",
            tested=rng.random() < 0.5,
        )
        model.contract = model.materialized == "table" and rng.random() < 0.2
        self.models[name] = model
        return model

    def refs(self, layer: Layer) -> list[str]:
        """What a model of a layer may read: the newest of its own layer last."""
        if layer == "staging":
            return [*(f"source('landed', '{s}')" for s in self.sources), *(f"ref('{s}')" for s in self.seeds)]
        wanted = ("staging", "intermediate") if layer == "intermediate" else ("intermediate", "marts")
        found = [f"ref('{m.name}')" for m in self.models.values() if m.layer in wanted and m.name not in UNSTABLE]
        return found or self.refs("staging")

    def write(self, folder: Path, *, connection: dict[str, Any] | None = None, schema: str = NAME) -> Path:
        """Write its files, in place of those of an earlier state.

        Args:
            folder: the project's folder.
            connection: how dbt reaches a workspace; None where no statement is run.
            schema: where its targets build.
        """
        for made in ("models", "seeds", "snapshots", "macros"):
            shutil.rmtree(folder / made, ignore_errors=True)
        for path, text in self._files(connection or _NOWHERE, schema):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        return folder

    def _files(self, connection: dict[str, Any], schema: str) -> Iterator[tuple[str, str]]:
        yield (
            "dbt_project.yml",
            yaml.safe_dump(
                {
                    "name": NAME,
                    "version": "1.0",
                    "profile": NAME,
                    "vars": self.variables,
                    "seeds": {NAME: {"+tags": ["deploy"]}},
                    "snapshots": {NAME: {"+tags": ["deploy"]}},
                }
            ),
        )
        outputs = {
            target: {"type": "databricks", "catalog": target, "schema": schema, "threads": 4, **connection}
            for target in ("stg", "prod")
        }
        yield "profiles.yml", yaml.safe_dump({NAME: {"target": "stg", "outputs": outputs}})
        for model in self.models.values():
            yield f"models/{model.layer}/{model.name}.sql", model.sql()
        for layer in dict.fromkeys(model.layer for model in self.models.values()):
            described = [model.properties() for model in self.models.values() if model.layer == layer]
            yield f"models/{layer}/_{layer}.yml", _yaml({"models": described})
        yield "models/_sources.yml", _yaml({"sources": [self._source()]})
        yield "models/_exposures.yml", _yaml({"exposures": [_exposure(*item) for item in self.exposures.items()]})
        for name, rows in self.seeds.items():
            yield f"seeds/{name}.csv", "".join(["id,v\n", *(f"{i},{v}\n" for i, v in rows)])
        for name, by in self.macros.items():
            yield f"macros/{name}.sql", f"{{% macro {name}(value) %}}(({{{{ value }}}}) * {by}){{% endmacro %}}\n"
        for name, relation in self.snapshots.items():
            settings = "unique_key='id', strategy='timestamp', updated_at='changed_at', file_format='delta'"
            text = f"{{{{ config({settings}) }}}}\nselect * from {{{{ {relation} }}}}"
            yield f"snapshots/{name}.sql", f"{{% snapshot {name} %}}\n{text}\n{{% endsnapshot %}}\n"

    def _source(self) -> dict[str, Any]:
        catalog, schema = self.raw.split(".")
        tables = [{"name": name, "description": "What has landed."} for name in self.sources]
        return {"name": "landed", "database": catalog, "schema": schema, "tables": tables}

    @staticmethod
    def _tags(layer: Layer, rng: random.Random) -> tuple[str, ...]:
        """What ships is tagged; staging models are not, and some of the others neither."""
        if layer == "staging" or rng.random() < 0.15:
            return ()
        return ("deploy",)


_NOWHERE = {"host": "example.cloud.databricks.com", "http_path": "/sql/1.0/warehouses/0", "auth_type": "oauth"}


def _exposure(name: str, model: str) -> dict[str, Any]:
    owner = {"name": "Analysts", "email": "analysts@example.org"}
    return {"name": name, "type": "dashboard", "owner": owner, "depends_on": [f"ref('{model}')"]}


def _yaml(document: dict[str, Any]) -> str:
    """JSON is YAML, and is written a hundred times as fast."""
    return json.dumps({"version": 2, **document}, indent=1)
