# Databricks notebook source
# MAGIC %md
# MAGIC # Approve or reject a release
# MAGIC Pick a release below, read its page, copy its seal into the widget, and run the last cell.
# MAGIC Both widgets are empty at first, so that *Run all* decides nothing.

# COMMAND ----------

from dbx_cd import approve, open_cd, pending_approvals, reject, resume

for name in ("release_id", "seal", "reject_because", "project_dir", "artifacts_root"):
    dbutils.widgets.text(name, "")
chosen, seal = dbutils.widgets.get("release_id"), dbutils.widgets.get("seal")
reason = dbutils.widgets.get("reject_because")

cd = open_cd(
    spark,
    project_dir=dbutils.widgets.get("project_dir") or ".",
    overrides={"artifacts_root": dbutils.widgets.get("artifacts_root")},
)
pending = {request.release.id: request for request in pending_approvals(cd)}
for request in pending.values():
    if chosen in ("", request.release.id):
        displayHTML(request.to_html())
if not pending:
    print("Nothing waits for a decision.")

# COMMAND ----------

if chosen and chosen not in pending:
    raise SystemExit(f"{chosen} does not wait for a decision; these do: {', '.join(pending) or 'none'}")
if chosen and reason:
    print(reject(cd, pending[chosen], reason=reason))
elif chosen and seal:
    print(approve(cd, pending[chosen], seal=seal))
    print(resume(cd.workspace, pending[chosen].release))
else:
    print("Nothing decided: fill in release_id and seal, or release_id and reject_because.")
