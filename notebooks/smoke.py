# Databricks notebook source
# MAGIC %md
# MAGIC # Smoke test
# MAGIC Contracts, business checks and freshness of what this release has just built.

# COMMAND ----------

import tempfile
from pathlib import Path

from dbx_cd import baseline_for, freshness_for, load_suites, past_reports, run_smoke, start_task

task = start_task(dbutils, spark, target="", tiny=False, project_dir=".", profiles_dir="")
target = task.params["target"]
pages = tempfile.TemporaryDirectory(prefix="dbx_cd-")  # goes with the notebook
data_docs = Path(pages.name) / f"data-docs-{target}"

# COMMAND ----------


def freshness():
    folders = {name: task.params[name] for name in ("project_dir", "profiles_dir")}
    return freshness_for(task.cd, task.release, target, **folders)


built = task.cd.store.find(target, task.release.id)
report = run_smoke(
    load_suites(task.cd.config.smoke_dir, built),
    spark=spark,
    artifacts=built,
    baseline=baseline_for(task.cd, task.release, target),
    freshness=freshness,
    tiny=task.params["tiny"],
    docs_dir=data_docs,
    check=False,
)

# COMMAND ----------

task.cd.log.append(task.release, report)
past = past_reports(task.cd.log, target, before=task.release)
of_tables = {part.name: part.read_bytes() for part in data_docs.glob("*")}
task.keep_pages({f"smoke-{target}.html": report.to_page(past=past), **of_tables})
displayHTML(report.to_html(past=past))

# COMMAND ----------

report.raise_if_failed()
