# Databricks notebook source
# MAGIC %md
# MAGIC # Docs refresh
# MAGIC dbt docs and the manifest of what is now in production.

# COMMAND ----------

from dbx_cd import publish_docs, start_task

task = start_task(dbutils, spark, target="prod", project_dir=".", profiles_dir="")

# COMMAND ----------

site = publish_docs(task.cd, task.release, **task.params)
displayHTML(site.to_html())
