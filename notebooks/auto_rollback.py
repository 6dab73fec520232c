# Databricks notebook source
# MAGIC %md
# MAGIC # Automatic rollback
# MAGIC Runs after a failed task. Does nothing unless this release was deploying and `policies.auto_rollback` allows it.

# COMMAND ----------

from dbx_cd import RestoreFailed, auto_rollback, start_task

task = start_task(dbutils, spark, target="", project_dir=".")

# COMMAND ----------

try:
    outcome = auto_rollback(task.cd, task.release, target=task.params["target"])
except RestoreFailed as failed:
    displayHTML(failed.result.to_html())
    print(failed.result.text)
    raise
displayHTML(outcome.to_html())
print(outcome)
