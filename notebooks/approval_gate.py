# Databricks notebook source
# MAGIC %md
# MAGIC # Approval gate
# MAGIC Asks for the promotion of exactly this build, and fails with "waiting for approval" until somebody has decided.
# MAGIC Nothing runs and nothing is paid for while it waits: the decision repairs the run from here on.

# COMMAND ----------

from dbx_cd import Selection, plan_deploy, request_approval, require_approval, rollback_readiness, start_task

task = start_task(
    dbutils,
    spark,
    cmd="build",
    target="",
    select="",
    exclude="",
    full_refresh=False,
    project_dir=".",
    profiles_dir="",
)
target = task.params["target"]
asked = {name: task.params[name] for name in ("cmd", "select", "exclude", "full_refresh")}

# COMMAND ----------

plan = plan_deploy(
    task.cd,
    task.release,
    target=target,
    selection=Selection(**asked),
    profiles_dir=task.params["profiles_dir"],
)
task.keep_pages({f"plan-{target}.html": plan.to_page()})
displayHTML(plan.to_html())
print(plan)

# COMMAND ----------

request = request_approval(task.cd, task.release, target=target, plan=plan)
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
