# Every command a developer needs. Each sets up what it needs itself: a virtual environment with the locked packages,
# the Delta jars, the compiled catalog of the embedded workspace, and the classes that its JVM loads.

VENV   := .venv
PYTHON := $(VENV)/bin/python
READY  := $(VENV)/.ready

# What the compiled catalog and the recorded classes are made from.
JAVA_SIDE := $(wildcard src/dbx_cd/local/java/dbxcd/local/*.java src/dbx_cd/local/java/dbxcd/local/*/*.java) src/dbx_cd/local/java_catalog.py \
	src/dbx_cd/local/spark_session.py src/dbx_cd/local/record_classes.py

# Processes that run tests; how tests are shared out is in tests/conftest.py. No process is started in the place of one
# that was ended because a test hung: what hung is reported, and the run fails.
WORKERS  := 2
PARALLEL := -n $(WORKERS) --max-worker-restart 0
TELLING  := tests/spark/rollback/test_restore_matrix.py tests/spark/rollback/test_restore_kill.py \
	tests/spark/local/test_catalog_dbt.py

# The environment of Spark 3.5, beside the other one; and: the deep tests too.
SPARK35 := .venv-spark35
ALL     := -o testpaths=tests/spark -m "deep or not deep"

# Python keeps compiled modules, whatever the caller's environment says: tests and demo start it a hundred times.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup lock demo test test-deep test-deep-short test-matrix test-connect test-spark35 test-unit lint format bench \
	dbt-fixtures wheel runtimes bundle clean

help:  ## Show this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## (.*)/\1|\2/' | column -t -s '|'

$(READY): requirements/dev.lock requirements/dbt.txt setup.cfg tools/setup $(JAVA_SIDE)
	@tools/setup $(VENV) $(FROM)

$(SPARK35)/.ready: requirements/spark35.lock setup.cfg | $(READY)
	@$(PYTHON) -m uv venv --quiet --clear --python 3.11 $(SPARK35)
	@$(PYTHON) -m uv pip install --quiet --python $(SPARK35)/bin/python -r requirements/spark35.lock
	@$(PYTHON) -m uv pip install --quiet --python $(SPARK35)/bin/python --no-deps --editable .
	@touch $@

setup: $(READY)  ## Set everything up: .venv, locked packages, Delta jars, Java catalog, recorded classes; another Python: FROM=python3.13

demo: $(READY)  ## Tell the whole story on the example: release, stopped release, approval, rollbacks
	@$(PYTHON) -m examples.demo

test: $(READY)  ## Run all tests but the deep ones
	@$(PYTHON) -m pytest $(PARALLEL)

test-deep: $(READY)  ## Run the deep tests: every restore situation, a kill at every step, a whole code rollback, long attacks on the lifecycle, dbt's adapter tests
	@$(PYTHON) -m pytest $(PARALLEL) -m deep

test-deep-short: $(READY)  ## Run the most telling third of the deep tests: restore matrix, kill, dbt's real adapter
	@$(PYTHON) -m pytest $(PARALLEL) -m deep $(TELLING)

test-matrix: $(READY)  ## Run every combination of how old a table is and what becomes of it: hours; a part: PART=2/8
	@AGED_MATRIX=$(or $(PART),1/1) $(PYTHON) -m pytest -m deep tests/spark/rollback/test_aged_matrix.py

test-connect: $(READY)  ## Run what of the tests needs a Spark session and no more on Spark Connect, as serverless compute is
	@SPARK_KIND=connect $(PYTHON) -m pytest $(ALL)

test-spark35: $(SPARK35)/.ready  ## Run the same tests on Spark 3.5 and Delta 3.3, which runtime 16.4 LTS is built on
	@SPARK_KIND=spark35 $(SPARK35)/bin/python -m pytest $(ALL)

test-unit: $(READY)  ## Run the tests that start neither Spark nor dbt: all decisions
	@$(PYTHON) -m pytest $(PARALLEL) tests/unit

lint: $(READY)  ## Check format, style, types
	@$(PYTHON) -m ruff format --check src tests benchmarks examples/demo.py
	@$(PYTHON) -m ruff check src tests benchmarks examples/demo.py
	@$(PYTHON) -m mypy

format: $(READY)  ## Format the code
	@$(PYTHON) -m ruff format src tests benchmarks examples/demo.py
	@$(PYTHON) -m ruff check --fix src tests benchmarks examples/demo.py

bench: $(READY)  ## Print speed and memory ratios, measured side by side in one run; one part: PART=restore
	@$(PYTHON) -m benchmarks $(PART)

dbt-fixtures: $(READY)  ## Record anew what dbt leaves (tests/fixtures/recorded_dbt): about twelve minutes
	@PYTHONPATH=src:tests $(PYTHON) -m recorded_dbt.make

wheel: $(READY)  ## Build the wheel and prove it beside the oldest packages of a runtime; it will lie in FOLDER=/Volumes/...
	@tools/wheel $(PYTHON) $(FOLDER)

lock: $(READY)  ## Resolve every lock in requirements/ anew from setup.cfg, and that of dbt
	@tools/lock $(PYTHON)

runtimes: $(READY)  ## Resolve the wheel beside the packages of each runtime, and run it and dbt in an environment of 16.4 LTS
	@$(PYTHON) -m pytest -m deep tests/packages

bundle: $(READY)  ## Write databricks.yml, resources/ and cd.yml anew from their templates
	@PYTHONPATH=src $(PYTHON) tools/bundle

clean:  ## Remove what the other targets made
	rm -rf $(VENV) $(SPARK35) build dist .dbx_cd .mypy_cache .ruff_cache .pytest_cache
