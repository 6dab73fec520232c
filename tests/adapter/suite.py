"""The table of dbt's adapter tests: what becomes of each base class of the package `dbt-tests-adapter`.

The package is what every adapter is certified with. `test_suite.py` holds the table against the package that is
installed: a class that stands nowhere here fails it, and so does one that is run with fewer tests than it has.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

import dbt.tests.adapter

ROOT = "dbt.tests.adapter."

TELLING = [
    "basic.test_base.BaseSimpleMaterializations",
    "basic.test_incremental.BaseIncremental",
]
"""Run as they are, in `make test` too: seeds, views, tables, an incremental model."""

AS_THEY_ARE = [
    "basic.test_adapter_methods.BaseAdapterMethod",
    "basic.test_empty.BaseEmpty",
    "basic.test_ephemeral.BaseEphemeral",
    "basic.test_generic_tests.BaseGenericTests",
    "basic.test_incremental.BaseIncrementalNotSchemaChange",
    "basic.test_singular_tests.BaseSingularTests",
    "basic.test_singular_tests_ephemeral.BaseSingularTestsEphemeral",
    "basic.test_snapshot_check_cols.BaseSnapshotCheckCols",
    "basic.test_snapshot_timestamp.BaseSnapshotTimestamp",
    "basic.test_table_materialization.BaseTableMaterialization",
    "basic.test_validate_connection.BaseValidateConnection",
    "caching.test_caching.BaseCachingLowercaseModel",
    "caching.test_caching.BaseCachingUppercaseModel",
    "caching.test_caching.BaseCachingSelectedSchemaOnly",
    "caching.test_caching.BaseNoPopulateCache",
    "concurrency.test_concurrency.BaseConcurrency",
    "dbt_clone.test_dbt_clone.BaseClonePossible",
    "dbt_clone.test_dbt_clone.BaseCloneNotPossible",
    "dbt_clone.test_dbt_clone.BaseCloneSameTargetAndState",
    "dbt_debug.test_dbt_debug.BaseDebugPostgres",
    "dbt_debug.test_dbt_debug.BaseDebugInvalidProjectPostgres",
    "dbt_show.test_dbt_show.BaseShowLimit",
    "dbt_show.test_dbt_show.BaseShowSqlHeader",
    "empty.test_empty.BaseTestEmpty",
    "empty.test_empty.BaseTestEmptyInlineSourceRef",
    "ephemeral.test_ephemeral.BaseEphemeralErrorHandling",
    "functions.test_udfs.UDFsBasic",
    "functions.test_udfs.ErrorForUnsupportedType",
    "functions.test_udfs.SqlUDFDefaultArgSupport",
    "hooks.test_model_hooks.BasePrePostModelHooksOnSeeds",
    "hooks.test_model_hooks.BaseHooksRefsOnSeeds",
    "hooks.test_model_hooks.BasePrePostModelHooksOnSeedsPlusPrefixed",
    "hooks.test_model_hooks.BasePrePostModelHooksOnSeedsPlusPrefixedWhitespace",
    "hooks.test_model_hooks.BasePrePostModelHooksOnSnapshots",
    "hooks.test_model_hooks.BasePrePostSnapshotHooksInConfigKwargs",
    "hooks.test_model_hooks.BaseDuplicateHooksInConfigs",
    "hooks.test_run_hooks.BaseAfterRunHooks",
    "incremental.test_incremental_merge_exclude_columns.BaseMergeExcludeColumns",
    "incremental.test_incremental_microbatch.BaseMicrobatch",
    "query_comment.test_query_comment.BaseQueryComments",
    "query_comment.test_query_comment.BaseMacroQueryComments",
    "query_comment.test_query_comment.BaseMacroArgsQueryComments",
    "query_comment.test_query_comment.BaseMacroInvalidQueryComments",
    "query_comment.test_query_comment.BaseNullQueryComments",
    "query_comment.test_query_comment.BaseEmptyQueryComments",
    "relations.test_changing_relation_type.BaseChangeRelationTypeValidator",
    "relations.test_dropping_schema_named.BaseDropSchemaNamed",
    "sample_mode.test_sample_mode.BaseSampleModeTest",
    "simple_copy.test_simple_copy.EmptyModelsArentRunBase",
    "simple_seed.test_seed.BaseSimpleSeedEnabledViaConfig",
    "simple_seed.test_seed.BaseTestEmptySeed",
    "store_test_failures_tests.basic.StoreTestFailuresAsInteractions",
    "store_test_failures_tests.basic.StoreTestFailuresAsProjectLevelOff",
    "store_test_failures_tests.basic.StoreTestFailuresAsProjectLevelView",
    "store_test_failures_tests.basic.StoreTestFailuresAsProjectLevelEphemeral",
    "store_test_failures_tests.basic.StoreTestFailuresAsGeneric",
    "store_test_failures_tests.basic.StoreTestFailuresAsExceptions",
    "store_test_failures_tests.test_store_test_failures.BaseStoreTestFailures",
    "store_test_failures_tests.test_store_test_failures.BaseStoreTestFailuresLimit",
    "unit_testing.test_case_insensitivity.BaseUnitTestCaseInsensivity",
    "unit_testing.test_invalid_input.BaseUnitTestInvalidInput",
    "unit_testing.test_types.BaseUnitTestingVarcharFixtureNoTruncation",
    "utils.data_types.test_type_bigint.BaseTypeBigInt",
    "utils.data_types.test_type_boolean.BaseTypeBoolean",
    "utils.data_types.test_type_string.BaseTypeString",
    "utils.data_types.test_type_timestamp.BaseTypeTimestamp",
    "utils.test_any_value.BaseAnyValue",
    "utils.test_array_append.BaseArrayAppend",
    "utils.test_array_concat.BaseArrayConcat",
    "utils.test_array_construct.BaseArrayConstruct",
    "utils.test_bool_or.BaseBoolOr",
    "utils.test_cast.BaseCast",
    "utils.test_cast_bool_to_text.BaseCastBoolToText",
    "utils.test_concat.BaseConcat",
    "utils.test_current_timestamp.BaseCurrentTimestampAware",
    "utils.test_date.BaseDate",
    "utils.test_date_spine.BaseDateSpine",
    "utils.test_date_trunc.BaseDateTrunc",
    "utils.test_dateadd.BaseDateAdd",
    "utils.test_datediff.BaseDateDiff",
    "utils.test_equals.BaseEquals",
    "utils.test_escape_single_quotes.BaseEscapeSingleQuotesBackslash",
    "utils.test_except.BaseExcept",
    "utils.test_generate_series.BaseGenerateSeries",
    "utils.test_get_powers_of_two.BaseGetPowersOfTwo",
    "utils.test_hash.BaseHash",
    "utils.test_intersect.BaseIntersect",
    "utils.test_last_day.BaseLastDay",
    "utils.test_length.BaseLength",
    "utils.test_null_compare.BaseMixedNullCompare",
    "utils.test_null_compare.BaseNullCompare",
    "utils.test_position.BasePosition",
    "utils.test_replace.BaseReplace",
    "utils.test_right.BaseRight",
    "utils.test_safe_cast.BaseSafeCast",
    "utils.test_source_freshness_custom_info.BaseCalculateFreshnessMethod",
    "utils.test_split_part.BaseSplitPart",
    "utils.test_string_literal.BaseStringLiteral",
    "utils.test_validate_sql.BaseValidateSqlMethod",
]
"""Run as they are, by `test_as_they_are.py`."""

ADAPTED = {
    "test_aliases.py": [
        "aliases.test_aliases.BaseAliases",
        "aliases.test_aliases.BaseAliasErrors",
        "aliases.test_aliases.BaseSameAliasDifferentSchemas",
        "aliases.test_aliases.BaseSameAliasDifferentDatabases",
    ],
    "test_catalog.py": [
        "basic.test_docs_generate.BaseDocsGenerate",
        "basic.test_docs_generate.BaseDocsGenReferences",
        "catalog.relation_types.CatalogRelationTypes",
    ],
    "test_constraints.py": [
        "constraints.test_constraints.BaseTableConstraintsColumnsEqual",
        "constraints.test_constraints.BaseViewConstraintsColumnsEqual",
        "constraints.test_constraints.BaseIncrementalConstraintsColumnsEqual",
        "constraints.test_constraints.BaseConstraintsRollback",
        "constraints.test_constraints.BaseIncrementalConstraintsRollback",
        "constraints.test_constraints.BaseIncrementalForeignKeyConstraint",
    ],
    "test_empty_flag.py": [
        "empty.test_empty.MetadataWithEmptyFlag",
    ],
    "test_ephemeral.py": [
        "ephemeral.test_ephemeral.BaseEphemeralMulti",
        "ephemeral.test_ephemeral.BaseEphemeralNested",
    ],
    "test_grants.py": [
        "grants.test_model_grants.BaseModelGrants",
        "grants.test_incremental_grants.BaseIncrementalGrants",
        "grants.test_seed_grants.BaseSeedGrants",
        "grants.test_snapshot_grants.BaseSnapshotGrants",
        "grants.test_invalid_grants.BaseInvalidGrants",
    ],
    "test_hooks.py": [
        "hooks.test_model_hooks.BasePrePostModelHooks",
        "hooks.test_model_hooks.BaseHookRefs",
        "hooks.test_model_hooks.BasePrePostModelHooksInConfig",
        "hooks.test_model_hooks.BasePrePostModelHooksInConfigWithCount",
        "hooks.test_model_hooks.BasePrePostModelHooksInConfigKwargs",
        "hooks.test_run_hooks.BasePrePostRunHooks",
    ],
    "test_incremental.py": [
        "incremental.test_incremental_on_schema_change.BaseIncrementalOnSchemaChange",
        "incremental.test_incremental_predicates.BaseIncrementalPredicates",
        "incremental.test_incremental_unique_id.BaseIncrementalUniqueKey",
    ],
    "test_persist_docs.py": [
        "persist_docs.test_persist_docs.BasePersistDocs",
        "persist_docs.test_persist_docs.BasePersistDocsColumnMissing",
        "persist_docs.test_persist_docs.BasePersistDocsCommentOnQuotedColumn",
    ],
    "test_seeds.py": [
        "simple_copy.test_simple_copy.SimpleCopyBase",
        "simple_seed.test_seed.BaseBasicSeedTests",
        "simple_seed.test_seed.BaseSeedConfigFullRefreshOff",
        "simple_seed.test_seed.BaseSeedCustomSchema",
        "simple_seed.test_seed.BaseSeedWithUniqueDelimiter",
        "simple_seed.test_seed.BaseSeedWithWrongDelimiter",
        "simple_seed.test_seed.BaseSeedWithEmptyDelimiter",
        "simple_seed.test_seed.BaseSeedParsing",
        "simple_seed.test_seed.BaseSimpleSeedWithBOM",
        "simple_seed.test_seed.BaseSeedSpecificFormats",
        "simple_seed.test_seed_type_override.BaseSimpleSeedColumnOverride",
    ],
    "test_snapshots.py": [
        "simple_snapshot.new_record_check_mode.BaseSnapshotNewRecordCheckMode",
        "simple_snapshot.new_record_dbt_valid_to_current.BaseSnapshotNewRecordDbtValidToCurrent",
        "simple_snapshot.new_record_timestamp_mode.BaseSnapshotNewRecordTimestampMode",
        "simple_snapshot.test_ephemeral_snapshot_hard_deletes.BaseSnapshotEphemeralHardDeletes",
        "simple_snapshot.test_ephemeral_snapshot_hard_deletes.BaseSnapshotNewColumnTimestampStrategy",
        "simple_snapshot.test_ephemeral_snapshot_hard_deletes.BaseSnapshotNewColumnSpecificCheckCols",
        "simple_snapshot.test_ephemeral_snapshot_hard_deletes.BaseSnapshotNewColumnWithDeletes",
        "simple_snapshot.test_snapshot.BaseSimpleSnapshot",
        "simple_snapshot.test_snapshot.BaseSnapshotCheck",
        "simple_snapshot.test_various_configs.BaseSnapshotColumnNames",
        "simple_snapshot.test_various_configs.BaseSnapshotColumnNamesFromDbtProject",
        "simple_snapshot.test_various_configs.BaseSnapshotInvalidColumnNames",
        "simple_snapshot.test_various_configs.BaseSnapshotDbtValidToCurrent",
        "simple_snapshot.test_various_configs.BaseSnapshotMultiUniqueKey",
    ],
    "test_unit_tests.py": [
        "unit_testing.test_quoted_reserved_word_column_names.BaseUnitTestQuotedReservedWordColumnNames",
        "unit_testing.test_types.BaseUnitTestingTypes",
    ],
    "test_utils.py": [
        "utils.data_types.test_type_float.BaseTypeFloat",
        "utils.data_types.test_type_int.BaseTypeInt",
        "utils.data_types.test_type_numeric.BaseTypeNumeric",
        "utils.test_get_intervals_between.BaseGetIntervalsBetween",
        "utils.test_listagg.BaseListagg",
        "utils.test_timestamps.BaseCurrentTimestamps",
    ],
}
"""Run with fixtures in Databricks' SQL or with dbt-databricks' own expected values, by the file that is named."""

_SCAFFOLD = "brings no model: other classes of the package are made from it"
_NO_MATERIALIZED_VIEWS = "Spark has no materialized views"
_NO_COMMAND_API = "Python models need the command API of a cluster or serverless jobs, which the workspace has not"
_NO_JAVASCRIPT = "Databricks has no functions in JavaScript"
_NO_AGGREGATES = "dbt-databricks has no macro for aggregate functions"
_NO_VOLATILITY = "dbt-databricks writes no volatility into CREATE FUNCTION"
_NO_WARNING = "waits for a warning of dbt's own persist_docs; the macro of dbt-databricks gives none"
_ONE_CREATE = "compares the text of one CREATE TABLE of Postgres; dbt-databricks adds constraints by ALTER TABLE"
_ONE_STATEMENT = "sends the model's header and the model in one text; Databricks takes one statement at a time"

LEFT_OUT = {
    "basic.test_get_catalog_for_single_relation.BaseGetCatalogForSingleRelation": (
        "dbt-databricks does not implement get_catalog_for_single_relation"
    ),
    "basic.test_incremental.BaseIncrementalBadStrategy": (
        "waits for dbt's own message; dbt-databricks refuses an unknown strategy with one of its own"
    ),
    "caching.test_caching.BaseCachingTest": _SCAFFOLD,
    "column_types.test_column_types.BasePostgresColumnTypes": (
        "is about the names of Postgres' types; dbt-databricks' Column knows neither `int` nor `string` by them"
    ),
    "constraints.test_constraints.BaseConstraintsColumnsEqual": _SCAFFOLD,
    "constraints.test_constraints.BaseConstraintsRuntimeDdlEnforcement": _ONE_CREATE,
    "constraints.test_constraints.BaseIncrementalConstraintsRuntimeDdlEnforcement": _ONE_CREATE,
    "constraints.test_constraints.BaseModelConstraintsRuntimeEnforcement": _ONE_CREATE,
    "constraints.test_constraints.BaseConstraintQuotedColumn": _ONE_CREATE,
    "constraints.test_constraints.BaseContractSqlHeader": _SCAFFOLD,
    "constraints.test_constraints.BaseTableContractSqlHeader": _ONE_STATEMENT,
    "constraints.test_constraints.BaseIncrementalContractSqlHeader": _ONE_STATEMENT,
    "dbt_clone.test_dbt_clone.BaseCloneSameSourceAndTarget": (
        "waits for a message of dbt's own materialization; dbt-databricks has one of its own, without it"
    ),
    "dbt_show.test_dbt_show.BaseShowDoesNotHandleDoubleLimit": "waits for the text of Postgres' syntax error",
    "empty.test_empty.BaseTestEmptySeedFlag": "dbt 1.11 has no `dbt seed --empty`",
    "functions.test_js_udfs.BasicJSUDF": _NO_JAVASCRIPT,
    "functions.test_js_udfs.JSUDFMultiLineBody": _NO_JAVASCRIPT,
    "functions.test_js_udfs.JSUDFDeterministicVolatility": _NO_JAVASCRIPT,
    "functions.test_js_udfs.JSUDFNonDeterministicVolatility": _NO_JAVASCRIPT,
    "functions.test_js_udfs.JSUDFStableVolatilityWarns": _NO_JAVASCRIPT,
    "functions.test_js_udfs.JSUDFDefaultArgSupport": _NO_JAVASCRIPT,
    "functions.test_js_udfs.BasicJSAggregateUDF": _NO_JAVASCRIPT,
    "functions.test_js_udfs.JSAggregateUDFVolatilityIgnored": _NO_JAVASCRIPT,
    "functions.test_udafs.UDAFBase": _SCAFFOLD,
    "functions.test_udafs.BasicPythonUDAF": _NO_AGGREGATES,
    "functions.test_udafs.BasicSQLUDAF": _NO_AGGREGATES,
    "functions.test_udafs.PythonUDAFDefaultArgSupport": _NO_AGGREGATES,
    "functions.test_udfs.PythonUDFSupported": "Spark has no CREATE FUNCTION with LANGUAGE PYTHON",
    "functions.test_udfs.DeterministicUDF": _NO_VOLATILITY,
    "functions.test_udfs.StableUDF": _NO_VOLATILITY,
    "functions.test_udfs.NonDeterministicUDF": _NO_VOLATILITY,
    "functions.test_udfs.PythonUDFVolatilitySupport": _NO_VOLATILITY,
    "functions.test_udfs.PythonUDFNotSupported": "dbt-databricks supports functions in Python",
    "functions.test_udfs.PythonUDFRuntimeVersionRequired": "dbt-databricks requires no runtime_version",
    "functions.test_udfs.PythonUDFEntryPointRequired": "dbt-databricks requires no entry_point",
    "functions.test_udfs.PythonUDFDefaultArgSupport": (
        "its function is a file that defines one; the body of a function of Databricks is the function's own"
    ),
    "functions.test_udfs.CanFindScalarFunctionRelation": "dbt-databricks lists tables and views, and no functions",
    "functions.test_udfs.PythonUDFWithPackagesSupported": "dbt-databricks writes no packages into CREATE FUNCTION",
    "materialized_view.basic.MaterializedViewBasic": _NO_MATERIALIZED_VIEWS,
    "materialized_view.changes.MaterializedViewChanges": _NO_MATERIALIZED_VIEWS,
    "materialized_view.changes.MaterializedViewChangesApplyMixin": _NO_MATERIALIZED_VIEWS,
    "materialized_view.changes.MaterializedViewChangesContinueMixin": _NO_MATERIALIZED_VIEWS,
    "materialized_view.changes.MaterializedViewChangesFailMixin": _NO_MATERIALIZED_VIEWS,
    "persist_docs.test_persist_docs.BasePersistDocsAllColumnsMissing": _NO_WARNING,
    "persist_docs.test_persist_docs.BasePersistDocsQuotedColumnCaseSensitive": _NO_WARNING,
    "persist_docs.test_persist_docs.BasePersistDocsQuotedDescriptionNotAppliedOnMismatch": _NO_WARNING,
    "python_model.test_python_model.BasePythonModelTests": _NO_COMMAND_API,
    "python_model.test_python_model.BasePythonIncrementalTests": _NO_COMMAND_API,
    "python_model.test_python_model.BasePythonMetaGetTests": _NO_COMMAND_API,
    "python_model.test_python_model.BasePythonEmptyTests": _NO_COMMAND_API,
    "python_model.test_python_model.BasePythonSampleTests": _NO_COMMAND_API,
    "python_model.test_spark.BasePySparkTests": _NO_COMMAND_API,
    "simple_copy.test_copy_uppercase.BaseSimpleCopyUppercase": "brings its own profile, of a Postgres server",
    "simple_seed.test_seed.BaseSeedConfigFullRefreshOn": (
        "a view has to be gone when its seed is dropped; Databricks drops nothing by CASCADE"
    ),
    "utils.base_array_utils.BaseArrayUtils": _SCAFFOLD,
    "utils.base_utils.BaseUtils": _SCAFFOLD,
    "utils.data_types.base_data_type_macro.BaseDataTypeMacro": _SCAFFOLD,
    "utils.test_current_timestamp.BaseCurrentTimestamp": _SCAFFOLD,
    "utils.test_current_timestamp.BaseCurrentTimestampNaive": "a timestamp of Databricks has a zone: the other is run",
    "utils.test_escape_single_quotes.BaseEscapeSingleQuotesQuote": (
        "Databricks escapes a quote by a backslash: the other is run"
    ),
}
"""Not run, with the reason: what Spark or dbt-databricks has not, or what is made for other classes to build on."""


def named(name: str) -> type:
    """The class that a line of the table means."""
    module, _, found = name.rpartition(".")
    return getattr(importlib.import_module(ROOT + module), found)


def classes(names: Iterable[str]) -> dict[str, type]:
    """Test classes that add nothing to the classes of these lines, by their names."""
    bases = [named(name) for name in names]
    return {f"Test{base.__name__}": type(f"Test{base.__name__}", (base,), {}) for base in bases}


def steps_of(found: type) -> set[str]:
    """The names of a class's tests."""
    return {name for name in dir(found) if name.startswith("test_") and callable(getattr(found, name))}


def of_the_package() -> Iterator[str]:
    """Every class of the installed package that has tests and is made to be subclassed."""
    folder = Path(next(iter(dbt.tests.adapter.__path__)))
    for file in sorted(folder.rglob("*.py")):  # most of its folders are no packages to Python: they have no __init__.py
        path = ".".join(file.relative_to(folder).with_suffix("").parts).removesuffix("__init__").removesuffix(".")
        module = importlib.import_module((ROOT + path).removesuffix("."))
        for name, found in vars(module).items():
            if _is_base(module, name, found):
                yield f"{path}.{name}"


def _is_base(module: ModuleType, name: str, found: object) -> bool:
    """Classes called `Test...` are Postgres' own, and each has a base beside it."""
    ours = isinstance(found, type) and found.__module__ == module.__name__
    return ours and not name.startswith("Test") and bool(steps_of(found))
