"""A run that is over has nothing at work any more: no statement, no job, no process; and no commit comes later."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from databricks.sdk.service.jobs import NotebookTask, Run, Source, SubmitTask

from dbx_cd.local.workspace import OWNER, EmbeddedWorkspace

NOTEBOOK = Path(__file__).with_name("cancelled_notebook.py")
WAYS = ("main", "thread", "endpoint")
# A statement that nobody cancels would have ended by then: it sleeps for 0.2 s, and takes a second to commit.
LATE_SECONDS = 3.0
MOMENTS, PARTS = 100, 4


@dataclass
class Writing:
    """Runs of a notebook that writes without a pause, in three ways at once."""

    workspace: EmbeddedWorkspace
    count: int = 0

    def begin(self, *, timeout_seconds: int | None = None) -> Begun:
        self.count += 1
        number, connection = f"{os.getpid()}_{self.count}", self.workspace.connection
        parameters = {"number": number, "how": "", "sql": f"{connection.sql_host}{connection.http_path}"}
        task = SubmitTask(
            task_key="write",
            notebook_task=NotebookTask("/Workspace/cancelled_notebook", parameters, source=Source.WORKSPACE),
            timeout_seconds=timeout_seconds,
        )
        run_id = self.workspace.client(OWNER).jobs.submit(run_name="write", tasks=[task]).response.run_id
        return Begun(self.workspace, int(run_id), number)


@dataclass
class Begun:
    """One of them."""

    workspace: EmbeddedWorkspace
    run_id: int
    number: str

    def printed(self) -> str:
        log = self.workspace.state_dir / "runs" / str(self.run_id) / "write.log"
        return log.read_text() if log.exists() else ""

    def wait_for(self, *words: str) -> None:
        deadline = time.monotonic() + 60
        while not all(word in self.printed() for word in words):
            assert time.monotonic() < deadline, self.printed()
            time.sleep(0.02)

    def pid(self) -> int:
        self.wait_for("pid ", "\n")
        return int(self.printed().split("pid ", 1)[1].split()[0])

    def run(self) -> Run:
        return self.workspace.client(OWNER).jobs.get_run(self.run_id)

    def cancel(self) -> None:
        self.workspace.client(OWNER).jobs.cancel_run(self.run_id)

    def over(self) -> Over:
        """Wait for the end of the run, and see at once what is there."""
        assert self.workspace.rest.wait(self.run_id, timeout_seconds=120)
        run = self.run()
        state, task = run.state, (run.tasks or [])[0]
        found = (str(state.life_cycle_state.value), str(state.result_state.value)) if state else ("", "")
        jobs = self.jobs(f"run-{self.run_id}-task-{task.run_id}")
        return Over(self, found, str(task.state.result_state.value), jobs, self.commits(), self.is_running())

    def jobs(self, group: str) -> list[int]:
        tracker = self.workspace.spark.sparkContext.statusTracker()
        return [job for job in tracker.getJobIdsForGroup(group) if tracker.getJobInfo(job).status == "RUNNING"]

    def commits(self) -> dict[str, set[str]]:
        """The commits of each table, as files of its log: to ask Spark for them takes as long as a late commit."""
        logs = (self.workspace.state_dir / "warehouse").glob(f"stg/cancelled/*_{self.number}/_delta_log")
        return {log.parent.name.partition("_")[0]: {file.name for file in log.glob("*.json")} for log in logs}

    def rows(self, *ways: str) -> dict[str, list[int]]:
        if not ways:
            return {}
        tables = " UNION ALL ".join(f"SELECT '{w}' AS way, n FROM stg.cancelled.{w}_{self.number}" for w in ways)
        found: dict[str, list[int]] = {way: [] for way in ways}
        for row in self.workspace.spark.sql(tables).collect():
            found[row["way"]].append(row["n"])
        return {way: sorted(numbers) for way, numbers in found.items()}

    def is_running(self) -> bool:
        stat = Path(f"/proc/{self.pid()}/stat")
        return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@dataclass
class Over:
    """What was there when a run was over."""

    of: Begun
    state: tuple[str, str]
    task_result: str
    """TIMEDOUT is only the task: a run that fails by it is FAILED, unless the time was the run's own."""
    jobs: list[int]
    commits: dict[str, set[str]]
    is_running: bool

    def check(self) -> None:
        """Nothing runs, what was written is whole, and nothing has come since."""
        assert (self.jobs, self.is_running) == ([], False), self.state
        assert self.of.commits() == self.commits, f"{self.state}: committed after it was over"
        written = {way: list(range(len(commits) - 1)) for way, commits in self.commits.items()}  # the first made it
        assert self.of.rows(*written) == written, f"{self.state}: a row is lost"


@pytest.fixture(scope="module")
def writing(workspace: EmbeddedWorkspace) -> Writing:
    workspace.spark.sql("CREATE SCHEMA IF NOT EXISTS stg.cancelled")
    folder = workspace.state_dir / "Workspace"
    folder.mkdir(exist_ok=True)
    shutil.copy(NOTEBOOK, folder)
    return Writing(workspace)


def test_nothing_of_a_cancelled_run_is_at_work_or_committed_later(writing: Writing) -> None:
    begun = writing.begin()
    begun.wait_for(*(f"{way} begins" for way in WAYS))
    time.sleep(0.5)
    begun.cancel()
    assert begun.run().state.life_cycle_state.value in ("TERMINATING", "TERMINATED")
    over = begun.over()
    time.sleep(LATE_SECONDS)
    assert over.state == ("TERMINATED", "CANCELED")
    assert set(over.commits) == set(WAYS)
    over.check()


@pytest.mark.deep
@pytest.mark.parametrize("part", range(PARTS))
def test_a_run_that_ends_at_any_moment_leaves_nothing_at_work_and_loses_nothing(writing: Writing, part: int) -> None:
    """Cancelled, over its time, or its process killed: at a hundred moments in all."""
    chance = random.Random(part)
    seen: list[Over] = []
    for moment in range(MOMENTS // PARTS):
        way = ("cancel", "kill", "time out")[moment % 3]
        begun = writing.begin(timeout_seconds=chance.randint(3, 6) if way == "time out" else None)
        if way != "time out":
            begun.wait_for(f"{chance.choice(WAYS)} begins" if moment % 5 else "pid ")
            time.sleep(chance.random() * 2)
        if way == "cancel":
            begun.cancel()
        elif way == "kill":
            os.kill(begun.pid(), signal.SIGKILL)
        seen.append(begun.over())
    time.sleep(LATE_SECONDS)
    for over in seen:
        over.check()
    ends = Counter(over.task_result for over in seen)
    print(f"{len(seen)} runs: {dict(ends)}")
    assert set(ends) == {"CANCELED", "FAILED", "TIMEDOUT"}
