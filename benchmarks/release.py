"""A release of one changed model with `policies.changed_only`, against the same release built whole.

Staging's build, the request with its plan, and production's build, in the embedded workspace, where a statement takes
about as long as on a small warehouse and a project is small. To end in time: one round, after the first release of each
way, which builds everything and warms both up.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.embedded_releases import CATALOGS, EmbeddedReleases, Sources, reached_by_dbt, relations_built
from benchmarks.generated_project import Project
from benchmarks.measure import Ratio, in_turn, say
from dbx_cd.local.workspace import EmbeddedWorkspace

MODELS, ROUNDS = 40, 1


def measure(*, models: int = MODELS, rounds: int = ROUNDS) -> Iterator[Ratio | str]:
    """The ratio, and how many relations each way builds in production."""
    with tempfile.TemporaryDirectory(prefix="dbx_cd_bench_") as folder:
        work = Path(folder)
        with EmbeddedWorkspace(work / "state", catalogs=CATALOGS) as workspace, reached_by_dbt(workspace):
            project = Project.generated(models=models)
            sources = Sources(workspace, project.raw)
            for name in project.sources:
                sources.land(name)
            changed = EmbeddedReleases(workspace, work / "changed", "changed", "{changed_only: true}")
            whole = EmbeddedReleases(workspace, work / "whole", "whole")
            for way in (changed, whole):
                say(f"the first release of {models} models, {way.schema}")
                released(way, project)
            built: dict[str, list[int]] = {way.schema: [] for way in (changed, whole)}
            model = next(
                m for m in project.models.values() if m.layer == "marts" and m.materialized == "table" and m.tags
            )

            def one_model(way: EmbeddedReleases) -> None:
                model.factor += 1
                built[way.schema].append(released(way, project))

            name = f"release of one model of {models} / release of all"
            yield from in_turn(
                lambda: one_model(changed),
                [lambda: one_model(whole)],
                names=[name],
                aims=[None],
                rounds=rounds,
                warm=True,
            )
            yield f"relations built in production: {built['changed']} of {built['whole']}"


def released(way: EmbeddedReleases, project: Project) -> int:
    """Release a project; how many relations production's build made."""
    way.write(project)
    return relations_built(way.deployed(way.staged()))


if __name__ == "__main__":
    for found in measure():
        print(found, flush=True)
