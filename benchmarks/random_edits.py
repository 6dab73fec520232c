"""Edits of a generated project, such as people make: each changes one thing, and says what."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

from benchmarks.generated_project import PRIME, UNSTABLE, Layer, Model, Project

Edit = Callable[[Project, random.Random], str]
_LAYERS: tuple[Layer, ...] = ("staging", "intermediate", "marts")
_OTHER = {
    "view": "table",
    "table": "view",
    "ephemeral": "view",
    "incremental": "table",
}


def code(project: Project, rng: random.Random) -> str:
    """Another expression in a model."""
    model = _any(project, rng)
    model.factor = model.factor % 998 + 1
    return f"the code of {model.name}"


def comment(project: Project, rng: random.Random) -> str:
    """A model's setting that no row depends on."""
    model = _any(project, rng)
    model.settings = {"meta": {"owner": f"team {rng.randrange(1000)}"}}
    return f"the config of {model.name}"


def properties(project: Project, rng: random.Random) -> str:
    """A table property."""
    model = rng.choice([m for m in _models(project) if m.materialized in ("table", "incremental")])
    model.settings = {"tblproperties": {"team": f"team {rng.randrange(1000)}"}}
    return f"the table properties of {model.name}"


def macro(project: Project, rng: random.Random) -> str:
    """What a macro does."""
    name = rng.choice([*project.macros])
    project.macros[name] += 1
    return f"the macro {name}"


def variable(project: Project, rng: random.Random) -> str:
    """A variable of `dbt_project.yml`."""
    name = rng.choice([*project.variables])
    project.variables[name] += 1
    return f"the variable {name}"


def seed_rows(project: Project, rng: random.Random) -> str:
    """A value of a seed, or a row more."""
    name = rng.choice([*project.seeds])
    rows = project.seeds[name]
    if rng.random() < 0.5:
        rows.append((rows[-1][0] + 1, rng.randrange(PRIME)))
    else:
        at = rng.randrange(len(rows))
        rows[at] = (rows[at][0], rng.randrange(PRIME))
    return f"the rows of {name}"


def new_model(project: Project, rng: random.Random) -> str:
    """One more model."""
    numbers = [int(name.rsplit("_", 1)[1]) for name in project.models if name not in UNSTABLE]
    layer = rng.choice(_LAYERS[1:])
    model = project.add(layer, rng, name=f"{layer}_{max(numbers) + 1:04}")
    return f"the new model {model.name} ({model.materialized})"


def removed_model(project: Project, rng: random.Random) -> str:
    """A model that nothing reads goes."""
    read = {parent for model in project.models.values() for parent in model.parents}
    shown = {*project.exposures.values()}
    free = [m for m in _models(project) if f"ref('{m.name}')" not in read and m.name not in shown]
    if not free:
        return code(project, rng)
    model = rng.choice(free)
    del project.models[model.name]
    return f"{model.name} goes"


def renamed_model(project: Project, rng: random.Random) -> str:
    """A model gets another name, and whatever reads it follows."""
    model = _any(project, rng)
    before, numbers = model.name, [int(m.name.rsplit("_", 1)[1]) for m in _models(project)]
    name = f"{model.layer}_{max(numbers) + 1:04}"
    model.name = name
    project.models = {m.name: m for m in project.models.values()}
    for other in project.models.values():
        other.parents = tuple(f"ref('{name}')" if p == f"ref('{before}')" else p for p in other.parents)
    project.exposures = {k: name if shown == before else shown for k, shown in project.exposures.items()}
    return f"{before} is {name} now"


def materialization(project: Project, rng: random.Random) -> str:
    """A view becomes a table, a table a view, and so on."""
    model = _any(project, rng)
    before = model.materialized
    model.materialized = _OTHER[before]
    model.contract = model.contract and model.materialized == "table"
    model.settings = {}
    return f"{model.name} is {model.materialized}, not {before}"


def test(project: Project, rng: random.Random) -> str:
    """Tests come or go."""
    model = _any(project, rng)
    model.tested = not model.tested
    return f"the tests of {model.name}"


def parent(project: Project, rng: random.Random) -> str:
    """A model reads one thing more."""
    model = rng.choice([m for m in _models(project) if m.layer == "marts"])
    refs = [ref for ref in project.refs("intermediate") if ref not in model.parents]
    if not refs:
        return code(project, rng)
    model.parents = (*model.parents, rng.choice(refs))
    return f"{model.name} reads {model.parents[-1]}"


def tag(project: Project, rng: random.Random) -> str:
    """A model ships from now on, or does not any more."""
    model = rng.choice([m for m in _models(project) if m.layer != "staging"])
    model.tags = () if model.tags else ("deploy",)
    return f"{model.name} is {'' if model.tags else 'not '}tagged"


EDITS: Mapping[str, Edit] = {
    edit.__name__: edit
    for edit in (
        *(code, code, comment, properties, macro, variable, seed_rows),
        *(new_model, removed_model, renamed_model, materialization, test, parent, tag),
    )
}


def _models(project: Project) -> list[Model]:
    return [model for model in project.models.values() if model.name not in UNSTABLE]


def _any(project: Project, rng: random.Random) -> Model:
    return rng.choice(_models(project))
