"""The embedded workspace: Spark with Delta and real catalogs, a SQL endpoint and a REST server in one process."""
