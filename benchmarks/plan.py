"""The deploy plan of a thousand models, against dbt's own parse of them; and where its time goes.

Both begin without a parse. What a catalog would be asked is answered from memory: a plan asks it a few queries.
"""

from __future__ import annotations

import contextlib
import resource
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.generated_project import Project
from benchmarks.measure import Ratio, in_turn, say
from benchmarks.release_in_memory import Staged, dbt_parse
from dbx_cd.artifacts import archive
from dbx_cd.dbt.artifacts import Manifest, RunResults
from dbx_cd.plan import changed_nodes, planning
from dbx_cd.plan.planning import plan_deploy
from dbx_cd.plan.project_dbt import ProjectDbt

MODELS, ROUNDS = 1000, 3
AIM = 1.3
BESIDE = " (while dbt runs)"
# What is timed, and what it is called.
PARTS: tuple[tuple[object, str, str], ...] = (
    (archive, "unpack", "archives"),
    (ProjectDbt, "list_all", "dbt"),
    (Manifest, "load", "reading manifests"),
    (RunResults, "load", "reading run results"),
    (changed_nodes, "changes_between", "changes"),
    (planning, "derived_state", "the derived state"),
    (planning, "losses_of", "losses"),
    (planning, "find_leaks", "leaks"),
    (planning, "estimate", "the estimate"),
)


def measure(*, models: int = MODELS, rounds: int = ROUNDS) -> Iterator[Ratio | str]:
    """The ratio, in seconds and in CPU seconds, and the parts of a plan."""
    with tempfile.TemporaryDirectory(prefix="dbx_cd_bench_") as folder:
        work = Path(folder)
        say(f"a project of {models} models, and another parse of it for each of two environments")
        staged, project = released(work, models=models)
        parts: list[dict[str, float]] = []
        used: dict[str, list[float]] = {"plan": [], "parse": []}

        def plan() -> None:
            with _fresh(work), _used(used["plan"]), _timed() as times:
                plan_deploy(staged.cd, staged.release, target="prod")
            parts.append(times)

        def parse() -> None:
            with _fresh(work) as into, _used(used["parse"]):
                dbt_parse(project, target="prod", into=into / "parsed")

        name = f"deploy plan of {models} models / dbt parse"
        yield from in_turn(plan, [parse], names=[name], aims=[AIM], rounds=rounds, warm=True)
        yield Ratio(f"{name}, CPU seconds", tuple(used["plan"]), tuple(used["parse"]), AIM)
        yield "a plan's seconds: " + ", ".join(
            f"{part} {statistics.median(times[part] for times in parts):.2f}" for part in sorted(parts[0])
        )


def released(work: Path, *, models: int) -> tuple[Staged, Path]:
    """A release that changes one model, one macro and one variable, and removes a model; and its project."""
    before = Project.generated(models=models)
    before.write(work / "old")
    after = Project.generated(models=models)
    marts = [model for model in after.models.values() if model.layer == "marts" and not model.macro]
    marts[0].factor += 1
    after.macros["scaled_0"] += 1
    after.variables["offset_0"] += 1
    read = {parent for model in after.models.values() for parent in model.parents}
    shown = after.exposures.values()
    del after.models[next(m.name for m in marts[1:] if f"ref('{m.name}')" not in read and m.name not in shown)]
    project = after.write(work / "new")
    return Staged.between(work / "old", project, folder=work), project


@contextlib.contextmanager
def _fresh(work: Path) -> Iterator[Path]:
    """A temporary folder of its own, so that no parse of an earlier round is found."""
    with tempfile.TemporaryDirectory(dir=work) as folder, mock.patch.object(tempfile, "tempdir", folder):
        yield Path(folder)


@contextlib.contextmanager
def _used(seconds: list[float]) -> Iterator[None]:
    """CPU seconds of this process and of all that it starts."""
    before = _cpu()
    yield
    seconds.append(_cpu() - before)


def _cpu() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@contextlib.contextmanager
def _timed() -> Iterator[dict[str, float]]:
    """The seconds of each of the parts, and of what is none of them; what is done while dbt runs is told apart."""
    times: dict[str, float] = defaultdict(float)
    began = time.perf_counter()
    with contextlib.ExitStack() as stack:
        for owner, attribute, name in PARTS:
            stack.enter_context(mock.patch.object(owner, attribute, _timing(getattr(owner, attribute), times, name)))
        yield times
    in_turn_with_dbt = sum(taken for name, taken in times.items() if not name.endswith(BESIDE))
    times["all else"] = time.perf_counter() - began - in_turn_with_dbt


def _timing(work: Callable[..., Any], times: dict[str, float], name: str) -> Any:
    def timed(*args: Any, **options: Any) -> Any:
        started = time.perf_counter()
        try:
            return work(*args, **options)
        finally:
            beside = "" if threading.current_thread() is threading.main_thread() else BESIDE
            times[f"{name}{beside}"] += time.perf_counter() - started

    return timed


if __name__ == "__main__":
    for found in measure():
        print(found, flush=True)
