# Databricks notebook source
# MAGIC %md
# MAGIC # Roll production data back
# MAGIC 1. Pick a release in the widget `release_id` and run: you see what would be done. Nothing is changed. Where it has
# MAGIC    changed several gated targets, fill in `target` as well: a rollback is of one of them.
# MAGIC 2. Read the plan. To try it on copies first, set `rehearse` to true and run.
# MAGIC 3. Tick the plan's seal in the widget `seal` and run: it is restored, proved, and smoke-tested.
# MAGIC
# MAGIC The widgets are empty at first, so that *Run all* changes nothing.

# COMMAND ----------

from datetime import datetime

from dbx_cd import (
    RestoreFailed, RestoreProgress, SmokeFailed, open_cd, plan_restore, rehearse, restore, smoke_after_restore
)

for name in ("target", "only", "skip", "to", "reason", "project_dir", "artifacts_root"):
    dbutils.widgets.text(name, "")
for name, choices in {
    "new_tables": ["keep", "drop"],
    "discard_later_writes": ["false", "true"],
    "rehearse": ["false", "true"],
}.items():
    dbutils.widgets.dropdown(name, choices[0], choices)
given = dbutils.widgets.get

cd = open_cd(
    spark, project_dir=given("project_dir") or ".", overrides={"artifacts_root": given("artifacts_root")}
)
history = cd.log.history()
dbutils.widgets.combobox("release_id", "", ["", *(release.id for release, _ in history)])
displayHTML(history.to_html())
messages = []

# COMMAND ----------

plan = None
if given("release_id"):
    release = cd.log.release(given("release_id"))
    plan = plan_restore(
        cd,
        release,
        target=given("target") or None,
        only=given("only").split() or None,
        skip=given("skip").split(),
        to=datetime.fromisoformat(given("to")) if given("to") else None,
        new_tables=given("new_tables"),
    )
    displayHTML(plan.to_html())
    messages.append(plan.text)
else:
    messages.append(f"{history}\nNothing chosen: fill in release_id.")
dbutils.widgets.combobox("seal", "", ["", *([plan.seal] if plan else [])])

# COMMAND ----------

if plan is not None and given("rehearse") == "true":
    rehearsal = rehearse(cd, release, plan=plan)
    displayHTML(rehearsal.to_html())
    messages.append(rehearsal.text)
    rehearsal.raise_if_failed()

# COMMAND ----------

result = None
if plan is not None and given("seal"):
    try:
        with RestoreProgress(len(plan.items)) as progress:
            result = restore(
                cd,
                plan,
                seal=given("seal"),
                reason=given("reason") or None,
                discard_later_writes=given("discard_later_writes") == "true",
                on_progress=progress,
            )
    except RestoreFailed as failed:
        displayHTML(failed.result.to_html())
        print(failed.result.text)
        raise
    displayHTML(result.to_html())
    messages.append(result.text)
else:
    messages.append("Nothing restored: that needs release_id and the plan's seal.")

# COMMAND ----------

if result is not None:
    try:
        report = smoke_after_restore(cd, release, result, check=True)
    except SmokeFailed as failed:
        displayHTML(failed.report.to_html())
        raise
    displayHTML(report.to_html())
    messages.append(str(report))

# COMMAND ----------

print("\n\n".join(messages))
dbutils.notebook.exit("\n\n".join(messages))
