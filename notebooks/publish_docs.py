# Databricks notebook source
# MAGIC %md
# MAGIC # Docs refresh
# MAGIC dbt docs and the manifest of what is now in production.

# COMMAND ----------

from dbx_cd import prune_artifacts, publish_docs, start_task

task = start_task(dbutils, spark, target="", project_dir=".", profiles_dir="")

# COMMAND ----------

site = publish_docs(task.cd, task.release, **task.params)
displayHTML(site.to_html())

# COMMAND ----------

# Old artifacts go, by `keep` in dbx_cd.yml; never those of a live release.
for target, pruned in prune_artifacts(task.cd, dry_run=False).items():
    print(f"{target}: {len(pruned.removed)} old artifact versions removed, {len(pruned.kept)} kept")
