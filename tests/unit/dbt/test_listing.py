"""How `list_nodes` asks what is not dbt itself, and what it makes of the answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from artifact_folders import manifest, write

from dbx_cd import ConfigError, DbtFailed, DbtOutcome
from dbx_cd.dbt.events import DbtEvent
from dbx_cd.dbt.listing import Listed, ListQuery, list_nodes
from dbx_cd.dbt.one_parse import LISTED
from dbx_cd.dbt.runner import OutcomeReader
from dbx_cd.dbt.selection import Selection


class Dbt:
    """Lists what it is selected by; refuses `refused`."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []

    def __call__(self, args: list[str]) -> DbtOutcome:
        self.calls.append(args)
        if "refused" in args:
            return DbtOutcome(False, ("no such thing",), exit_code=2)
        write(Path(args[args.index("--target-path") + 1]) / "manifest.json", manifest())
        return DbtOutcome(True, listed=tuple(args[args.index("--select") + 1 :]) if "--select" in args else ())


@pytest.fixture
def lists(tmp_path: Path):
    """Makes lists of a small project."""
    project = tmp_path / "shop"
    project.mkdir()
    (project / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (project / "profiles.yml").write_text("shop: {}\n")
    (tmp_path / "work" / "target").mkdir(parents=True)

    def lists(dbt: Dbt, queries: dict[str, ListQuery], **parameters: object) -> Listed:
        given = {"target": "prod", "project_dir": project, "work_dir": tmp_path / "work", **parameters}
        return list_nodes(queries, runner=dbt, **given)  # type: ignore[arg-type]

    return lists


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    write(tmp_path / "state" / "manifest.json", manifest())
    return tmp_path / "state"


def selecting(select: str, *, may_fail: bool = False) -> ListQuery:
    return ListQuery(Selection("build", select, full_refresh=True), may_fail=may_fail)


def test_each_query_is_one_list_with_its_own_flags(lists, state: Path) -> None:
    dbt = Dbt()
    changed = ListQuery(Selection(select="state:modified", exclude="tag:heavy"), state, only_matched=True)
    found = lists(dbt, {"a": selecting("a"), "changed": changed}, vars={"day": 1})
    assert (found.run.ok, found.nodes["a"], found.refused) == (True, ("a",), {})
    assert [args[0] for args in dbt.calls] == ["ls", "ls"]
    assert [args[-2:] for args in dbt.calls] == [["--select", "a"], ["--indirect-selection", "empty"]]
    assert dbt.calls[1][-8:-2] == ["--state", str(state), "--select", "state:modified", "--exclude", "tag:heavy"]
    assert all("--full-refresh" not in args and args.count("--vars") == 1 for args in dbt.calls)
    assert all(args[args.index("--vars") + 1] == '{"day": 1}' for args in dbt.calls)


def test_manifest_of_the_lists_is_kept(lists) -> None:
    assert (lists(Dbt(), {"a": selecting("a")}).run.files_dir / "manifest.json").is_file()


def test_list_of_nothing_is_an_answer(lists) -> None:
    found = lists(Dbt(), {"all": ListQuery(Selection())})
    assert (found.run.ok, found.nodes) == (True, {"all": ()})


def test_list_that_may_fail_leaves_the_others(lists) -> None:
    found = lists(Dbt(), {"no": selecting("refused", may_fail=True), "a": selecting("a")})
    assert (found.run.ok, found.nodes, found.refused) == (True, {"a": ("a",)}, {"no": "no such thing"})


def test_list_that_fails_ends_it(lists) -> None:
    dbt = Dbt()
    asked = {"a": selecting("a"), "no": selecting("refused"), "b": selecting("b")}
    found = lists(dbt, asked)
    assert (found.run.ok, found.run.errors, list(found.nodes)) == (False, ("no such thing",), ["a"])
    assert len(dbt.calls) == 2
    with pytest.raises(DbtFailed, match="no such thing"):
        lists(dbt, asked, check=True)


def test_lists_have_the_same_variables(lists) -> None:
    own = {"a": ListQuery(Selection(vars={"day": 1}))}
    assert lists(Dbt(), own, vars={"day": 1}).run.ok
    with pytest.raises(ConfigError, match="variables of its own"):
        lists(Dbt(), own, vars={"day": 2})


def test_nothing_to_list_is_refused(lists) -> None:
    with pytest.raises(ConfigError, match="nothing to list"):
        lists(Dbt(), {})


def test_lists_are_read_from_their_own_lines_alone() -> None:
    reader = OutcomeReader()
    for name, data in (
        ("PrintEvent", {"query": "a", "listed": ["model.shop.printed"]}),
        (LISTED, {"query": "a", "listed": ["model.shop.a"]}),
        (LISTED, {"query": "b", "refused": "why"}),
        (LISTED, {"query": "c", "listed": []}),
    ):
        reader.take(DbtEvent(name, "debug", "x", data))
    outcome = reader.outcome(0)
    assert (outcome.lists, outcome.refused) == ({"a": ("model.shop.a",), "c": ()}, {"b": "why"})
