"""A release runs with the grants of docs/deploy.md, and without any one of them a step fails that names it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dbx_cd.setup.grants import READERS, STANDARD_GRANTS, Places

pytestmark = pytest.mark.deep

SCRIPT = Path(__file__).with_name("without_grants.py")
PLACES = Places(("ops", "dbt_meta"), ("ops", "dbt_meta", "artifacts"), ("stg", "prod"), ("prod",))
NEEDED = [
    f"{grant.who}: {privilege} ON {on.replace('`', '')}"
    for grant in STANDARD_GRANTS
    if grant.who != READERS
    for on in PLACES.objects(grant)
    for privilege in grant.privileges
]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was said without each grant, and the results with all of them; takes some minutes."""
    folder = tmp_path_factory.mktemp("without")
    done = subprocess.run([sys.executable, SCRIPT, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_with_all_grants_a_release_is_approved_deployed_and_rolled_back(seen: dict[str, Any]) -> None:
    results = dict(seen["results"])
    assert results.pop("auto_rollback") == "EXCLUDED"
    assert int(results.pop("restored")) > 0
    assert {name: results.pop(name) for name in ("approval", "plan", "rollback")} == {
        "approval": "given", "plan": "printed", "rollback": "done",
    }  # fmt: skip
    assert set(results.values()) == {"SUCCESS"}


@pytest.mark.parametrize("grant", NEEDED)
def test_without_a_grant_a_step_fails_and_names_the_privilege_and_the_object(seen: dict[str, Any], grant: str) -> None:
    privilege, on = grant.split(": ")[1].split(" ON ")
    kind, name = on.split()
    # What is granted on a catalog or schema is missed on what lies in it, and said of that.
    places = rf"{kind.capitalize()} '{re.escape(name)}'|\w+ '{re.escape(name)}\.[^']+'"
    missed = rf"User does not have {privilege} on ({places})"
    assert re.search(missed, seen["said"][grant]), seen["said"][grant][-2000:]
