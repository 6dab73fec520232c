# Databricks notebook source
# MAGIC %md
# MAGIC # Smoke test
# MAGIC Contracts, business checks and freshness of what this release has just built.

# COMMAND ----------

from dbx_cd import baseline_for, load_suites, run_dbt, run_smoke, start_task

task = start_task(dbutils, spark, target="stg", tiny=False, project_dir=".", profiles_dir="")
target = task.params["target"]

# COMMAND ----------

built = task.cd.store.find(target, task.release.id)
fresh = run_dbt(
    "source freshness",
    target=target,
    project_dir=task.params["project_dir"],
    profiles_dir=task.params["profiles_dir"],
    check=False,
)
report = run_smoke(
    load_suites(task.cd.config.smoke_dir, built),
    spark=spark,
    artifacts=built,
    baseline=baseline_for(task.cd, task.release, target),
    freshness=fresh.freshness,
    tiny=task.params["tiny"],
    check=False,
)

# COMMAND ----------

task.cd.log.append(task.release, report)
task.cd.store.attach(task.release.id, f"smoke-{target}.html", report.to_html())
displayHTML(report.to_html())

# COMMAND ----------

report.raise_if_failed()
