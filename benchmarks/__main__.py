"""`make bench`: every ratio, as it is measured."""

import itertools

from benchmarks import dbt_runs, imports, publish, restore, smoke, startup

print(imports.measure(), flush=True)
for line in itertools.chain(
    publish.measure(), startup.measure(), dbt_runs.measure(), smoke.measure(), restore.measure()
):
    print(line, flush=True)
