"""What the notebook `approval_gate` asks for, with the parameters of its task."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import dbx_cd
from dbx_cd import Release, build_release
from dbx_cd.approval.request import ApprovalRequest
from dbx_cd.notebook import Task, read_widgets
from memory.releases import OWNER, Releases

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "approval_gate.py"


def asked(releases: Releases, release: Release, **parameters: str) -> ApprovalRequest:
    """The request that the notebook's first three cells make in a task with these parameters."""
    cd = releases.cd()

    def start_task(dbutils: object, spark: object, **widgets: Any) -> Task:
        declared: dict[str, str] = {}
        given = {"target": "prod", **parameters}
        filled = SimpleNamespace(text=declared.__setitem__, get=lambda name: given.get(name, declared[name]))
        return Task(cd, release, read_widgets(SimpleNamespace(widgets=filled), widgets))

    cells = NOTEBOOK.read_text().split("# COMMAND ----------")[1:4]
    text = "\n".join(line for line in "\n".join(cells).splitlines() if not line.startswith("from dbx_cd import"))
    names: dict[str, Any] = {name: getattr(dbx_cd, name) for name in ("Selection", "plan_deploy", "request_approval")}
    names["start_task"] = start_task
    exec(text, {**names, "dbutils": None, "spark": None, "displayHTML": lambda _html: None})
    request = cd.log.last(release, ApprovalRequest)
    assert request is not None
    return request


@pytest.mark.parametrize(
    "parameters",
    [{"cmd": "build"}, {"cmd": "run"}, {"select": "orders"}, {"exclude": "payments"}, {"full_refresh": "true"}],
    ids=str,
)
def test_what_the_build_task_is_given_can_be_asked_for_by_the_gate(tmp_path: Path, parameters: dict[str, str]) -> None:
    releases = Releases(tmp_path)
    release = releases.staged()
    request = asked(releases, release, **parameters)
    dbx_cd.approve(releases.cd(OWNER), request, seal=request.seal)
    given: dict[str, Any] = {**parameters, **({"full_refresh": True} if "full_refresh" in parameters else {})}
    selection = {"cmd": "build", "select": "tag:deploy", **given}
    assert build_release(releases.cd(), release, target="prod", **selection).ok
