# Databricks notebook source
# MAGIC %md
# MAGIC # Explore the data of an environment
# MAGIC Pick an environment, domains and models in the widgets (blanks between several, nothing for all): every contract
# MAGIC and business check runs again, whatever dbt has checked before. With `compare_with` and one model, its rows are
# MAGIC set side by side in both environments. Nothing is written.

# COMMAND ----------

from dbx_cd import baseline_for, compare_model, load_suites, open_cd, run_smoke

for name in ("models", "key", "project_dir", "artifacts_root"):
    dbutils.widgets.text(name, "")
cd = open_cd(
    spark,
    project_dir=dbutils.widgets.get("project_dir") or ".",
    overrides={"artifacts_root": dbutils.widgets.get("artifacts_root")},
)
environments = list(cd.config.targets)
dbutils.widgets.dropdown("target", environments[0], environments)
dbutils.widgets.dropdown("compare_with", environments[-1], ["", *environments])
target, models = dbutils.widgets.get("target"), dbutils.widgets.get("models").split()
built = cd.store.latest(target)
dbutils.widgets.combobox("domain", "", ["", *(s.domain for s in load_suites(cd.config.smoke_dir, built))])

# COMMAND ----------

suites = load_suites(cd.config.smoke_dir, built, select=models or None, domains=dbutils.widgets.get("domain"))
release = cd.log.release(built.release_id) if built.release_id else None
baseline = baseline_for(cd, release, target) if release else None
report = run_smoke(suites, spark=spark, artifacts=built, baseline=baseline, recheck=True, check=False)
displayHTML(report.to_html())

# COMMAND ----------

other = dbutils.widgets.get("compare_with")
if other and len(models) == 1:
    key = dbutils.widgets.get("key").split() or None
    comparison = compare_model(spark, built, cd.store.latest(other), model=models[0], key=key)
    displayHTML(comparison.to_html())
else:
    print("Nothing to compare: name one model in `models` and an environment in `compare_with`.")
