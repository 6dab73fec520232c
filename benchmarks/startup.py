"""dbt's start and parse in the six invocations of one release: with warm parent and carried parse, and without both.

Every invocation is one that only starts dbt, parses the example and writes its manifest, so that nothing else counts:
`parse` for those that build, ask for freshness or generate docs, and the `ls` before the production build as it is.
CPU seconds are those of this process and of all that it starts; the warm parent's own imports are among them, once.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

from benchmarks.measure import Ratio
from dbx_cd import DbtOutcome, run_dbt
from dbx_cd.config import WARM_DBT
from dbx_cd.dbt.warm_parent import warm_dbt
from dbx_cd.warm.parent import WarmParent

SHOP = Path(__file__).resolve().parents[1] / "examples" / "shop"
# The command that is measured, its target, and the task whose work folder it has.
RELEASE = (
    ("parse", "stg", "stg_build"),
    ("parse", "stg", "stg_smoke"),
    ("ls", "prod", "prod_build"),
    ("parse", "prod", "prod_build"),
    ("parse", "prod", "prod_smoke"),
    ("parse", "prod", "docs_refresh"),
)
ROUNDS = 1  # CPU seconds vary little, and a round takes a hundred of them
AIM = 0.35


def measure(*, rounds: int = ROUNDS) -> Iterator[Ratio]:
    """A release in the embedded workspace, and one on a cluster, against a new process and a parse each time."""
    embedded, cluster, before = [], [], []
    for _ in range(rounds):
        before.append(_cpu_seconds(_before))
        embedded.append(_cpu_seconds(_embedded))
        cluster.append(_cpu_seconds(_on_a_cluster))
    name = "dbt start-up and parse of one release, CPU seconds"
    yield Ratio(f"{name}, now / before", tuple(embedded), tuple(before), AIM)
    yield Ratio(f"{name}, on a cluster / before", tuple(cluster), tuple(before))


def _release(folder: Path, runner: Callable[[list[str]], DbtOutcome] | None = None) -> None:
    for command, target, task in RELEASE:
        run_dbt(command, target=target, project_dir=SHOP, work_dir=folder / task, runner=runner)


def _before(folder: Path) -> None:
    def cold(args: list[str]) -> DbtOutcome:
        command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *args]
        return DbtOutcome(subprocess.run(command, capture_output=True, check=False).returncode == 0)

    _release(folder, cold)


def _embedded(folder: Path) -> None:
    with WarmParent("dbx_cd.dbt.warm") as parent, mock.patch.dict(os.environ, {WARM_DBT: str(parent.address)}):
        _release(folder)


def _on_a_cluster(folder: Path) -> None:
    """Only a task that starts dbt twice has a warm parent, which ends with it."""
    for task, invocations in itertools.groupby(RELEASE, key=lambda invocation: invocation[2]):
        several = list(invocations)
        with warm_dbt() if len(several) > 1 else contextlib.nullcontext() as parent:
            for command, target, _ in several:
                run_dbt(command, target=target, project_dir=SHOP, work_dir=folder / task, warm_parent=parent)


def _cpu_seconds(release: Callable[[Path], None]) -> float:
    """Run it in a temporary folder of its own, so that it finds no parse of an earlier round."""
    before = _used()
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(tempfile, "tempdir", folder):
        release(Path(folder))
    return _used() - before


def _used() -> float:
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    for ratio in measure():
        print(ratio, flush=True)
