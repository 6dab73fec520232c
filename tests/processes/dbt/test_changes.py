"""What changed between two states, against what dbt itself lists."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pytest
from changed_project import EXPECTED, VARS, after, before

from dbx_cd import Manifest
from dbx_cd.config import WARM_DBT
from dbx_cd.dbt.changes import NodeChange, change_queries, changes_between, removed, renamed
from dbx_cd.dbt.listing import Listed, ListQuery, list_nodes
from dbx_cd.dbt.project_state import ProjectState
from dbx_cd.dbt.selection import Selection
from dbx_cd.warm.parent import WarmParent

SELECTORS = ("new", "modified.body", "modified.configs", "modified.persisted_descriptions", "modified.relation",
             "modified.macros", "modified.contract")  # fmt: skip
_HASH = re.compile(r"\.[0-9a-f]{10}$")


@dataclass(frozen=True)
class Compared:
    """The two states, and what dbt lists in the newer one."""

    old: ProjectState
    new: ProjectState
    listed: Listed

    @property
    def changes(self) -> Mapping[str, NodeChange]:
        """By ids without the hashes of tests."""
        return by_name(changes_between(self.old, self.new, self.listed.nodes))


def by_name(changes: Mapping[str, NodeChange]) -> dict[str, NodeChange]:
    return {_HASH.sub("", unique_id): change for unique_id, change in changes.items()}


@pytest.fixture(scope="module")
def compared(warm_parent: WarmParent, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    folder = tmp_path_factory.mktemp("changes")
    a = before(folder / "before")
    b = after(a, folder / "after")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(WARM_DBT, str(warm_parent.address))
        everything = {"all": ListQuery(Selection())}
        old = list_nodes(everything, target="prod", project_dir=a, work_dir=folder / "old", check=True)
        patch.setenv("SHOP_IN", "b")
        state = old.run.files_dir
        asked = {
            name: ListQuery(Selection(select=f"state:{name}"), state, only_matched=True, may_fail=True)
            for name in SELECTORS
        }
        listed = list_nodes(
            everything | change_queries(state) | asked,
            target="prod",
            project_dir=b,
            work_dir=folder / "new",
            vars=VARS,
            check=True,
        )
    states = (
        ProjectState(Manifest.load(run.files_dir / "manifest.json"), project, given)
        for run, project, given in ((old.run, a, {}), (listed.run, b, VARS))
    )
    yield Compared(*states, listed)
    shutil.rmtree(folder)


def test_dbt_refuses_none_of_its_selectors(compared: Compared) -> None:
    assert compared.listed.refused == {}
    assert set(compared.listed.nodes) == {"all", "modified", *SELECTORS}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_each_node_has_changed_as_it_was_edited(compared: Compared, name: str) -> None:
    found = compared.changes[name]
    assert (found.change, found.reasons) == EXPECTED[name]


def test_every_node_is_judged(compared: Compared) -> None:
    assert set(compared.changes) == set(EXPECTED)


def test_what_dbt_lists_as_modified_is_so_here_and_more(compared: Compared) -> None:
    by_dbt = {_HASH.sub("", i) for i in compared.listed.nodes["modified"]}
    here = {name for name, change in compared.changes.items() if change.change != "unchanged"}
    assert by_dbt <= here
    # What dbt does not see.
    assert {name for name in here - by_dbt if not any("var" in r for r in compared.changes[name].reasons)} == {
        "model.shop.by_value", "model.shop.named", "model.shop.built_by", "model.shop.masked", "model.shop.ordered",
        "seed.shop.large",
    }  # fmt: skip


REASONS = {
    "modified.body": "code", "modified.configs": "config", "modified.persisted_descriptions": "description",
    "modified.relation": "relation", "modified.macros": "macro", "modified.contract": "contract",
}  # fmt: skip


@pytest.mark.parametrize("selector", REASONS)
def test_a_reason_is_what_the_selector_of_dbt_finds(compared: Compared, selector: str) -> None:
    """Of nodes that dbt calls modified; none of its selectors is for the checksum of a unit test."""
    changes = {i: c for i, c in compared.changes.items() if c.change != "new"}
    by_dbt = {_HASH.sub("", i) for i in compared.listed.nodes[selector]} & changes.keys()
    modified = {_HASH.sub("", i) for i in compared.listed.nodes["modified"]}
    here = {i for i, c in changes.items() if i in modified and any(r.startswith(REASONS[selector]) for r in c.reasons)}
    assert {i for i in here if not i.startswith("unit_test.")} == by_dbt


def test_where_dbt_refuses_the_manifests_alone_say_the_same(compared: Compared) -> None:
    assert by_name(changes_between(compared.old, compared.new, {})) == compared.changes


def test_what_is_gone_and_what_goes_on_under_another_name(compared: Compared) -> None:
    old, new = compared.old.manifest, compared.new.manifest
    assert removed(old, new) == ("model.shop.before", "model.shop.gone")
    assert renamed(old, new) == (("model.shop.before", "model.shop.after"),)
