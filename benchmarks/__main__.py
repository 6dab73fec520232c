"""`make bench`: every ratio, as it is measured."""

from benchmarks import dbt_runs, imports, publish, smoke

print(imports.measure(), flush=True)
print(publish.measure(), flush=True)
for ratio in dbt_runs.measure():
    print(ratio, flush=True)
for line in smoke.measure():
    print(line, flush=True)
