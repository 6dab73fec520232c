# Databricks notebook source
# MAGIC %md
# MAGIC # Approval gate
# MAGIC Asks for the promotion of exactly this build, and fails with "waiting for approval" until somebody has decided.
# MAGIC Nothing runs and nothing is paid for while it waits: the decision repairs the run from here on.

# COMMAND ----------

from dbx_cd import request_approval, require_approval, rollback_readiness, start_task

task = start_task(
    dbutils, spark, cmd="build", target="", select="", exclude="", full_refresh=False, project_dir="."
)
target = task.params["target"]

# COMMAND ----------

request = request_approval(
    task.cd,
    task.release,
    target=target,
    select=task.params["select"],
    exclude=task.params["exclude"],
    full_refresh=task.params["full_refresh"],
    cmd=task.params["cmd"],
)
task.keep_pages({f"approval-{target}.html": request.to_html()})
displayHTML(request.to_html())

# COMMAND ----------

readiness = rollback_readiness(
    task.cd, task.release, target=target, full_refresh=task.params["full_refresh"]
)
task.keep_pages({f"rollback-readiness-{target}.html": readiness.to_html()})
displayHTML(readiness.to_html())
print(readiness)

# COMMAND ----------

print(require_approval(task.cd, task.release, target=target))
