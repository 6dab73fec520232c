# Databricks notebook source
# MAGIC %md
# MAGIC # Is everything there that a release needs?
# MAGIC Looks at the project, its bundle, the workspace and this cluster, as whoever runs it: each line is ok, or says what
# MAGIC to do. Nothing is changed, but for one small file that is written to the artifacts' folder and removed again. Run it
# MAGIC as yourself, and once as the job's identity: as a task of a job that runs as it.

# COMMAND ----------

from dbx_cd import check_setup

for name in ("target", "job", "project_dir", "profiles_dir"):
    dbutils.widgets.text(name, "")
given = dbutils.widgets.get

# COMMAND ----------

report = check_setup(
    spark,
    project_dir=given("project_dir") or ".",
    profiles_dir=given("profiles_dir") or None,
    targets=given("target").split(),
    job=given("job") or None,
    secrets=dbutils.secrets.get,
)
displayHTML(report.to_html())
print(report.text)

# COMMAND ----------

report.raise_if_failed()
dbutils.notebook.exit(report.text)
