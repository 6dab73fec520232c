"""What tasks of a release do in a notebook, while dbt runs beside them: notebook_code.py PROJECT DBT_PYTHON.

Run by an environment with a runtime's packages, and printed as one line of JSON. The project's own lock decides where
dbt runs; DBT_PYTHON is used by a wheel that cannot do that yet.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

PROJECT = Path(sys.argv[1])


def start_dbt() -> subprocess.Popen[str]:
    python, options, variables = sys.argv[2], ["-P"], dict(os.environ)
    try:
        from dbx_cd.dbt.environment import DbtEnvironment
    except ModuleNotFoundError:
        pass
    else:
        environment = DbtEnvironment.of(PROJECT)
        python, options = environment.python, list(environment.options)
        variables = environment.variables(os.environ)
    # No end of input, so that it is surely still at work when the notebook's code is.
    code = (
        "import sys; from dbt.cli.main import dbtRunner; import google.protobuf, databricks.sdk.version as sdk;"
        "print('ready', google.protobuf.__version__, sdk.__version__, flush=True); sys.stdin.readline();"
        "found = dbtRunner().invoke(sys.argv[1:]); print(found.exception or 'parsed'); sys.exit(not found.success)"
    )
    flags = ["--quiet", "parse", "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--no-use-colors"]
    pipe = subprocess.PIPE
    started = [python, *options, "-c", code, *flags]
    return subprocess.Popen(started, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=variables, cwd=PROJECT)


def packages_of_the_runtime() -> dict[str, str]:
    """What its own code imports, and would not with dbt's packages: protobuf's generated code, for one."""
    import google.protobuf
    import mlflow
    from mlflow.protos import service_pb2

    experiment = service_pb2.Experiment(experiment_id="7")
    assert service_pb2.Experiment.FromString(experiment.SerializeToString()) == experiment
    return {"protobuf": google.protobuf.__version__, "mlflow": mlflow.__version__}


def smoke() -> list[dict[str, Any]]:
    """A suite by Great Expectations, on the Spark that the runtime is built on."""
    from pyspark.sql import SparkSession

    from dbx_cd.smoke.answers import Ask
    from dbx_cd.smoke.gx import data_docs_page, validate

    spark = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
    orders = spark.sql("select * from values (1, 9.50), (2, 20.00), (2, null) as t(id, amount)")
    validation = validate(
        orders,
        [
            Ask(0, "expect_table_row_count_to_be_between", {"min_value": 3, "max_value": 3}),
            Ask(1, "expect_column_values_to_not_be_null", {"column": "amount"}),
            Ask(2, "expect_column_values_to_be_unique", {"column": "id"}),
            Ask(3, "expect_column_max_to_be_between", {"column": "amount", "max_value": 20}),
        ],
    )
    assert "expect" in data_docs_page("orders", validation.results).lower()
    found = [validation.answers[key] for key in range(4)]
    spark.stop()
    return [{"success": a.success, "error": a.error} for a in found]


def main() -> None:
    import dbx_cd

    dbt = start_dbt()
    assert dbt.stdin
    assert dbt.stdout
    ready = dbt.stdout.readline().split()
    config = dbx_cd.CdConfig.load(PROJECT)
    found = {
        "dbt": ready,
        "public_names": sum(getattr(dbx_cd, name) is not None for name in dbx_cd.__all__),
        "targets": list(config.targets),
        "runtime": packages_of_the_runtime(),
        "smoke": smoke(),
        "dbt_still_ran": dbt.poll() is None,
    }
    printed, errors = dbt.communicate("go on\n", timeout=900)
    print(json.dumps(found | {"dbt_end": [dbt.returncode, printed.strip(), errors[-2000:]]}))


if __name__ == "__main__":
    main()
