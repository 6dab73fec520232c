"""Runs Databricks source-format notebooks, each in a process of its own."""
