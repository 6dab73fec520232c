"""Staging never builds what production has: asked before dbt's first statement."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dbx_cd import ArtifactError, ConfigError, DbtFailed, DbtOutcome, Release, build_release, volume
from dbx_cd.plan.apart import taken_by_gated
from dbx_cd.relations import RelationName
from dbx_cd.volume import Unreachable
from memory.dbt import PROJECT
from memory.releases import Releases

PROD_ORDERS = RelationName("prod", "shop", "orders")


@pytest.fixture
def releases(tmp_path: Path) -> Releases:
    return Releases(tmp_path)


def refused(releases: Releases, *, run_id: str = "2", cmd: str = "build") -> str:
    """Why the staging build of a new release is refused; nothing of it has happened."""
    cd = releases.cd()
    before = releases.tables.rows(PROD_ORDERS) if PROD_ORDERS.key in releases.tables.relations else None
    versions = [version.timestamp for version in cd.store.list("stg")]
    built = sum(call[0] in ("build", "run") for call in releases.dbt.calls)
    release = releases.open(run_id, commit="b" * 40)
    with pytest.raises(ConfigError) as why:
        build_release(cd, release, target="stg", select="tag:deploy", cmd=cmd, project_dir=releases.project)
    assert sum(call[0] in ("build", "run") for call in releases.dbt.calls) == built
    assert (releases.tables.rows(PROD_ORDERS) if before else None) == before
    assert [version.timestamp for version in cd.store.list("stg")] == versions
    assert [e.kind for e in cd.log.events(release.id)] == ["opened", "built"]
    assert cd.log.state(release).phase == "failed"
    return str(why.value)


def built(releases: Releases) -> Release:
    """Another staging build, which is not refused."""
    release = releases.open("2", commit="b" * 40)
    releases.build(release)
    return release


def named(releases: Releases, name: Callable[[str, str], str]) -> None:
    releases.dbt.named = lambda target, model: RelationName.parse(name(target, model))


def altered(releases: Releases, *, nodes: dict[str, Any] | None = None, sources: dict[str, Any] | None = None) -> None:
    """More nodes and sources in every manifest from now on."""

    def alter(manifest: dict[str, Any]) -> None:
        manifest["nodes"].update(nodes or {})
        manifest["sources"] = sources or {}

    releases.dbt.alter_manifest = alter


def node(kind: str, name: str, relation: str | None = None, **more: Any) -> dict[str, Any]:
    catalog, schema, identifier = relation.split(".") if relation else ("", "", name)
    unique_id = f"{kind}.{PROJECT}.{name}"
    found = {"unique_id": unique_id, "name": name, "resource_type": kind, "config": {}, "depends_on": {"nodes": []}}
    where = {"database": catalog, "schema": schema, "alias": identifier, "relation_name": relation}
    return {unique_id: {**found, **where, **more}}


def test_a_macro_that_forgets_the_target_cannot_make_staging_write_production(releases: Releases) -> None:
    releases.deployed()
    named(releases, lambda _target, model: f"Prod.shop.{model}")
    message = refused(releases)
    assert "model orders as Prod.shop.orders, which is prod's model orders" in message
    assert "generate_schema_name" in message
    assert "profiles.yml" in message


def test_a_profile_with_production_s_catalog_is_refused_for_a_schema_too(releases: Releases) -> None:
    releases.deployed()
    releases.model("quite_new")
    named(releases, lambda _t, model: f"prod.shop.{model}" if model == "quite_new" else f"stg.shop.{model}")
    assert "model quite_new as prod.shop.quite_new, in a schema that prod lives in" in refused(releases)


def test_targets_that_share_a_schema_and_differ_by_alias_are_built(releases: Releases) -> None:
    named(releases, lambda target, model: f"main.shop.{target}_{model}")
    releases.deployed()
    releases.model("payments")
    built(releases)


def test_a_new_open_target_may_share_the_schema_that_another_open_one_shares(releases: Releases) -> None:
    named(releases, lambda target, model: f"main.shop.{target}_{model}")
    releases.settings = "targets: {stg: {}, dev: {}, prod: {defer_to: stg, gate: approval}}"
    releases.deployed()
    release = releases.open("2", commit="b" * 40)
    assert build_release(releases.cd(), release, target="dev", select="tag:deploy", project_dir=releases.project).ok


def test_a_new_open_target_may_not_write_what_production_has_in_a_shared_schema(releases: Releases) -> None:
    releases.settings = "targets: {stg: {}, dev: {}, prod: {defer_to: stg, gate: approval}}"
    named(releases, lambda target, model: f"main.shop.{'prod' if target == 'dev' else target}_{model}")
    releases.deployed()
    release = releases.open("2", commit="b" * 40)
    with pytest.raises(ConfigError, match=r"as main\.shop\.prod_orders, which is prod's model orders"):
        build_release(releases.cd(), release, target="dev", select="tag:deploy", project_dir=releases.project)


def test_the_schema_of_another_gated_target_is_no_shared_one(releases: Releases) -> None:
    gated = "{defer_to: stg, gate: approval}"
    releases.settings = f"targets: {{stg: {{}}, dev: {{}}, prod: {gated}, eu: {gated}}}"
    named(releases, lambda target, model: f"main.{'prod' if target == 'dev' else target}.{target}_{model}")
    releases.deployed()
    release = releases.open("2", commit="b" * 40)
    with pytest.raises(ConfigError, match="in a schema that prod lives in"):
        build_release(releases.cd(), release, target="dev", select="tag:deploy", project_dir=releases.project)


def test_what_production_is_to_be_called_is_asked_of_dbt_where_it_was_never_built(releases: Releases) -> None:
    named(releases, lambda _target, model: f"main.shop.{model}")
    assert "model orders as main.shop.orders, which is prod's model orders" in refused(releases)


def without_production_s_profile(releases: Releases) -> None:
    """From now on dbt cannot say what anything is called in production."""

    class NoProfile(type(releases.dbt)):  # type: ignore[misc]
        def __call__(self, args: list[str]) -> Any:
            if "prod" in args:
                raise DbtFailed("the profile does not have a target named 'prod'")
            return super().__call__(args)

    releases.dbt = NoProfile(releases.tables)


def test_where_dbt_cannot_say_what_production_is_called_staging_is_not_built(releases: Releases) -> None:
    without_production_s_profile(releases)
    said = refused(releases)
    assert "prod has no build that can be read, and dbt cannot say" in said
    assert "does not have a target named 'prod'" in said


def test_where_production_s_artifacts_cannot_be_read_dbt_is_asked_and_without_it_nothing_is_known(
    releases: Releases, caplog: pytest.LogCaptureFixture
) -> None:
    releases.deployed()
    releases.cd().store.latest("prod").file("manifest.json").write_text("[")
    with pytest.raises(ArtifactError):
        taken_by_gated(releases.cd())
    named(releases, lambda _target, model: f"prod.shop.{model}")
    assert "model orders as prod.shop.orders, which is prod's model orders" in refused(releases)
    assert "not all that prod holds is known by its artifacts" in caplog.text


def damage_newest(releases: Releases, name: str, content: str) -> None:
    """Of a production build that fails after the first one has been deployed."""
    releases.deployed()
    failed = releases.approved("9", commit="9" * 40)
    releases.dbt.hook_error = "Database Error in operation tiny-on-run-end-0 (./dbt_project.yml)"
    with pytest.raises(DbtFailed):
        build_release(releases.cd(), failed, target="prod", select="tag:deploy")
    releases.dbt.hook_error = None
    (releases.cd().store.list("prod")[-1].path / name).write_text(content)


@pytest.mark.parametrize(
    ("name", "content"),
    [("manifest.json", '{"metadata": {"a"'), ("artifacts.json", "{"), ("artifacts.json", '{"format": 99}')],
)
def test_a_damaged_build_of_production_takes_nothing_away_from_what_the_one_in_place_names(
    releases: Releases, name: str, content: str
) -> None:
    """A build that was killed may have left half a manifest, and a commit may call production's things otherwise."""
    damage_newest(releases, name, content)
    named(releases, lambda target, model: f"prod.shop.{model}{'' if target == 'stg' else '_new'}")
    assert "model orders as prod.shop.orders, which is prod's model orders" in refused(releases)


def test_a_damaged_build_of_production_may_have_made_what_this_commit_calls_so(releases: Releases) -> None:
    damage_newest(releases, "manifest.json", "{")
    named(releases, lambda _target, model: f"main.shop.{model}")
    assert "model orders as main.shop.orders, which is prod's model orders" in refused(releases)


def test_where_the_one_in_place_is_damaged_an_earlier_build_of_production_counts(releases: Releases) -> None:
    releases.deployed("1")
    releases.deployed("8", commit="8" * 40)
    (releases.cd().store.latest("prod").path / "manifest.json").write_text("{")
    named(releases, lambda target, model: f"prod.shop.{model}{'' if target == 'stg' else '_new'}")
    assert "model orders as prod.shop.orders, which is prod's model orders" in refused(releases)


def test_an_old_build_of_production_that_cannot_be_read_says_nothing_of_what_is_there_now(
    releases: Releases, caplog: pytest.LogCaptureFixture
) -> None:
    releases.deployed("1")
    (releases.cd().store.latest("prod").path / "artifacts.json").write_text('{"format": 99}')
    releases.deployed("8", commit="8" * 40)
    caplog.clear()
    assert PROD_ORDERS.key in taken_by_gated(releases.cd()).nodes
    calls = len(releases.dbt.calls)
    built(releases)
    assert not any("prod" in call for call in releases.dbt.calls[calls:])
    assert "not all that prod holds" not in caplog.text


def test_where_no_build_of_production_can_be_read_its_restore_points_count(releases: Releases) -> None:
    release = releases.deployed()
    (releases.cd().store.latest("prod").path / "artifacts.json").write_text('{"format": 99}')
    named(releases, lambda target, model: f"prod.shop.{model}{'' if target == 'stg' else '_new'}")
    assert f"model orders as prod.shop.orders, which is in the restore point of {release.id}" in refused(releases)


def test_a_damaged_build_of_production_stops_no_staging_that_keeps_apart_where_dbt_cannot_say_more(
    releases: Releases,
) -> None:
    damage_newest(releases, "manifest.json", "{")
    without_production_s_profile(releases)
    built(releases)


@pytest.mark.parametrize("name", ["manifest.json", "artifacts.json", "latest.json"])
def test_what_production_holds_is_not_guessed_while_its_artifacts_cannot_be_read(
    releases: Releases, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    releases.deployed()
    read = volume.read

    def away(path: Path, **more: Any) -> bytes:
        if path.name == name and "prod" in path.parts:
            raise Unreachable(f"{name} cannot be read: Input/output error")
        return read(path, **more)

    monkeypatch.setattr(volume, "read", away)
    release = releases.open("2", commit="b" * 40)
    with pytest.raises(Unreachable):
        releases.build(release)
    assert not any(call[0] == "build" and "stg" in call for call in releases.dbt.calls[-2:])


def test_production_s_sources_are_not_written_by_staging(releases: Releases) -> None:
    altered(releases, sources=node("source", "events", "raw.landing.events"))
    releases.deployed()
    releases.model("events")
    named(releases, lambda target, model: "raw.landing.events" if model == "events" else f"{target}.shop.{model}")
    assert "model events as raw.landing.events, which is prod's source events" in refused(releases)


def test_a_table_of_a_model_that_production_no_longer_has_is_not_written(releases: Releases) -> None:
    named(releases, lambda target, model: f"{target}.{model}.{model}")
    releases.model("payments")
    releases.deployed("0")
    (releases.project / "models" / "payments.sql").unlink()
    releases.deployed("1", commit="c" * 40)
    releases.model("pay")
    named(releases, lambda t, model: "prod.payments.payments" if model == "pay" else f"{t}.{model}.{model}")
    assert "model pay as prod.payments.payments, which is in" in refused(releases)


def test_the_build_in_place_counts_beside_the_newest(releases: Releases) -> None:
    named(releases, lambda target, model: f"{target}.one.{model}")
    releases.deployed("0")
    named(releases, lambda target, model: f"{target}.two.{model}")
    releases.model("payments", "fails in prod")
    bad = releases.approved("1", commit="c" * 40)
    with pytest.raises(DbtFailed):
        build_release(releases.cd(), bad, target="prod")
    (releases.project / "models" / "payments.sql").unlink()
    releases.model("fresh")
    for schema in ("one", "two"):
        named(releases, lambda t, m, s=schema: f"prod.{s}.{m}" if m == "fresh" else f"{t}.two.{m}")  # type: ignore[misc]
        assert f"model fresh as prod.{schema}.fresh, in a schema that prod lives in" in refused(releases, run_id=schema)


def test_a_test_that_stores_its_failures_in_production_is_refused(releases: Releases) -> None:
    releases.deployed()
    test = node("test", "not_null_orders", "prod.shop.not_null_orders")
    altered(releases, nodes=test)
    dbt = releases.dbt

    class Lists(type(dbt)):  # type: ignore[misc]
        def __call__(self, args: list[str]) -> Any:
            outcome = super().__call__(args)
            return type(outcome)(outcome.success, listed=(*outcome.listed, *test)) if args[0] == "ls" else outcome

    releases.dbt = Lists(releases.tables)
    releases.dbt.alter_manifest = dbt.alter_manifest
    assert "test not_null_orders as prod.shop.not_null_orders, in a schema" in refused(releases)
    release = releases.open("3", commit="d" * 40)
    build_release(releases.cd(), release, target="stg", cmd="run", project_dir=releases.project)  # runs no test


HOOKS = [
    ("insert into `prod` . shop.`Orders` select 1", "prod.shop.orders"),
    ("drop table if exists prod.shop.old_orders", "prod.shop"),
    ("grant usage on schema PROD.SHOP to somebody", "prod.shop"),
    ("{% if target.name == 'stg' %} delete from prod.shop.orders {% endif %}", "prod.shop.orders"),
]


@pytest.mark.parametrize(
    "hook",
    [
        "{% if target.name == 'prod' %}grant select on schema prod.shop to readers{% endif %}",
        "grant select on table {{ this }} to readers -- as in prod.shop.orders",
        "select count(*) from prod.shop.orders",
    ],
    ids=["in production alone", "a comment", "a query"],
)
def test_a_hook_that_writes_nothing_of_production_here_is_none_of_its_business(releases: Releases, hook: str) -> None:
    releases.deployed()
    altered(releases, nodes=node("operation", "tiny-on-run-start-0", raw_code=hook))
    built(releases)


@pytest.mark.parametrize(("hook", "name"), HOOKS)
def test_a_hook_that_names_what_production_has_is_refused(releases: Releases, hook: str, name: str) -> None:
    releases.deployed()
    altered(releases, nodes=node("operation", "tiny-on-run-start-0", raw_code=hook))
    assert f"hook tiny-on-run-start-0 names {name}, which is" in refused(releases)


def test_a_model_s_own_hook_counts_as_well(releases: Releases) -> None:
    releases.deployed()

    def alter(manifest: dict[str, Any]) -> None:
        hook = {"sql": "delete from prod.shop.orders", "transaction": True, "index": None}
        manifest["nodes"][f"model.{PROJECT}.orders"]["config"]["post-hook"] = [hook]

    releases.dbt.alter_manifest = alter
    assert "post-hook of orders names prod.shop.orders, which is prod's model orders" in refused(releases)


def test_a_hook_may_not_be_excused_by_a_model_of_that_name_that_nobody_builds(releases: Releases) -> None:
    releases.deployed()
    hook = node("operation", "h", raw_code="delete from prod.shop.orders")
    altered(releases, nodes={**hook, **node("model", "excuse", "prod.shop.orders")})
    assert "hook h names prod.shop.orders" in refused(releases)


def test_hooks_may_name_what_staging_has_and_sources_that_both_read(releases: Releases) -> None:
    hooks = "insert into stg.shop.audit select * from raw.landing.events; grant select on {{ target.schema }}.x to y"
    altered(
        releases, nodes=node("operation", "h", raw_code=hooks), sources=node("source", "events", "raw.landing.events")
    )
    releases.deployed()
    built(releases)


def test_a_project_that_dbt_cannot_parse_fails_as_it_did_and_is_published_for_audit(releases: Releases) -> None:
    class Broken(type(releases.dbt)):  # type: ignore[misc]
        def __call__(self, args: list[str]) -> Any:
            self.calls.append(args)
            return DbtOutcome(False, errors=("Compilation Error in model orders",))

    releases.dbt = Broken(releases.tables)
    release = releases.open()
    with pytest.raises(DbtFailed, match="Compilation Error"):
        releases.build(release)
    assert {call[0] for call in releases.dbt.calls} == {"ls"}
    assert [e.kind for e in releases.cd().log.events(release.id)] == ["opened", "built"]
