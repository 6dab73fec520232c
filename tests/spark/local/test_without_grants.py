"""A release runs with what `setup` prints, and without any one of its grants a step fails that names it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dbx_cd.setup.grants import PRODUCTION, STANDARD_GRANTS, Places, privileges_of

pytestmark = pytest.mark.deep

SCRIPT = Path(__file__).with_name("without_grants.py")
LOG, ARTIFACTS = ("ops", "dbt_meta", "release_log"), ("ops", "dbt_meta", "artifacts")
WHEELS = ("ops", "dbt_meta", "wheels")
PLAIN = Places(
    LOG, ARTIFACTS, ("stg", "prod"), ("prod",), sources=(("raw", "shop"), ("lake", "web")), packages=(WHEELS,)
)
BUILT = tuple((catalog, f"granted{suffix}") for catalog in ("stg", "prod") for suffix in ("", "_dbt_test__audit"))
MADE = Places(
    LOG, ARTIFACTS, ("stg", "prod"), ("prod",), sources=PLAIN.sources, packages=(WHEELS,),
    is_log_made=True, made_schemas=BUILT, made_for_functions=(("stg", "granted"), ("prod", "granted")),
)  # fmt: skip
VARIANTS = {"plain": PLAIN, "made": MADE}
ELSEWHERE = ("{volume_catalog}", "{volume_schema}", "{artifacts_catalog}", "{artifacts_schema}")
"""The way to a volume that is not beside the log: `test_setup_grants` asks for it."""


def names(places: Places) -> list[str]:
    return [f"{who}: {privilege} ON {on.replace('`', '')}" for who, privilege, on in privileges_of(places.grants())]


GRANTS = [(variant, name) for variant, places in VARIANTS.items() for name in names(places)]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What was said without each grant, and the results with all of them; takes many minutes for each variant."""
    found = {}
    for variant in VARIANTS:
        command = [sys.executable, SCRIPT, tmp_path_factory.mktemp(variant), variant]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-4000:]
        found[variant] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("variant", VARIANTS)
def test_with_all_grants_a_release_is_approved_deployed_rolled_back_and_read(
    seen: dict[str, dict[str, Any]], variant: str
) -> None:
    results = dict(seen[variant]["results"])
    assert results.pop("auto_rollback") == "EXCLUDED"
    assert int(results.pop("restored")) > 0
    assert {name: results.pop(name) for name in ("approval", "plan", "rollback", "reading")} == {
        "approval": "given", "plan": "printed", "rollback": "done", "reading": "done",
    }  # fmt: skip
    assert set(results.values()) == {"SUCCESS"}


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_was_printed_is_the_list(seen: dict[str, dict[str, Any]], variant: str) -> None:
    assert sorted(seen[variant]["grants"]) == sorted(names(VARIANTS[variant]))


@pytest.mark.parametrize(("variant", "grant"), GRANTS)
def test_without_a_grant_a_step_fails_and_names_the_privilege_and_the_object(
    seen: dict[str, dict[str, Any]], variant: str, grant: str
) -> None:
    privilege, on = grant.split(": ")[1].split(" ON ")
    kind, name = on.split()
    said = seen[variant]["said"][grant]
    # What is granted on a catalog or schema is missed on what lies in it, and said of that.
    places = rf"{kind.capitalize()} '{re.escape(name)}'|\w+ '{re.escape(name)}\.[^']+'"
    assert re.search(rf"User does not have {privilege} on ({places})", said), said[-2000:]
    if not grant.startswith("readers"):  # who is told by Spark itself
        assert "python -m dbx_cd setup" in said, said[-2000:]


def test_every_line_of_the_list_is_tried() -> None:
    """But for those of a Workflow of two identities, each of which `test_setup_grants` takes away."""
    one_identity = [line for line in STANDARD_GRANTS if line.who != PRODUCTION and line.on != "{compared_with}"]
    lines = [line for line in one_identity if line.on not in ELSEWHERE]
    assert [line for line in lines if not any(places.objects(line) for places in VARIANTS.values())] == []
