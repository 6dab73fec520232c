from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dbx_cd import ConfigError
from dbx_cd.dbt.selection import COMMANDS, Selection, check_command


def flags(*, defer: bool = False, state_path: Path | None = None, **given: Any) -> list[str]:
    return Selection(**given).flags(defer=defer, state_path=state_path)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "manifest.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_dbt_is_known(command: str) -> None:
    assert check_command(command) == command.split()


def test_command_may_carry_further_words() -> None:
    assert check_command("run-operation 'my macro' --args '{a: 1}'") == [
        "run-operation",
        "my macro",
        "--args",
        "{a: 1}",
    ]


@pytest.mark.parametrize(
    ("command", "suggestion"),
    [("biuld", "build"), ("doc generate", "docs generate"), ("source freshnes", "source freshness"), ("tests", "test")],
)
def test_unknown_command_suggests_the_nearest_one(command: str, suggestion: str) -> None:
    with pytest.raises(ConfigError, match=f"unknown dbt command '{command}'.*did you mean '{suggestion}'"):
        check_command(command)


@pytest.mark.parametrize("command", ["", "docs", "source", "rm -rf", "--version", "docs serve; rm"])
def test_what_is_no_command_is_refused(command: str) -> None:
    with pytest.raises(ConfigError, match="unknown dbt command"):
        check_command(command)


def test_command_with_an_open_quote_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be split into words"):
        check_command("run-operation 'macro")


@pytest.mark.parametrize("empty", [None, ""])
def test_nothing_given_means_no_flags(empty: str | None) -> None:
    assert flags(select=empty, exclude=empty, state_path=empty) == []


def test_every_term_of_a_selection_is_an_argument_of_its_own() -> None:
    assert flags(select="tag:deploy  orders+", exclude="tag:heavy tag:slow") == [
        "--select", "tag:deploy", "orders+", "--exclude", "tag:heavy", "tag:slow",
    ]  # fmt: skip


def test_with_all_parents_selects_every_ancestor_and_only_buildable_tests() -> None:
    assert flags(select="tag:deploy +orders customers+", with_parents="all") == [
        "--select", "+tag:deploy", "+orders", "+customers+", "--indirect-selection", "buildable",
    ]  # fmt: skip


def test_with_changed_parents_adds_ancestors_that_are_modified_or_below_a_modification(state: Path) -> None:
    assert flags(select="tag:deploy", with_parents="changed", state_path=state) == [
        "--state", str(state), "--select", "tag:deploy", "+tag:deploy,state:modified+",
        "--indirect-selection", "buildable",
    ]  # fmt: skip


def test_without_a_selection_there_are_no_parents_to_add() -> None:
    assert flags(with_parents="all") == []


def test_deferring_names_the_state_and_can_favor_it(state: Path) -> None:
    assert flags(defer=True, state_path=state) == ["--state", str(state), "--defer"]
    assert flags(defer=True, state_path=state, favor_state=True)[-2:] == ["--defer", "--favor-state"]


@pytest.mark.parametrize("given", [{"defer": True}, {"favor_state": True}, {"with_parents": "changed"}])
def test_what_needs_a_state_is_refused_without_one(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="need state_path"):
        flags(select="a", **given)


def test_state_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no manifest\.json at state_path.*stg/latest/"):
        flags(defer=True, state_path=tmp_path)


def test_unknown_word_for_parents_is_refused() -> None:
    with pytest.raises(ConfigError, match="with_parents must be one of none, all, changed, not 'some'"):
        flags(select="a", with_parents="some")


@pytest.mark.parametrize("term", ["tag:deploy,tag:sales", "@orders", "2+orders"])
@pytest.mark.parametrize("parents", ["all", "changed"])
def test_term_that_has_no_parents_of_its_own_is_refused(state: Path, term: str, parents: str) -> None:
    with pytest.raises(ConfigError, match=r"cannot be combined with"):
        flags(select=term, with_parents=parents, state_path=state)


def test_intersection_without_parents_is_passed_on() -> None:
    assert flags(select="tag:deploy,tag:sales") == ["--select", "tag:deploy,tag:sales"]


def test_full_refresh_and_vars_are_flags() -> None:
    assert flags(full_refresh=True, vars={"day": "2026-01-01"}) == [
        "--full-refresh", "--vars", '{"day": "2026-01-01"}',
    ]  # fmt: skip


def test_what_differs_is_named_and_what_is_not_asked_for_does_not_differ() -> None:
    approved = Selection(select="tag:deploy", exclude="orders", full_refresh=True)
    assert approved.differing(Selection()) == []
    assert approved.differing(Selection(select="tag:deploy")) == []
    asked = Selection(cmd="run", select="everything", exclude="orders", vars={"a": 1})
    assert approved.differing(asked) == ["cmd", "select", "vars"]


@pytest.mark.parametrize(
    "given",
    [
        {"select": "tag:deploy --full-refresh"},
        {"select": "-f"},
        {"select": "tag:deploy\t--target prod", "with_parents": "all"},
        {"exclude": "x --vars {a:1} --empty"},
        {"exclude": "--"},
    ],
)
def test_a_flag_among_selected_or_excluded_nodes_never_reaches_dbt(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="would take for a flag"):
        flags(**given)


def test_a_dash_inside_of_a_name_is_no_flag() -> None:
    assert flags(select="tag:a-b path:models/-x") == ["--select", "tag:a-b", "path:models/-x"]


@pytest.mark.parametrize(
    "word",
    [
        "--target prod", "--target=prod", "-t prod", "-tprod", "-xft prod", "--profile other", "--profiles-dir /x",
        "--project-dir=/x", "--target-path /x", "--log-path /x", "--log-format text", "--state /x",
        "--defer-state=/x",
    ],
)  # fmt: skip
def test_a_command_may_not_say_again_what_run_dbt_says_by_its_parameters(word: str) -> None:
    with pytest.raises(ConfigError, match="a flag that run_dbt gives dbt itself"):
        check_command(f"build {word}")


@pytest.mark.parametrize("word", ["--threads 2", "-x", "-stag:t", "-s tag:t", "-mt", "--exclude other", "-q"])
def test_a_command_may_carry_other_flags(word: str) -> None:
    assert check_command(f"build {word}")[0] == "build"


@pytest.mark.parametrize(
    "select", ["tag:deploy", "+tag:deploy", "orders+ 2+payments", "fqn:shop.orders,file:orders.sql"]
)
def test_terms_that_say_nothing_about_a_state_need_none(select: str) -> None:
    assert not Selection(select=select).may_read_state


@pytest.mark.parametrize(
    "given",
    [
        {"select": "state:modified"},
        {"select": "tag:deploy,state:modified+"},
        {"select": "tag:deploy +state:new"},
        {"select": "tag:deploy", "exclude": "state:old"},
        {"select": "result:error"},
        {"select": "source_status:fresher"},
        {"select": "selector:nightly"},
        {"select": "tag:deploy", "with_parents": "changed"},
        {},
    ],
    ids=str,
)
def test_whatever_may_read_a_state_is_given_it(given: dict[str, Any]) -> None:
    assert Selection(**given).may_read_state
