"""The names of PySpark 3.5, the oldest that the library meets, and those that later ones added to its classes.

`SPARK_KIND=spark35 .venv-spark35/bin/python tests/pyspark_names.py` writes tests/fixtures/pyspark_names.json anew.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path

RECORDED = Path(__file__).parent / "fixtures" / "pyspark_names.json"
MODULES = ("pyspark", "pyspark.errors", "pyspark.sql", "pyspark.sql.functions", "pyspark.sql.types")
CLASSES = (
    ("pyspark.sql", "SparkSession"),
    ("pyspark.sql", "DataFrame"),
    ("pyspark.sql", "Column"),
    ("pyspark.sql", "DataFrameReader"),
    ("pyspark.sql", "DataFrameWriter"),
    ("pyspark.sql", "GroupedData"),
    ("pyspark.sql.catalog", "Catalog"),
    ("pyspark.sql.conf", "RuntimeConfig"),
    ("pyspark.sql.types", "StructType"),
    ("pyspark.errors", "PySparkException"),
)


def names() -> dict[str, list[str]]:
    """The public names of each module and class of the PySpark that is installed."""
    found: dict[str, object] = {module: importlib.import_module(module) for module in MODULES}
    found |= {name: getattr(importlib.import_module(module), name) for module, name in CLASSES}
    return {name: sorted(n for n in dir(what) if not n.startswith("_")) for name, what in found.items()}


def recorded() -> dict[str, list[str]]:
    """Those of PySpark 3.5."""
    read: dict[str, list[str]] = json.loads(RECORDED.read_text())
    return read


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(names(), indent=1) + "\n")
