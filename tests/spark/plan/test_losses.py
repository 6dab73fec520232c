"""What the plan says a build would take is what it takes: dbt builds two versions of a project, and between them a
prediction is made. Of every kind of loss, what was predicted is compared with what is gone."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import yaml
from emulated_statements import Run, runner
from pyspark.sql import SparkSession

from dbx_cd import run_dbt
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.run import DbtRun
from dbx_cd.dbt.warm_parent import warm_dbt
from dbx_cd.delta.spark_tables import SparkTables
from dbx_cd.delta.tables import CatalogEntry, CatalogSettings
from dbx_cd.local.emulation import emulate
from dbx_cd.local.workspace import EmbeddedWorkspace
from dbx_cd.plan.comparison import Comparison
from dbx_cd.plan.loss import Loss
from dbx_cd.plan.losses import losses_of
from dbx_cd.plan.orphans import orphans_of
from dbx_cd.relations import RelationName
from dbx_cd.sql_endpoint import SqlEndpoint
from dbx_cd.sql_endpoint.profile import connection_block
from recorded_dbt import PROJECTS

NOT_BUILT = "child"
BY_HAND = (
    "grant select on table {table} to `ben@example.org`",
    "alter table {table} set tags ('pii' = 'yes')",
    "alter table {table} alter column {column} set tags ('kind' = 'own')",
)
KEYS_BY_HAND = (
    "alter table {schema}.marked alter column id set not null",
    "alter table {schema}.marked add constraint by_hand primary key (id)",
    "alter table {schema}.checked add constraint by_hand_too primary key (id)",
)

pytestmark = pytest.mark.deep
"""Two builds of a project in an embedded workspace, by dbt: minutes. What is decided has unit tests."""
REFUSED = {"enlarged", "merged", "resized", "strict"}


@dataclass(frozen=True)
class Facts:
    """What there is in a catalog, by the relations' own names."""

    entries: Mapping[str, CatalogEntry]
    settings: Mapping[str, CatalogSettings]
    histories: Mapping[str, tuple[tuple[int, str], ...]]
    rows: Mapping[str, list[dict[str, object]]]

    def by_key(self, catalog: str, schema: str) -> dict[str, CatalogEntry]:
        return {f"{catalog}.{schema}.{name}": entry for name, entry in self.entries.items()}


@dataclass
class Project:
    """The project `lossy`, built by dbt itself into a schema of its own."""

    workspace: EmbeddedWorkspace
    folder: Path
    schema: str
    parent: Path | None

    def connect(self, connection: Mapping[str, Any]) -> None:
        """Write the profile, with a connection."""
        outputs = {
            target: {"type": "databricks", "catalog": target, "schema": self.schema, "threads": 4, **connection}
            for target in ("stg", "prod")
        }
        (self.folder / "profiles.yml").write_text(yaml.safe_dump({"recorded": {"target": "stg", "outputs": outputs}}))

    def dbt(
        self, command: str, target: str, release: str, *, select: str | None = None, exclude: str | None = None
    ) -> tuple[DbtRun, Manifest]:
        """Run dbt, which may fail; what it did, and its manifest."""
        work = self.folder / f"{command}_{target}_{release}"
        done = run_dbt(
            command, target=target, select=select, exclude=exclude, vars={"release": release},
            project_dir=PROJECTS / "lossy", profiles_dir=self.folder, work_dir=work, warm_parent=self.parent,
            check=False,
        )  # fmt: skip
        return done, Manifest.load(done.files_dir / "manifest.json")

    def facts(self, catalog: str, manifest: Manifest) -> Facts:
        names = sorted(node.relation.identifier for node in manifest.relations.values() if node.relation)
        tables = SparkTables.of(self.workspace.spark)
        relations = [RelationName(catalog, self.schema, name) for name in names]
        entries, settings = tables.entries(relations), tables.settings(relations)
        there = [r for r in relations if entries[r.key].kind != "missing"]
        delta = [r for r in there if entries[r.key].kind == "table"]
        spark = self.workspace.spark
        return Facts(
            {r.identifier: entries[r.key] for r in relations},
            {r.identifier: settings[r.key] for r in relations},
            {
                r.identifier: tuple(
                    (row.version, str(row.timestamp)) for row in spark.sql(f"DESCRIBE HISTORY {r.quoted}").collect()
                )
                for r in delta
            },
            {r.identifier: [row.asDict() for row in spark.table(r.quoted).collect()] for r in there},
        )


@dataclass(frozen=True)
class Observed:
    """What was predicted between two builds, and what there was before and after the second."""

    losses: tuple[Loss, ...]
    orphans: tuple[Loss, ...]
    again: tuple[Loss, ...]
    before: Facts
    after: Facts
    second: DbtRun

    def predicted(self, *kinds: str) -> dict[str, str]:
        """The details of the losses of these kinds, by their names without the schema."""
        return {".".join(loss.name.split(".")[2:]): loss.detail for loss in self.losses if loss.kind in kinds}

    @property
    def built(self) -> set[str]:
        """The relations that there were and still are, and whose build was not refused."""
        return {name for name, entry in self.after.entries.items() if entry.kind != "missing"} - REFUSED


@pytest.fixture(scope="module")
def project(workspace: EmbeddedWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder, schema = tmp_path_factory.mktemp("lossy"), f"lossy_{uuid.uuid4().hex[:8]}"
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in workspace.endpoint.client_environment().items():
            patch.setenv(variable, value)
        with warm_dbt() as parent:
            made = Project(workspace, folder, schema, parent)
            made.connect(workspace.profile_connection)
            yield made
    _drop(made)


@pytest.fixture(scope="module")
def observed(project: Project) -> Observed:
    done, first = project.dbt("build", "prod", "first")
    assert done.ok, done.errors
    staged_run, staged = project.dbt("build", "stg", "second")
    assert staged_run.ok, staged_run.errors
    _change_by_hand(runner(project.workspace.spark), project, first)
    before, made = project.facts("prod", first), project.facts("stg", staged)
    _, manifest = project.dbt("parse", "prod", "second")

    def comparison(facts: Facts, before: Manifest) -> Comparison:
        return Comparison(
            manifest,
            [node.unique_id for node in manifest.nodes.values() if node.name != NOT_BUILT],
            facts.by_key("prod", project.schema),
            {f"prod.{project.schema}.{name}": settings for name, settings in facts.settings.items()},
            before=before,
            staged_manifest=staged,
            staged=made.by_key("stg", project.schema),
        )

    losses = losses_of(comparison(before, first))
    there = before.by_key("prod", project.schema)
    orphans = orphans_of(manifest, earlier=[first], built=first.relations.keys(), there=there, policy="tell")
    second, _ = project.dbt("build", "prod", "second", exclude=NOT_BUILT)
    after = project.facts("prod", first)
    return Observed(losses, orphans, losses_of(comparison(after, manifest)), before, after, second)


def _drop(project: Project) -> None:
    for catalog in ("stg", "prod"):
        project.workspace.spark.sql(f"DROP SCHEMA IF EXISTS {catalog}.{project.schema} CASCADE")


def _change_by_hand(run: Run, project: Project, manifest: Manifest) -> None:
    columns = {"narrowed": "amount", "overwritten": "day"}
    for name in (node.relation.identifier for node in manifest.relations.values() if node.relation):
        for statement in BY_HAND:
            run(statement.format(table=f"prod.{project.schema}.{name}", column=columns.get(name, "id")))
    run(f"alter table prod.{project.schema}.dropped alter column discount set tags ('kind' = 'own')")
    for statement in KEYS_BY_HAND:
        run(statement.format(schema=f"prod.{project.schema}"))


def gone(before: object, after: object) -> set[str]:
    """What is in one set of settings and not in another."""
    return {str(item) for item in before or ()} - {str(item) for item in after or ()}  # type: ignore[attr-defined]


def listed(detail: str) -> set[str]:
    """What a detail such as `SELECT to ben, MODIFY to ben: dropped` names."""
    return set(detail.split(": ")[0].split(", "))


def test_builds_fail_where_it_was_predicted_and_nowhere_else(observed: Observed) -> None:
    failed = {node.name for node in observed.second.nodes if node.failed}
    assert {name.partition(":")[0] for name in observed.predicted("build_refused")} == failed == REFUSED
    for name in REFUSED:
        assert observed.after.rows[name] == observed.before.rows[name]


def test_histories_are_gone_where_tables_are_dropped_and_nowhere_else(observed: Observed) -> None:
    dropped = {
        name
        for name, history in observed.before.histories.items()
        if not set(history) <= set(observed.after.histories.get(name, ()))
    }
    predicted = observed.predicted("table_replaced", "format_changed")
    assert {name.partition(":")[0] for name in predicted} == dropped == {"flattened", "reformatted"}


def test_columns_are_gone_where_it_was_predicted_and_nowhere_else(observed: Observed) -> None:
    lost = {
        f"{name}: column {column.name}"
        for name, entry in observed.before.entries.items()
        for column in entry.columns
        if column.name not in {after.name for after in observed.after.entries[name].columns}
    }
    assert set(observed.predicted("column_dropped")) == lost
    assert {name.partition(":")[0] for name in lost} == {"dropped", "promised_less", "sites", "synced"}


def test_types_are_others_where_it_was_predicted_and_nowhere_else(observed: Observed) -> None:
    changed = {
        f"{name}: column {column.name}"
        for name, entry in observed.before.entries.items()
        for column in entry.columns
        for after in observed.after.entries[name].columns
        if after.name == column.name and after.type != column.type
    }
    assert changed - {"narrowed: column code"} == set(observed.predicted("column_narrowed", "column_retyped"))
    assert set(observed.predicted("column_narrowed")) == {"narrowed: column amount", "narrowed: column price"}


def test_columns_that_are_not_filled_any_more_are_null_in_new_rows(observed: Observed) -> None:
    unfilled = {
        f"{name}: column {column.name}"
        for name in observed.built
        for column in observed.after.entries[name].columns
        if any(row[column.name] is None and row not in observed.before.rows[name] for row in observed.after.rows[name])
    }
    assert set(observed.predicted("column_unfilled")) == {name for name in unfilled if "dbt_valid_to" not in name}
    assert len(observed.predicted("column_unfilled")) == 3


def test_columns_that_move_keep_their_values(observed: Observed) -> None:
    assert [loss.destructive for loss in observed.losses if loss.kind == "column_moved"] == [False, False]
    assert observed.after.rows["overwritten"] == [{"a": "left", "b": "right", "day": 1}]


@pytest.mark.parametrize(("runtime", "values"), [((11, 3), ("right", "left")), ((15, 4), ("left", "right"))])
def test_columns_that_move_get_values_of_others_where_an_old_cluster_inserts_by_position(
    workspace: EmbeddedWorkspace, tmp_path: Path, runtime: tuple[int, int], values: tuple[str, str]
) -> None:
    version = pa.table({"key": ["version"], "value": [f"{runtime[0]}.{runtime[1]}.x-scala2.12"]})

    def answer(session: SparkSession, statement: str) -> str | pa.Table:
        return version if "clusterUsageTags.sparkVersion" in statement else emulate(session, statement)

    project = Project(workspace, tmp_path, f"lossy_{uuid.uuid4().hex[:8]}", None)
    with (
        SqlEndpoint(workspace.spark, rewrite=answer, http_path="/sql/protocolv1/o/0/old") as endpoint,
        pytest.MonkeyPatch.context() as patch,
    ):
        for variable, value in endpoint.client_environment().items():
            patch.setenv(variable, value)
        project.connect(connection_block(endpoint))
        before = project.dbt("build", "prod", "first", select="overwritten")[1]
        staged = project.dbt("build", "stg", "second", select="overwritten")[1]
        there, made = project.facts("prod", before), project.facts("stg", staged)
        done, manifest = project.dbt("build", "prod", "second", select="overwritten")
    found = losses_of(
        Comparison(
            manifest,
            ["model.lossy.overwritten"],
            there.by_key("prod", project.schema),
            before=before,
            staged_manifest=staged,
            staged=made.by_key("stg", project.schema),
            runtime=runtime,
        )
    )
    assert done.ok, done.errors
    (row,) = project.facts("prod", manifest).rows["overwritten"]
    _drop(project)
    assert (row["a"], row["b"]) == values
    assert {one.kind for one in found} == {"column_moved"}
    assert {one.destructive for one in found} == {values == ("right", "left")}


def test_rows_are_gone_where_a_full_refresh_was_predicted_and_nowhere_else(observed: Observed) -> None:
    incremental = {"appended", "checked", "child", "ignored", "refreshed", "synced", *REFUSED}
    without = {
        name
        for name in incremental
        if {row["id"] for row in observed.before.rows[name]} - {row["id"] for row in observed.after.rows[name]}
    }
    assert {name.partition(":")[0] for name in observed.predicted("full_refresh")} == without == {"refreshed"}


@pytest.mark.parametrize(
    ("kind", "setting", "lost_by"),
    [
        ("keys_dropped", "keys", {"marked", "checked", "promised", "child"}),
        ("grants_dropped", "grants", {"flattened", "granted", "reformatted", "seen", "stored", "summary"}),
        ("tags_dropped", "tags", {"flattened", "reformatted", "stored"}),
    ],
)
def test_settings_are_gone_where_it_was_predicted_and_nowhere_else(
    observed: Observed, kind: str, setting: str, lost_by: set[str]
) -> None:
    lost = {
        name: gone(getattr(settings, setting), getattr(observed.after.settings[name], setting))
        for name, settings in observed.before.settings.items()
    }
    predicted = {name.partition(":")[0]: listed(detail) for name, detail in observed.predicted(kind).items()}
    if setting == "tags":
        predicted = {
            name: {tag.partition(" = ")[0] for tag in tags if "column" not in tag} for name, tags in predicted.items()
        }
    assert predicted == {name: items for name, items in lost.items() if items}
    assert set(predicted) == lost_by


def test_tags_of_columns_go_with_the_column_or_with_the_relation(observed: Observed) -> None:
    lost = {
        name
        for name, settings in observed.before.settings.items()
        if gone(settings.column_tags, observed.after.settings[name].column_tags)
    }
    with_columns = {name for name, detail in observed.predicted("column_dropped").items() if "with its tags" in detail}
    assert with_columns == {"dropped: column discount"}
    assert lost == {"dropped", *(name.partition(":")[0] for name in observed.predicted("tags_dropped"))}


def test_contracts_that_are_gone_hold_nobody_to_anything(observed: Observed) -> None:
    assert set(observed.predicted("contract_removed")) == {"promised: contract"}
    assert set(observed.predicted("contract_narrowed")) == {
        "promised_less: constraint not null on id",
        "promised_less: constraint check positive",
    }
    for name in ("promised", "promised_less"):
        assert not observed.before.entries[name].columns[0].nullable
        assert observed.after.entries[name].columns[0].nullable


def test_what_no_node_makes_any_more_is_still_there(observed: Observed) -> None:
    assert [loss.name.split(".")[2] for loss in observed.orphans] == ["abandoned: orphan"]
    assert observed.after.histories["abandoned"] == observed.before.histories["abandoned"]


def test_the_same_release_once_more_takes_nothing(observed: Observed) -> None:
    assert [str(loss) for loss in observed.again if loss.destructive] == []
    assert {loss.kind for loss in observed.again} == {
        "build_refused",
        "column_unfilled",
        "column_moved",
        "full_refresh",
    }
