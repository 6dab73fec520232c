"""`make bench`: every ratio, as soon as it is measured; `make bench PART=restore` measures one part alone.

Results go to standard output, one a line; where it is goes to standard error. Rounds and sizes are chosen so that all
parts end within twenty minutes on two quiet cores; each module says what was cut for that.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import time
from collections.abc import Sequence

from benchmarks.measure import say

PARTS = {
    "imports": "what `import dbx_cd` costs",
    "publish": "publishing artifacts, against plain copies",
    "dbt": "dbt through `run_dbt` and the SQL endpoint",
    "endpoint": "the SQL endpoint, against `spark.sql` and `toArrow`",
    "startup": "start-up and parse of dbt in one release",
    "plan": "the deploy plan of a thousand models, against dbt's own parse",
    "release": "a release of one changed model, against one of all",
    "smoke": "smoke suites, against SQL by hand and other libraries",
    "restore": "a data rollback, against bare RESTORE statements",
    "scale": "how a plan grows with the number of relations",
}
MODULES = {part: f"benchmarks.{part}" for part in PARTS} | {"dbt": "benchmarks.dbt_runs"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the parts that are named, or all; returns 1 if one could not be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; all when none is named")
    named = parser.parse_args(arguments).parts
    if unknown := [part for part in named if part not in PARTS]:
        parser.error(f"no part {', '.join(unknown)}: there are {', '.join(PARTS)}")
    parts = [part for part in PARTS if part in named or not named]
    if len(parts) == 1:
        measure(parts[0])
        return 0
    return measure_each(parts)


def measure(part: str) -> None:
    """One part, in this process."""
    print(f"{part}: {PARTS[part]}", flush=True)
    for found in importlib.import_module(MODULES[part]).measure():
        print(f"  {found}", flush=True)


def measure_each(parts: Sequence[str]) -> int:
    """Several parts, each in a process of its own: none is coloured by the memory or the JVM of one before."""
    started, failed = time.monotonic(), []
    for number, part in enumerate(parts, start=1):
        began = time.monotonic()
        if subprocess.run([sys.executable, "-m", "benchmarks", part], check=False).returncode:
            failed.append(part)
        took, minutes = time.monotonic() - began, (time.monotonic() - started) / 60
        say(f"part {number} of {len(parts)}, {part}, took {took:.0f} s; {minutes:.1f} minutes so far")
    print(f"all: {(time.monotonic() - started) / 60:.1f} minutes")
    if failed:
        print(f"could not be measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
