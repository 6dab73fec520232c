"""`changed_only` with dbt itself: what a release builds and tests, and that production is what a full build makes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from dbx_cd import (
    ArtifactStore,
    Cd,
    CdConfig,
    DbtFailed,
    DeployPlan,
    Release,
    ReleaseLog,
    SmokeReport,
    approve,
    build_release,
    load_suites,
    request_approval,
    run_dbt,
    run_smoke,
)
from dbx_cd.config import WARM_DBT
from dbx_cd.dbt.artifacts import RunResults
from dbx_cd.local.workspace import OWNER, RELEASE_BOT, EmbeddedWorkspace
from dbx_cd.smoke.report import CheckResult
from dbx_cd.warm.parent import WarmParent

TOKEN = "DBT_ENV_SECRET_PARTIAL_TOKEN"
TABLE = "{{ config(materialized='table') }} "
MODELS = {
    "orders": TABLE + "select id, person from {{ source('raw', 'orders') }}",
    "people": TABLE + "select 1 as id union all select 2 as id",
    "paid": "{{ config(materialized='ephemeral') }} select id, person from {{ ref('orders') }} where id > 0",
    "totals": TABLE + "select person, count(*) as orders from {{ ref('paid') }} group by person",
    "shown": "{{ config(materialized='view') }} select * from {{ ref('totals') }}",
    "codes_used": TABLE + "select code from {{ ref('codes') }}",
}
PROPERTIES: dict[str, Any] = {
    "models": [
        {"name": "orders", "columns": [{"name": "id", "data_tests": ["not_null"]}, {"name": "person", "data_tests": [
            {"relationships": {"arguments": {"to": "ref('people')", "field": "id"}}}]}]},
        {"name": "people", "columns": [{"name": "id", "data_tests": ["unique"]}]},
        {"name": "totals", "columns": [{"name": "orders", "data_tests": ["not_null"]}]},
        {"name": "codes_used", "columns": [{"name": "code", "data_tests": ["not_null"]}]},
    ],
}  # fmt: skip
RELATIONSHIP = "relationships_orders_person__id__ref_people_"


@dataclass
class Partial:
    """A project with a source, its store and its log, in schemas of its own."""

    workspace: EmbeddedWorkspace
    folder: Path
    schema: str

    @classmethod
    def create(cls, workspace: EmbeddedWorkspace, folder: Path) -> Partial:
        made = cls(workspace, folder, f"partial_{uuid.uuid4().hex[:8]}")
        (made.project / "models").mkdir(parents=True)
        (made.project / "seeds").mkdir()
        (made.project / "seeds" / "codes.csv").write_text("code\na\nb\n")
        named = {"name": "partial", "version": "1.0", "profile": "partial"}
        tagged = {"+tags": ["deploy"]}
        text = {**named, "models": {"partial": tagged}, "seeds": {"partial": tagged}}
        (made.project / "dbt_project.yml").write_text(yaml.safe_dump(text))
        source = {"name": "raw", "database": "prod", "schema": f"{made.schema}_raw", "tables": [{"name": "orders"}]}
        (made.project / "models" / "all.yml").write_text(yaml.safe_dump({**PROPERTIES, "sources": [source]}))
        made.connect(workspace.profile_connection)
        made.settings("changed_only: true")
        made.models(**MODELS)
        workspace.spark.sql(f"CREATE SCHEMA prod.{made.schema}_raw")
        workspace.spark.sql(f"CREATE TABLE {made.raw} AS SELECT 1 AS id, 1 AS person")
        return made

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def raw(self) -> str:
        return f"prod.{self.schema}_raw.orders"

    def connect(self, connection: dict[str, Any]) -> None:
        given = {"type": "databricks", "threads": 2, **connection, "token": f"{{{{ env_var('{TOKEN}') }}}}"}
        outputs = {
            "stg": {**given, "catalog": "stg", "schema": self.schema},
            "prod": {**given, "catalog": "prod", "schema": self.schema},
            "full": {**given, "catalog": "prod", "schema": f"{self.schema}_full"},
        }
        profile = {"partial": {"target": "stg", "outputs": outputs}}
        (self.project / "profiles.yml").write_text(yaml.safe_dump(profile))

    def settings(self, policies: str) -> None:
        (self.project / "dbx_cd.yml").write_text(f"policies: {{{policies}}}\n")

    def models(self, **texts: str) -> None:
        for name, text in texts.items():
            (self.project / "models" / f"{name}.sql").write_text(text)

    def cd(self, user: str = RELEASE_BOT) -> Cd:
        store = ArtifactStore(self.folder / "artifacts")
        log = ReleaseLog(self.workspace.spark, f"ops.{self.schema}.log", actor=user)
        config = CdConfig.load(self.project, overrides={"artifacts_root": str(self.folder / "artifacts")})
        return Cd(self.workspace.spark, config, store, log, self.workspace.client(user))

    def staged(self, run_id: str) -> Release:
        """A release that was built to staging, smoke-tested and approved."""
        cd = self.cd()
        release = cd.log.open(run_id * 40, run_id=run_id, requester="ci")
        built = build_release(
            cd, release, target="stg", select="tag:deploy", with_parents="all", project_dir=self.project
        ).artifacts
        check = CheckResult(
            name="rows", kind="metric", status="pass", domain="tiny", where="tiny.yml:3", guardrail=True
        )
        passed = SmokeReport(
            target="stg", artifacts=built.timestamp, commit=release.commit, release_id=release.id, tiny=False,
            seconds=0.0, checks=(check,),
        )  # fmt: skip
        cd.log.append(release, passed)
        request = request_approval(cd, release, target="prod")
        if cd.log.state(release).phase == "waiting":
            approve(self.cd(OWNER), request, seal=request.seal, consent=request.consent)
        return release

    def deployed(self, run_id: str) -> Release:
        release = self.staged(run_id)
        build_release(self.cd(), release, target="prod")
        return release

    def done(self, release: Release, target: str) -> set[str]:
        """The names of what dbt did in a target."""
        results: RunResults = self.cd().store.find(target, release.id).run_results()
        return {result.name for result in results.results}

    def rows(self, schema: str) -> dict[str, list[tuple[object, ...]]]:
        names = ("orders", "people", "totals", "shown", "codes", "codes_used")
        found = {name: self.workspace.spark.table(f"prod.{schema}.{name}").collect() for name in names}
        return {name: sorted(tuple(row) for row in rows) for name, rows in found.items()}

    def require_equal_to_a_full_build(self) -> None:
        """Build all of the project by dbt alone into another schema, and compare."""
        run_dbt("build", target="full", select="tag:deploy", project_dir=self.project)
        assert self.rows(self.schema) == self.rows(f"{self.schema}_full")


@pytest.fixture(scope="module")
def partial(workspace: EmbeddedWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Partial]:
    before = dict(os.environ)
    os.environ.update(workspace.endpoint.client_environment())
    os.environ[TOKEN] = str(workspace.client(RELEASE_BOT).config.token)
    with WarmParent("dbx_cd.dbt.warm") as parent:
        os.environ[WARM_DBT] = str(parent.address)
        yield Partial.create(workspace, tmp_path_factory.mktemp("partial"))
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def first(partial: Partial) -> Release:
    return partial.deployed("1")


def test_a_release_builds_what_changed_and_what_is_below_it_with_their_tests(partial: Partial, first: Release) -> None:
    assert {"orders", "people", "totals", "shown", "codes", "codes_used"} <= partial.done(first, "prod")
    partial.models(
        people=TABLE + "select 1 as id union all select 2 as id union all select 3 as id",
        paid=MODELS["paid"].replace("id > 0", "id >= 0"),
    )
    release = partial.deployed("2")
    expected = {"people", "unique_people_id", RELATIONSHIP, "totals", "shown", "not_null_totals_orders"}
    assert partial.done(release, "stg") == expected
    assert partial.done(release, "prod") == expected
    partial.require_equal_to_a_full_build()


@pytest.mark.deep
def test_new_data_and_what_others_wrote_are_built_in_and_a_release_of_nothing_runs_the_contracts(
    partial: Partial, first: Release
) -> None:
    partial.workspace.spark.sql(f"INSERT INTO {partial.raw} VALUES (2, 2), (3, 2)")
    partial.workspace.spark.sql(f"DELETE FROM prod.{partial.schema}.codes_used WHERE code = 'a'")
    partial.workspace.spark.sql(f"OPTIMIZE prod.{partial.schema}.people")
    release = partial.deployed("4")
    assert {"orders", "totals", "shown", "codes_used"} <= partial.done(release, "prod")
    assert not {"people", "codes"} & partial.done(release, "prod")
    assert "codes_used" not in partial.done(release, "stg")
    partial.require_equal_to_a_full_build()
    partial.workspace.spark.sql(f"OPTIMIZE {partial.raw}")
    release = partial.deployed("5")
    tests = {"not_null_orders_id", RELATIONSHIP, "unique_people_id", "not_null_totals_orders"}
    assert partial.done(release, "stg") == partial.done(release, "prod") == {*tests, "not_null_codes_used_code"}
    plan = partial.cd().log.last(release, DeployPlan)
    assert plan is not None
    assert "no relation changes, and 6 stand as they are" in str(plan)


@pytest.mark.deep
def test_smoke_tests_what_stands(partial: Partial, first: Release) -> None:
    (partial.project / "seeds" / "codes.csv").write_text("code\na\nb\nc\n")
    release = partial.deployed("6")
    assert partial.done(release, "prod") == {"codes", "codes_used", "not_null_codes_used_code"}
    partial.require_equal_to_a_full_build()
    artifacts = partial.cd().store.find("prod", release.id)
    report = run_smoke(load_suites(partial.project / "smoke", artifacts), spark=partial.workspace.spark,
                       artifacts=artifacts)  # fmt: skip
    found = {check.name: check.status for check in report.checks}
    assert found == dict.fromkeys(("not_null_orders_id", RELATIONSHIP, "unique_people_id", "not_null_totals_orders",
                                   "not_null_codes_used_code"), "pass")  # fmt: skip


@pytest.mark.deep
def test_code_only_leaves_new_data_alone(partial: Partial, first: Release) -> None:
    partial.settings("changed_only: true, refresh: code_only")
    partial.workspace.spark.sql(f"INSERT INTO {partial.raw} VALUES (4, 1)")
    partial.models(codes_used=MODELS["codes_used"] + " where code <> 'c'")
    release = partial.deployed("7")
    assert partial.done(release, "prod") == {"codes_used", "not_null_codes_used_code"}
    partial.settings("changed_only: true")
    assert "orders" in partial.done(partial.deployed("8"), "prod")
    partial.require_equal_to_a_full_build()


@pytest.mark.deep
def test_what_a_failed_release_has_touched_is_built_again(partial: Partial, first: Release) -> None:
    good = (partial.project / "models" / "people.sql").read_text()
    fails = "{{ \"cast(raise_error('no') as int)\" if target.name == 'prod' else 1 }}"
    partial.models(people=TABLE + "select 1 as id union all select 2 as id -- failed", codes_used=TABLE + "select "
                   f"{fails} as code from {{{{ ref('people') }}}} limit 1")  # fmt: skip
    with pytest.raises(DbtFailed):
        partial.deployed("9")
    partial.models(people=good, codes_used=MODELS["codes_used"] + " where code <> 'c'")
    release = partial.deployed("a")
    assert {"people", "codes_used"} <= partial.done(release, "prod")
    assert not {"orders", "totals", "codes"} & partial.done(release, "prod")
    partial.require_equal_to_a_full_build()
