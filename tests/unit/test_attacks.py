"""Nothing reaches production that was not approved, as it was approved."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from attacks import ATTACKS, Attack, production

from memory.releases import Releases


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: f"{attack.by}: {attack.name}")
def test_is_refused_and_leaves_production_as_it_is(attack: Attack, tmp_path: Path) -> None:
    releases = Releases(tmp_path / "releases")
    releases.log_table.names_users = True
    last_step = attack.prepare(releases)
    before = production(releases)
    with pytest.raises(attack.error) as refused:
        last_step()
    assert re.search(attack.message, str(refused.value)), str(refused.value)
    assert production(releases) == before


def test_there_are_twenty_at_least_each_with_a_message_of_its_own() -> None:
    assert len(ATTACKS) >= 20
    assert len({attack.message for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("by", ["may merge", "may start a run", "may repair a run", "may write where the log lives"])
def test_they_come_from_everybody_who_holds_some_right(by: str) -> None:
    assert len([attack for attack in ATTACKS if attack.by == by]) >= 4


def test_the_honest_way_is_open(tmp_path: Path) -> None:
    releases = Releases(tmp_path / "releases")
    releases.log_table.names_users = True
    before = production(releases)
    releases.deployed()
    assert production(releases) != before
