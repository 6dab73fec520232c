# Databricks notebook source
# MAGIC %md
# MAGIC # Approve or reject a release
# MAGIC Pick a release below, read its page, copy its seal into the widget, and run the last cell.
# MAGIC Where it would lose something, copy the names of what you agree to lose into `consent`, with commas between them.
# MAGIC Where it waits for two gated targets, fill in `target` as well: each is decided on its own.
# MAGIC The widgets are empty at first, so that *Run all* decides nothing.

# COMMAND ----------

from dbx_cd import approve, open_cd, pending_approvals, reject, resume

for name in ("release_id", "target", "seal", "consent", "reject_because", "project_dir", "artifacts_root"):
    dbutils.widgets.text(name, "")
chosen, target = dbutils.widgets.get("release_id"), dbutils.widgets.get("target")
seal, reason = dbutils.widgets.get("seal"), dbutils.widgets.get("reject_because")

cd = open_cd(
    spark,
    project_dir=dbutils.widgets.get("project_dir") or ".",
    overrides={"artifacts_root": dbutils.widgets.get("artifacts_root")},
)
pending = pending_approvals(cd)
asked = [r for r in pending if chosen in ("", r.release.id) and target in ("", r.target)]
for request in asked:
    displayHTML(request.to_html())
if not pending:
    print("Nothing waits for a decision.")

# COMMAND ----------

if chosen and not asked:
    waiting = ", ".join(f"{r.release.id} for {r.target}" for r in pending) or "none"
    raise SystemExit(f"{chosen} does not wait for a decision{target and f' for {target}'}; these do: {waiting}")
if chosen and len(asked) > 1:
    raise SystemExit(f"{chosen} waits for {' and '.join(r.target for r in asked)}: fill in target")
if chosen and reason:
    print(reject(cd, asked[0], reason=reason))
elif chosen and seal:
    consent = dbutils.widgets.get("consent").split(",")
    decision = approve(cd, asked[0], seal=seal, consent=consent)
    print(decision)
    print(resume(cd.workspace, asked[0].release, target=asked[0].target, after=decision))
else:
    print("Nothing decided: fill in release_id and seal, or release_id and reject_because.")
