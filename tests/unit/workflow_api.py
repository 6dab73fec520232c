"""A workspace with the Workflow's job, which starts and repairs runs, and fails as a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from failing_api import Api, Json, Refusal, serving

from dbx_cd import WorkflowError

SHA, BEFORE = "c" * 40, "b" * 40
DENIED = Refusal(403, "PERMISSION_DENIED", "you may not")
FAILED = Refusal(500, "INTERNAL_ERROR", "out of order")
BUSY = Refusal(429, "REQUEST_LIMIT_EXCEEDED", "too fast")


class Workflow(Api):
    """A workspace with the Workflow's job; its runs are started and repaired, and what refuses is given by name."""

    def __init__(self, *, pinned: Json | None = None, **instead: Callable[[Json], Json]) -> None:
        self.source: Json = {"git_url": "x", "git_provider": "gitHub", **(pinned or {"git_commit": BEFORE})}
        self.tokens: dict[str, int] = {}
        self.repairs = 0
        self.state: Json = {"life_cycle_state": "INTERNAL_ERROR", "result_state": "FAILED"}
        own = {
            "jobs_list": lambda _: {"jobs": [{"job_id": 7}]},
            "jobs_get": lambda _: self.job(),
            "jobs_update": self.update,
            "jobs_run_now": self.run_now,
            "jobs_runs_get": lambda _: self.run(),
            "jobs_runs_repair": self.repair,
        }
        super().__init__(**{**own, **instead})

    def job(self) -> Json:
        gate = {"task_key": "gate", "notebook_task": {"notebook_path": "notebooks/approval_gate"}}
        return {"job_id": 7, "settings": {"name": "dbx_cd", "git_source": self.source, "tasks": [gate]}}

    def update(self, given: Json) -> Json:
        self.source = given["new_settings"]["git_source"]
        return {}

    def run_now(self, given: Json) -> Json:
        return {"run_id": self.tokens.setdefault(given["idempotency_token"], 100 + len(self.tokens))}

    def run(self) -> Json:
        """The run; each repair has run the gate again, as a run of its own (as `dbx_cd.local` shows it)."""
        attempts = [9 + n for n in range(self.repairs + 1)]
        notebook = {"notebook_path": "notebooks/approval_gate"}
        tasks = [{"task_key": "gate", "run_id": n, "notebook_task": notebook, "state": self.state} for n in attempts]
        repairs = [{"type": "REPAIR", "id": n - 9, "task_run_ids": [n]} for n in attempts[1:]]
        history = [{"type": "ORIGINAL", "task_run_ids": [9]}, *repairs]
        page = {"run_page_url": "http://here/run/5", "tasks": tasks, "repair_history": history}
        return {"run_id": 5, "job_id": 7, "state": self.state, **page}

    def repair(self, given: Json) -> Json:
        if given.get("latest_repair_id") != (self.repairs or None):
            raise Refusal(400, "INVALID_PARAMETER_VALUE", "not the latest repair")
        self.repairs += 1
        return {"repair_id": self.repairs}


def after_it(do: Callable[[Json], Json], failure: Exception, *, times: int = 1) -> Callable[[Json], Json]:
    """It is done, and the answer is another one, so many times."""
    left = [failure] * times

    def answer(given: Json) -> Json:
        done = do(given)
        if left:
            raise left.pop()
        return done

    return answer


@contextmanager
def refused(api: Api, *words: str) -> Iterator[Any]:
    """The client of it; an error has to say all of these words."""
    with serving(api) as client:
        with pytest.raises(WorkflowError) as raised:
            yield client
        said_not = [word for word in words if word not in str(raised.value)]
        assert said_not == [], str(raised.value)
