"""A statement as the pattern of its kind has matched it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pyspark.sql import SparkSession

from dbx_cd.local.emulation.catalog_bridge import CatalogBridge
from dbx_cd.local.emulation.sql_text import split_name


@dataclass(frozen=True)
class Statement:
    """A statement as its pattern matched it, in the session it runs in; `statement["group"]` is a part's text."""

    spark: SparkSession
    match: re.Match[str]

    def __getitem__(self, group: str) -> str:
        return self.match[group] or ""

    def parts(self, group: str) -> list[str]:
        """The parts of a dotted name, without backticks."""
        return split_name(self[group])

    def identifier(self, group: str) -> str:
        """A name of one part, without backticks."""
        return self.parts(group)[0]

    @property
    def bridge(self) -> CatalogBridge:
        """The Java catalog, for this session."""
        return CatalogBridge(self.spark)
