"""Checks of the cluster that this runs on: its runtime, the packages beside the wheel, and dbt's own."""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Iterator
from importlib import metadata

from dbx_cd.config import runtime_version
from dbx_cd.dbt.environment import DbtEnvironment
from dbx_cd.dbt.invocation import run_dbt
from dbx_cd.deploy.connection import connected
from dbx_cd.plan.connection import way_of
from dbx_cd.setup.check.report import CheckLine, fail, ok, skipped, warn
from dbx_cd.setup.check.scene import Scene
from dbx_cd.setup.runtimes import Driver, runtime_of

_WHEEL = "dbx-cd"


def runtime(scene: Scene) -> Iterator[CheckLine]:
    """The runtime is one that notebooks as files and the wheel's packages work on."""
    version = runtime_version()
    if not version:
        yield skipped("", "this is no runtime of Databricks")
        return
    spark = str(scene.sql.query("SELECT version()")[0][0]).split()[0]
    found = runtime_of(Driver(runtime_version=version, python=platform.python_version(), spark=spark))
    if found.status == "ok":
        yield ok(version, found.message)
    else:
        line = fail if found.status == "fail" else warn
        yield line(version, found.message, next_step=found.next_step)


def packages(_scene: Scene) -> Iterator[CheckLine]:
    """What the wheel requires is installed, in versions that it takes."""
    try:
        wanted = metadata.requires(_WHEEL) or []
    except metadata.PackageNotFoundError:
        yield skipped(_WHEEL, "is not installed as a wheel here, so nothing says what it requires")
        return
    if importlib.util.find_spec("packaging") is None:
        yield skipped(_WHEEL, "the package `packaging`, which reads requirements, is not installed")
        return
    problems = dict(_problems(wanted))
    for name, problem in problems.items():
        yield fail(name, problem, next_step=f"install it on the cluster, or with the wheel: pip install '{name}'")
    if not problems:
        yield ok(f"{_WHEEL} {metadata.version(_WHEEL)}", "everything that it requires is installed")


def _problems(wanted: list[str]) -> Iterator[tuple[str, str]]:
    from packaging.requirements import Requirement

    for text in wanted:
        requirement = Requirement(text)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            yield text, f"{requirement.name} is not installed"
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            yield text, f"{requirement.name} {version} is installed, and {requirement.specifier} is wanted"


def connection(scene: Scene, target: str) -> Iterator[CheckLine]:
    """dbt itself reaches the target, in the way that the job would."""
    scene.output(target)
    with connected(scene.cd) as way:
        run = run_dbt(
            "debug",
            target=target,
            project_dir=scene.project,
            profiles_dir=scene.profiles_dir,
            connection=way,
            runner=scene.runner,
            check=False,
        )
    if run.ok:
        yield ok(target, f"dbt connects ({way_of(scene.config)}, {run.seconds:.0f} s)")
    else:
        yield fail(
            target,
            "dbt does not connect: " + (run.errors[0] if run.errors else "it does not say why"),
            next_step="correct the output in profiles.yml, or the rights of its identity on the warehouse (CAN USE)",
        )


def environment(scene: Scene) -> Iterator[CheckLine]:
    """The environment that dbt runs in can be made here, with the adapter in it."""
    made = DbtEnvironment.of(scene.project, stands_in=scene.runner is not None)
    adapter = made.version("dbt-databricks")
    if adapter:
        yield ok(str(made.record), f"dbt-core {made.version('dbt-core')}, dbt-databricks {adapter}")
    else:
        yield fail(str(made.record), "has no dbt-databricks", next_step="run `python -m dbx_cd lock-dbt`")


def warehouse(scene: Scene, target: str) -> Iterator[CheckLine]:
    """The SQL warehouse that the profile or the job names is there, and may be seen."""
    output, way = scene.output(target), way_of(scene.config)
    if way == "cluster":
        yield ok(target, "no warehouse: dbt's SQL runs on the job's own cluster")
        return
    wanted = scene.config.warehouse_id if way == "warehouse" else output.warehouse_id
    if not wanted:
        where = output.values.get("http_path", "")
        yield skipped(target, f"{where or 'the output'} names no SQL warehouse that could be looked up")
        return
    answer = scene.warehouse(wanted)
    state = str(answer.get("state") or "?")
    yield ok(f"{target}: {answer.get('name') or wanted}", f"warehouse {wanted} is there ({state})")
    own, given = str(scene.client.config.host or ""), output.values.get("host", "")
    if way == "profile" and "{{" not in given and given.split("//")[-1].strip("/") != own.split("//")[-1].strip("/"):
        yield warn(
            target,
            f"dbt connects to {given}, and this workspace is {own}",
            next_step="check that the profile's host is the workspace of the job",
        )
