"""Statements of Databricks SQL that open-source Spark and Delta lack, on the catalogs of the embedded workspace."""

from dbx_cd.local.emulation.affected_rows import affected_rows
from dbx_cd.local.emulation.dispatch import emulate

__all__ = ["affected_rows", "emulate"]
