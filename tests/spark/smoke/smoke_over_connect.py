"""Run the suites of a build over Spark Connect and print the report; started by `test_smoke_connect.py`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyspark.sql import SparkSession
from smoke_builds import Build

from dbx_cd.smoke.run import load_suites, run_smoke

if __name__ == "__main__":
    remote, build_path, baseline_path, smoke_dir = sys.argv[1:]
    spark = SparkSession.builder.remote(remote).getOrCreate()
    build = Build(Path(build_path), "stg")
    baseline = Build(Path(baseline_path), "prod")
    report = run_smoke(load_suites(smoke_dir, build), spark=spark, artifacts=build, baseline=baseline, check=False)  # type: ignore[arg-type]
    print(json.dumps(report.to_dict(), default=str))
    spark.stop()
