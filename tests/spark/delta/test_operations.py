"""Delta's operations as its jar has them."""

from __future__ import annotations

from delta_operations import Operations

from dbx_cd.local.java_catalog import prepare


def test_the_recorded_operations_are_those_of_the_jar_in_use() -> None:
    """Else run tests/unit/delta_operations.py, and decide for each new name in dbx_cd.delta.operations what it does."""
    (jar,) = (path for path in prepare().delta_jars if path.name.startswith("delta-spark"))
    assert Operations.of(jar) == Operations.recorded()
