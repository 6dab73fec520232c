"""Hooks before and after models and whole runs, and what they are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from databricks_sql import DatabricksSql
from dbt.tests.adapter.hooks import test_model_hooks
from dbt.tests.adapter.hooks.test_model_hooks import (
    BaseHookRefs,
    BasePrePostModelHooks,
    BasePrePostModelHooksInConfig,
    BasePrePostModelHooksInConfigKwargs,
    BasePrePostModelHooksInConfigWithCount,
)
from dbt.tests.adapter.hooks.test_run_hooks import BasePrePostRunHooks
from dbt.tests.fixtures.project import TestProjInfo

pytestmark = pytest.mark.deep


class Told(DatabricksSql):
    """What a hook was told about the run, in dbt-databricks' terms: there is no dbname, no user and no password."""

    @pytest.fixture(scope="module")
    def test_data_dir(self) -> str:
        return str(Path(test_model_hooks.__file__).with_name("data"))

    def check_hooks(self, state: str, project: TestProjInfo, host: str, count: int = 1) -> None:
        if isinstance(self, BasePrePostRunHooks):
            told, threads = [self.get_ctx_vars(state, project)], ("Thread-", "MainThread")
        else:
            told, threads = self.get_ctx_vars(state, count, project), ("Thread-",)
        assert len(told) == count
        for values in told:
            assert values["test_state"] == state
            assert values["target_host"] == host
            assert values["target_name"] == "default"
            assert values["target_schema"] == project.test_schema
            assert values["target_threads"] == 2
            assert values["target_type"] == "databricks"
            assert (values["target_dbname"], values["target_user"], values["target_pass"]) == ("", "", "")
            assert values["run_started_at"]
            assert values["invocation_id"]
            assert values["thread_id"].startswith(threads)


class TestPrePostModelHooks(Told, BasePrePostModelHooks):
    pass


class TestPrePostModelHooksUnderscores(Told, BasePrePostModelHooks):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        vacuum = {"sql": "vacuum {{ this.schema }}.on_model_hook", "transaction": False}
        before, after = test_model_hooks.MODEL_PRE_HOOK, test_model_hooks.MODEL_POST_HOOK
        return {"models": {"test": {"pre_hook": [before, vacuum], "post_hook": [vacuum, after]}}}


class TestHookRefs(Told, BaseHookRefs):
    pass


class TestPrePostModelHooksInConfig(Told, BasePrePostModelHooksInConfig):
    pass


class TestPrePostModelHooksInConfigWithCount(Told, BasePrePostModelHooksInConfigWithCount):
    pass


class TestPrePostModelHooksInConfigKwargs(Told, BasePrePostModelHooksInConfigKwargs):
    pass


class TestPrePostRunHooks(Told, BasePrePostRunHooks):
    @pytest.fixture(scope="class")
    def project_config_update(self) -> dict[str, Any]:
        told = "{{{{ custom_run_hook('{}', target, run_started_at, invocation_id) }}}}"
        created = "create table {{{{ target.schema }}}}.{}_hook_order_test ( id int )"
        dropped = "drop table {{{{ target.schema }}}}.{}_hook_order_test"
        between = "{% if not loop.last %},{% endif %}{% endfor %}"
        return {
            "on-run-start": [
                *(hook.format("start") for hook in (told, created, dropped)),
                "{{ log(env_var('TERM_TEST'), info=True) }}",
            ],
            "on-run-end": [
                *(hook.format("end") for hook in (told, created, dropped)),
                "create table {{ target.schema }}.schemas ( schema string )",
                "insert into {{ target.schema }}.schemas (schema) values "
                "{% for schema in schemas %}( '{{ schema }}' )" + between,
                "create table {{ target.schema }}.db_schemas ( db string, schema string )",
                "insert into {{ target.schema }}.db_schemas (db, schema) values "
                "{% for db, schema in database_schemas %}('{{ db }}', '{{ schema }}' )" + between,
            ],
            "seeds": {"quote_columns": False},
        }
