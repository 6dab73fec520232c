"""`make bench`: every ratio, as it is measured."""

import itertools

from benchmarks import dbt_runs, imports, publish, restore, smoke

print(imports.measure(), flush=True)
print(publish.measure(), flush=True)
for ratio in dbt_runs.measure():
    print(ratio, flush=True)
for line in itertools.chain(smoke.measure(), restore.measure()):
    print(line, flush=True)
