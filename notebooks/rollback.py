# Databricks notebook source
# MAGIC %md
# MAGIC # Roll production data back
# MAGIC Pick a release: the tables it changed go back to what they were before it. Read the plan, copy its seal into the
# MAGIC widget, and run the last cell. The widgets are empty at first, so that *Run all* changes nothing.

# COMMAND ----------

from dbx_cd import open_cd, plan_restore, restore

for name in ("release_id", "only", "skip", "seal", "project_dir", "artifacts_root"):
    dbutils.widgets.text(name, "")
dbutils.widgets.dropdown("new_tables", "keep", ["keep", "drop"])
dbutils.widgets.dropdown("discard_later_writes", "false", ["false", "true"])
chosen, seal = dbutils.widgets.get("release_id"), dbutils.widgets.get("seal")

cd = open_cd(
    spark,
    project_dir=dbutils.widgets.get("project_dir") or ".",
    overrides={"artifacts_root": dbutils.widgets.get("artifacts_root")},
)
displayHTML(cd.log.history().to_html())

# COMMAND ----------

plan = None
if chosen:
    plan = plan_restore(
        cd,
        cd.log.release(chosen),
        only=dbutils.widgets.get("only").split() or None,
        skip=dbutils.widgets.get("skip").split(),
        new_tables=dbutils.widgets.get("new_tables"),
    )
    displayHTML(plan.to_html())
else:
    print("Nothing chosen: fill in release_id.")

# COMMAND ----------

if plan is not None and seal:
    discard = dbutils.widgets.get("discard_later_writes") == "true"
    result = restore(cd, plan, seal=seal, discard_later_writes=discard)
    displayHTML(result.to_html())
    print(result)
else:
    print("Nothing restored: fill in release_id and seal.")
