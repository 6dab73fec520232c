"""Publishing the artifacts of a 1,000-model project, against plain copies and sha256 of the same files."""

from __future__ import annotations

import hashlib
import itertools
import json
import shutil
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.measure import Ratio, side_by_side
from dbx_cd import ArtifactStore

MODELS = 1000


def measure() -> Iterator[Ratio]:
    """A version alone against one copy, and a version that `latest` serves against copies to both folders."""
    with tempfile.TemporaryDirectory() as folder:
        source, plain = Path(folder, "source"), Path(folder, "plain")
        write_artifacts(source)
        store = ArtifactStore(Path(folder, "store"))
        numbers = itertools.count()
        size = sum(p.stat().st_size for p in source.iterdir()) / 1e6

        def ours(*, latest: bool) -> None:
            store.publish("stg", source, commit="0" * 40, latest=latest)

        def other(*, latest: bool) -> None:
            copies = [plain / str(next(numbers)), *([plain / "latest"] if latest else [])]
            for copy in copies:
                copy.mkdir(parents=True, exist_ok=True)
            for path in source.iterdir():
                for copy in copies:
                    shutil.copyfile(path, copy / path.name)
                hashlib.sha256((copies[0] / path.name).read_bytes()).hexdigest()

        for what, plainly, latest in (
            ("publish", "copy + sha256", False),
            ("publish as latest", "copy to two folders + sha256", True),
        ):
            name = f"{what}, {MODELS} models, {size:.0f} MB / {plainly}"
            yield side_by_side(name, partial(ours, latest=latest), partial(other, latest=latest), rounds=15, aim=1.5)


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
