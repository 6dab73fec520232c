"""Macros that dbt has by itself, and those that it calls for every node: what a project's own are told apart from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_PACKAGES = ("dbt", "dbt_spark", "dbt_databricks")
_NAMING = re.compile(r"generate_(?:schema|alias|database)_name")
JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
"""What dbt renders of a text."""


def is_of_dbt(unique_id: str) -> bool:
    """Whether a macro comes with dbt or an adapter: what changes in it is an upgrade, and partial parsing knows it."""
    return unique_id.split(".")[1] in _PACKAGES


def names_relations(macro: Mapping[str, Any]) -> bool:
    """Whether dbt calls a macro for every node, which does not name it: its answer is in the relation's name."""
    return _NAMING.search(str(macro["name"])) is not None
