"""Publishing the artifacts of a 1,000-model project, against a plain copy and sha256 of the same files."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import tempfile
from pathlib import Path

from benchmarks.measure import Ratio, side_by_side
from dbx_cd import ArtifactStore

MODELS = 1000


def measure() -> Ratio:
    """Measure it."""
    with tempfile.TemporaryDirectory() as folder:
        source, plain = Path(folder, "source"), Path(folder, "plain")
        write_artifacts(source)
        store = ArtifactStore(Path(folder, "store"))
        numbers = itertools.count()

        def ours() -> None:
            store.publish("stg", source, commit="0" * 40, latest=True)

        def other() -> None:
            copy = plain / str(next(numbers))
            copy.mkdir(parents=True)
            for path in source.iterdir():
                shutil.copyfile(path, copy / path.name)
                hashlib.sha256((copy / path.name).read_bytes()).hexdigest()

        size = sum(p.stat().st_size for p in source.iterdir()) / 1e6
        return side_by_side(f"publish, {MODELS} models, {size:.0f} MB / copy + sha256", ours, other, rounds=15, aim=1.5)


def write_artifacts(folder: Path) -> None:
    """A manifest and run results of the size that dbt writes for a project of `MODELS` models."""
    folder.mkdir()
    ids = [f"model.bench.model_{i}" for i in range(MODELS)]
    text = "select a_column, another_column, count(*) as n from some_relation group by all\n" * 60
    nodes = {
        i: {
            "unique_id": i, "name": i.split(".")[2], "resource_type": "model", "database": "prod", "schema": "bench",
            "relation_name": f"`prod`.`bench`.`{i.split('.')[2]}`", "raw_code": text, "compiled_code": text,
            "config": {"materialized": "table"}, "depends_on": {"nodes": []}, "columns": {},
        }
        for i in ids
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps({"metadata": {"dbt_version": "1.11.0"}, "nodes": nodes}))
    results = [{"unique_id": i, "status": "success", "execution_time": 1.0, "compiled_code": text} for i in ids]
    document = {"metadata": {"dbt_version": "1.11.0"}, "args": {"which": "build"}, "results": results}
    (folder / "run_results.json").write_text(json.dumps(document))
