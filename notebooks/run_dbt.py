# Databricks notebook source
# MAGIC %md
# MAGIC # Build
# MAGIC One dbt build of this release into one target. A gated target is built from what was approved, never from the checkout.

# COMMAND ----------

from dbx_cd import build_release, start_task

task = start_task(
    dbutils,
    spark,
    cmd="build",
    target="",
    select="tag:deploy",
    exclude="",
    defer=False,
    state_path="",
    with_parents="none",
    full_refresh=False,
    project_dir=".",
    profiles_dir="",
)

# COMMAND ----------

built = build_release(task.cd, task.release, **task.params)
displayHTML(built.to_html())
