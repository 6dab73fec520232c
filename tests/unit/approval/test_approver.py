"""Who may decide is asked of the platform; where it does not answer, nobody is taken for somebody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from failing_api import Api, Json, LostAnswer, PassingTime, Refusal, in_turn, serving

from dbx_cd import Cd, WorkflowError, approve, open_cd, request_approval
from dbx_cd.approval.approver import is_member
from dbx_cd.release.job import RunFacts, job_definition, run_facts
from memory.releases import APPROVERS, OWNER, Releases

DENIED = Refusal(403, "PERMISSION_DENIED", "you may not")
FAILED = Refusal(500, "INTERNAL_ERROR", "out of order")
EXPIRED = Refusal(401, "UNAUTHENTICATED", "the token has expired")
ME = {"id": "1", "userName": OWNER, "groups": [{"display": APPROVERS}]}


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> PassingTime:
    return PassingTime().instead_of_the_machine_s(monkeypatch)


def approving(releases: Releases) -> Callable[[Cd], object]:
    request = request_approval(releases.cd(), releases.staged(), target="prod")
    return lambda cd: approve(cd, request, seal=request.seal)


@pytest.mark.parametrize(
    ("answer", "words"),
    [(EXPIRED, "not logged in: the token has expired"), (FAILED, "out of order"), (LostAnswer(), "cannot be reached")],
    ids=["401", "500", "lost"],
)
def test_nobody_decides_while_the_platform_does_not_say_who_they_are(
    tmp_path: Path, answer: Exception, words: str
) -> None:
    releases = Releases(tmp_path)
    decide = approving(releases)
    api = Api(preview_scim_v2_Me=in_turn(answer))
    with serving(api) as client, pytest.raises(WorkflowError, match=f"does not say who is logged in: .*{words}"):
        decide(replace(releases.cd(OWNER), workspace=client))


def test_who_it_is_is_asked_again_where_the_platform_fails_once(tmp_path: Path) -> None:
    releases = Releases(tmp_path)
    decide = approving(releases)
    with serving(Api(preview_scim_v2_Me=in_turn(FAILED, ME))) as client:
        decide(replace(releases.cd(OWNER), workspace=client))


@pytest.mark.parametrize("answer", [DENIED, EXPIRED, FAILED, LostAnswer()], ids=["403", "401", "500", "lost"])
def test_groups_that_cannot_be_looked_up_are_not_known(answer: Exception) -> None:
    with serving(Api(preview_scim_v2_Users=in_turn(answer))) as client:
        assert is_member(client, OWNER, group=APPROVERS) is None


def test_groups_are_looked_up_again_where_the_platform_fails_once() -> None:
    pages = in_turn(FAILED, {"Resources": [ME]}, {"Resources": []})
    with serving(Api(preview_scim_v2_Users=pages)) as client:
        assert is_member(client, OWNER, group=APPROVERS) is True


RUN: Json = {"run_id": 5, "job_id": 7, "state": {"life_cycle_state": "RUNNING"}}
ASKING: dict[str, Callable[[Any], object]] = {
    "open_cd": lambda client: open_cd(None, project_dir="project", workspace=client),  # type: ignore[arg-type]
    "run_facts": lambda client: run_facts(client, "5"),
    "job_definition": lambda client: job_definition(client, RunFacts("ci", None, 7), run_id="5"),
}


@pytest.mark.parametrize("answer", [DENIED, EXPIRED, FAILED, LostAnswer()], ids=["403", "401", "500", "lost"])
@pytest.mark.parametrize("asking", ASKING)
def test_what_a_task_asks_first_fails_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asking: str, answer: Exception
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "dbt_project.yml").write_text("name: p")
    (tmp_path / "project" / "dbx_cd.yml").write_text(f"artifacts_root: {tmp_path}")
    monkeypatch.chdir(tmp_path)
    calls = ("preview_scim_v2_Me", "jobs_runs_get", "jobs_get")
    with serving(Api(**dict.fromkeys(calls, in_turn(answer)))) as client, pytest.raises(WorkflowError, match="Next: "):
        ASKING[asking](client)


def test_facts_of_a_run_are_asked_again_where_the_platform_fails_once() -> None:
    with serving(Api(jobs_runs_get=in_turn(FAILED, RUN))) as client:
        assert run_facts(client, "5").job_id == 7
