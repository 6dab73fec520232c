"""Where refs resolve that leave a selection: as the plan says, as dbt compiles, and as what is built really reads.

Real dbt and real tables: parents of every kind, each in staging, in production, in both or nowhere, and readers of
every kind, under each policy. `EXPECTED` is written by hand.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from deferral_project import NAME, NOWHERE, READ, RULES, SOMEWHERE, Parent
from deferral_scene import TOKEN, Deferral, Deployed

from dbx_cd import (
    ConfigError,
    DeployRefused,
    Selection,
    build_release,
    plan_deploy,
    request_approval,
    run_dbt,
)
from dbx_cd.artifacts import archive
from dbx_cd.config import WARM_DBT
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.local.workspace import RELEASE_BOT, EmbeddedWorkspace
from dbx_cd.warm.parent import WarmParent

EXPECTED = {
    ("read_staging", "both"): "stg",
    ("read_staging", "staging"): "stg",
    ("read_staging", "production"): "prod",
    ("read_existing", "both"): "prod",
    ("read_existing", "staging"): "stg",
    ("read_existing", "production"): "prod",
    ("build_in_prod", "both"): "prod",
    ("build_in_prod", "staging"): "built",
    ("build_in_prod", "production"): "prod",
}
TOGETHER = READ["table"]
OF_RULES = [RULES[0], *(pytest.param(rule, marks=pytest.mark.deep) for rule in RULES[1:])]
"""The mission's own rule is tested each time; the others, each a production build more, by `make test-deep`."""
HEAVY_READERS = "read_existing_table read_existing_view"
LATER = " ".join(f"tag:{rule}" for rule in RULES)
MADE = {"stg": "stg", "prod": "before", "built": "prod"}


@pytest.fixture(scope="module")
def scene(workspace: EmbeddedWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deferral]:
    """The project after a staging build of all parents, with each parent where it is said to be."""
    before = dict(os.environ)
    os.environ.update(workspace.endpoint.client_environment())
    os.environ[TOKEN] = str(workspace.client(RELEASE_BOT).config.token)
    with WarmParent("dbx_cd.dbt.warm") as parent:
        os.environ[WARM_DBT] = str(parent.address)
        scene = Deferral.create(workspace, tmp_path_factory.mktemp("deferral"))
        cd = scene.cd()
        first = cd.log.open("1" * 40, run_id="1", requester="ci")
        build_release(cd, first, target="stg", select="tag:parent", exclude=LATER, project_dir=scene.project)
        scene.run(f"CREATE SCHEMA IF NOT EXISTS prod.{scene.schema}")
        for part in ("aside", "vendored"):
            scene.run(f"CREATE SCHEMA IF NOT EXISTS prod.{scene.schema}_{part}")
        for one in SOMEWHERE:
            scene.make(one)
        yield scene
    os.environ.clear()
    os.environ.update(before)


class Deploys(dict[str, Deployed]):
    """A release of each policy, in production, deployed when it is first asked about: in the order of `RULES`."""

    def __init__(self, scene: Deferral) -> None:
        self._scene = scene

    def __missing__(self, rule: str) -> Deployed:
        release = self._scene.staged_again(str(RULES.index(rule) + 2))
        self[rule] = self._scene.deploy(release, select=f"tag:{rule}", untagged_changes=rule)
        return self[rule]


@pytest.fixture(scope="module")
def deployed(scene: Deferral) -> Mapping[str, Deployed]:
    """What was deployed under each policy; the first one in any case."""
    found = Deploys(scene)
    assert found[RULES[0]].plan.ok
    return found


@pytest.fixture(scope="module")
def heavy(scene: Deferral, deployed: Mapping[str, Deployed]) -> tuple[Manifest, Mapping[str, Mapping[str, str]]]:
    """A staging build without the parents, that reads what production has of them; production has lost two."""
    assert deployed["build_in_prod"].plan.ok, "production has what staging alone had"
    for kind in ("table", "view"):
        gone = Parent(kind, "staging")
        scene.run(gone.dropped_by.replace("@", gone.relation("prod", scene.schema)))
    cd = scene.cd(heavy_from="prod")
    release = cd.log.open("9" * 40, run_id="9", requester="ci")
    built = build_release(
        cd, release, target="stg", select=HEAVY_READERS, exclude="tag:parent", project_dir=scene.project
    )
    relations = {reader: f"stg.{scene.schema}.read_existing_{reader}" for reader in ("table", "view")}
    return built.artifacts.manifest(), {reader: scene.read(name) for reader, name in relations.items()}


def relation_read(text: str, parent: Parent) -> str:
    """The relation that a query reads on the line of a parent, in lower case, as dbt-databricks writes it."""
    of_function = rf"select '{parent.name}' as parent, (\S+)\(\) as made_in"
    pattern = of_function if parent.kind == "function" else rf"select '{parent.name}' as parent, made_in from ([^\s)]+)"
    (found,) = re.findall(pattern, text)
    return str(found).replace("`", "").lower()


def compiled(of: Deployed, rule: str, reader: str) -> str:
    """The query of a reader as dbt has compiled it; of a hook as the view has it that the hook makes."""
    if reader in ("hook", "post_hook"):
        return of.texts[reader]
    kind = reader if reader in ("snapshot", "test") else "model"
    return str(of.manifest.nodes[f"{kind}.{NAME}.{rule}_{reader}"].raw["compiled_code"])


def planned(of: Deployed, parent: Parent, catalog_of_state: str, schema: str) -> str:
    """The relation that a plan says is read: one that is built is the target's own."""
    found = [r for r in of.plan.resolutions if r.parent == parent.unique_id]
    if not found:
        assert parent.unique_id in {n.unique_id for n in of.plan.nodes}
        return parent.relation("prod", schema)
    assert found[0].place == ("state" if found[0].relation.startswith(f"{catalog_of_state}.") else "target")
    return found[0].relation


@pytest.mark.parametrize("parent", TOGETHER, ids=lambda p: p.name)
@pytest.mark.parametrize("rule", OF_RULES)
def test_planned_compiled_and_really_read_are_the_same(
    scene: Deferral, deployed: Mapping[str, Deployed], rule: str, parent: Parent
) -> None:
    of, place = deployed[rule], EXPECTED[rule, parent.where]
    expected = parent.relation("stg" if place == "stg" else "prod", scene.schema)
    assert planned(of, parent, "stg", scene.schema) == expected
    for reader in [reader for reader, parents in READ.items() if parent in parents]:
        assert relation_read(compiled(of, rule, reader), parent) == expected.lower(), reader
        assert of.rows[reader][parent.name] == MADE[place], reader
        if reader in of.texts:
            assert relation_read(of.texts[reader], parent) == expected.lower()


@pytest.mark.parametrize("where", ["both", "staging", "production", "owned"])
@pytest.mark.parametrize("rule", OF_RULES)
def test_a_foreign_key_refers_to_what_a_ref_reads_and_to_production_where_the_parent_is_selected(
    scene: Deferral, deployed: Mapping[str, Deployed], rule: str, where: str
) -> None:
    of = deployed[rule]
    if where == "owned":
        expected = f"prod.{scene.schema}.{rule}_owned"
        assert f"model.{NAME}.{rule}_owned" in {n.unique_id for n in of.plan.nodes}
    else:
        catalog = "stg" if EXPECTED[rule, where] == "stg" else "prod"
        expected = Parent("keyed", where).relation(catalog, scene.schema)
        assert planned(of, Parent("keyed", where), "stg", scene.schema) == expected
    (constraint,) = of.manifest.nodes[f"model.{NAME}.{rule}_key"].columns[where]["constraints"]
    assert str(constraint["to"]).replace("`", "") == expected
    assert of.keys[where] == expected


@pytest.mark.parametrize("where", ["both", "staging", "production"])
@pytest.mark.parametrize("rule", OF_RULES)
def test_a_relationships_test_reads_what_the_plan_says(
    scene: Deferral, deployed: Mapping[str, Deployed], rule: str, where: str
) -> None:
    of, parent = deployed[rule], Parent("table", where)
    expected = planned(of, parent, "stg", scene.schema)
    (test,) = [n for n in of.manifest.nodes.values() if n.name == f"{rule}_relationship_{where}"]
    assert expected in str(test.raw["compiled_code"]).replace("`", "")
    found_there = of.failures[f"{rule}_relationship_{where}"] == 0
    assert found_there == (MADE[EXPECTED[rule, where]] == "before")


def test_what_is_nowhere_is_refused_beforehand_and_dbt_could_not_have_built_it(
    scene: Deferral, deployed: Mapping[str, Deployed], tmp_path: Path
) -> None:
    cd = scene.cd()
    release = scene.staged_again("8")
    plan = plan_deploy(cd, release, target="prod", selection=Selection(select="tag:nowhere"))
    found = {r.parent: r for r in plan.resolutions if r.place == "nowhere"}
    sure = [
        parent for parent in NOWHERE if parent.kind != "custom"
    ]  # what is of our own making, a catalog may not list
    assert set(found) == {parent.unique_id for parent in sure}
    for parent in sure:
        assert found[parent.unique_id].readers == (f"model.{NAME}.nowhere_{parent.kind}",)
        assert any(line.startswith(f"{parent.unique_id} is read by ") for line in plan.refused)
    with pytest.raises(DeployRefused):
        request_approval(cd, release, target="prod", select="tag:nowhere")
    staged = cd.store.find("stg", release.id)
    run = run_dbt(
        "build", target="prod", select="tag:nowhere", defer=True, favor_state=True, state_path=staged.path,
        project_dir=archive.unpack(staged, tmp_path / "project"), check=False,
    )  # fmt: skip
    models = {n.unique_id: n.status for n in run.nodes if n.unique_id.startswith("model.")}
    assert models == {f"model.{NAME}.nowhere_{parent.kind}": "error" for parent in NOWHERE}


def test_staging_without_its_parents_is_refused_beforehand(scene: Deferral, deployed: Mapping[str, Deployed]) -> None:
    cd = scene.cd(heavy_from="none")
    release = cd.log.open("7" * 40, run_id="7", requester="ci")
    with pytest.raises(ConfigError, match="nothing was built") as refused:
        build_release(cd, release, target="stg", select=HEAVY_READERS, exclude="tag:parent", project_dir=scene.project)
    missing = {p.unique_id for p in TOGETHER if p.where == "production" and p.kind != "custom"}
    assert len(missing) > 10
    assert all(unique_id in refused.value.what for unique_id in sorted(missing)[:10])
    assert "heavy_from" in str(refused.value.next_step)


@pytest.mark.deep
@pytest.mark.parametrize("parent", TOGETHER, ids=lambda p: p.name)
def test_staging_reads_what_it_leaves_out_from_production_where_that_has_it(
    scene: Deferral, heavy: tuple[Manifest, Mapping[str, Mapping[str, str]]], parent: Parent
) -> None:
    manifest, rows = heavy
    lost = parent.where == "staging" and parent.kind in ("table", "view")
    catalog = "stg" if lost else "prod"
    made = "stg" if lost else "prod" if parent.where == "staging" else "before"
    for reader in [reader for reader in ("table", "view") if parent in READ[reader]]:
        node = manifest.nodes[f"model.{NAME}.read_existing_{reader}"]
        assert relation_read(str(node.raw["compiled_code"]), parent) == parent.relation(catalog, scene.schema).lower()
        assert rows[reader][parent.name] == made
