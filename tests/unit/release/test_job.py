"""What a task reads of its run and its job, from the Jobs API's own records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from databricks.sdk.errors import PermissionDenied
from databricks.sdk.service.jobs import (
    GitSnapshot,
    GitSource,
    Job,
    JobParameterDefinition,
    JobSettings,
    NotebookTask,
    Run,
    RunLifeCycleState,
    RunState,
    Task,
    TaskDependency,
)

from dbx_cd import ConfigError, WorkflowError
from dbx_cd.local.job_bundle import load_job
from dbx_cd.release.job import JobDefinition, RunFacts, job_definition, run_facts

REPOSITORY = Path(__file__).parents[3]
VARIABLES = {"artifacts_root": "/Volumes/ops/x/artifacts", "release_log": "ops.x.log", "approvers": "data_owners"}


@pytest.fixture(scope="module")
def settings() -> JobSettings:
    """The Workflow's own definition."""
    return load_job(REPOSITORY, variables=VARIABLES)


def notebook(key: str, name: str, *, after: str | None = None, **parameters: str) -> Task:
    return Task(
        task_key=key,
        notebook_task=NotebookTask(f"notebooks/{name}", base_parameters=parameters),
        depends_on=[TaskDependency(after)] if after else None,
    )


class Jobs:
    """Stands for the Jobs API: one run of one job."""

    def __init__(self, run: Run | Exception, job: Job | Exception | None = None) -> None:
        self.run, self.job = run, job

    def get_run(self, run_id: int, *, include_history: bool | None = None) -> Run:
        if isinstance(self.run, Exception):
            raise self.run
        assert run_id == self.run.run_id
        return self.run

    def get(self, job_id: int) -> Job:
        if isinstance(self.job, Exception):
            raise self.job
        assert self.job is not None
        assert job_id == self.job.job_id
        return self.job


def workspace(run: Run | Exception, job: Job | Exception | None = None) -> Any:
    me = SimpleNamespace(me=lambda: SimpleNamespace(user_name="release-bot"))
    return SimpleNamespace(jobs=Jobs(run, job), current_user=me)


def running(state: RunLifeCycleState = RunLifeCycleState.RUNNING, *, job_id: int | None = 7) -> Run:
    source = GitSource(git_url="x", git_provider=None, git_snapshot=GitSnapshot("a" * 40))  # type: ignore[arg-type]
    return Run(
        run_id=5, job_id=job_id, creator_user_name="ci", git_source=source, state=RunState(life_cycle_state=state)
    )


def test_the_workflow_s_own_definition_says_all_that_does_not_follow_the_commit(settings: JobSettings) -> None:
    standing = JobDefinition.of(settings).standing
    assert (standing.artifacts_root, standing.release_log, standing.approvers) == tuple(VARIABLES.values())
    assert (standing.gates, standing.staging) == (("prod",), "stg")


def test_gates_come_in_the_order_of_the_run_however_the_tasks_are_listed() -> None:
    tasks = [
        notebook("a_prod_gate", "approval_gate", after="uat_build", target="prod"),
        notebook("uat_build", "run_dbt", after="z_uat_gate", target="uat"),
        notebook("z_uat_gate", "approval_gate", after="stg_build", target="uat"),
        notebook("stg_build", "run_dbt", target="stg"),
    ]
    definition = JobDefinition.of(JobSettings(tasks=tasks))
    assert (definition.gates, definition.open_targets) == (("uat", "prod"), ("stg",))


def test_a_target_that_is_a_parameter_of_the_job_is_its_default() -> None:
    gate = notebook("gate", "approval_gate", target="{{job.parameters.where}}")
    job = JobSettings.from_dict({"parameters": [{"name": "where", "default": "prod"}]})
    assert JobDefinition.of(JobSettings(tasks=[gate], parameters=job.parameters)).gates == ("prod",)


@pytest.mark.parametrize("target", [{}, {"target": ""}, {"target": "{{tasks.x.values.y}}"}])
def test_a_gate_that_does_not_say_its_target_is_refused(target: Mapping[str, str]) -> None:
    with pytest.raises(ConfigError, match="the gate task gate does not say its target"):
        JobDefinition.of(JobSettings(tasks=[notebook("gate", "approval_gate", **target)]))


@pytest.mark.parametrize("name", ["artifacts_root", "project_dir", "profiles_dir", "warehouse_id", "compute"])
def test_a_run_that_overrides_what_the_job_has_settled_is_refused(settings: JobSettings, name: str) -> None:
    definition = JobDefinition.of(settings)
    with pytest.raises(ConfigError, match=f"this run overrides the parameter {name}: '/tmp/mine' in place of"):
        definition.require_not_overridden({name: "/tmp/mine"}, defaults={}, run_id="5")


def test_a_run_as_the_job_defines_it_is_not_refused(settings: JobSettings) -> None:
    definition = JobDefinition.of(settings)
    delivered = {**definition.parameters, "commit": "a" * 40, "reason": "merge", "target": "prod"}
    definition.require_not_overridden(delivered, defaults={}, run_id="5")


def test_what_the_job_does_not_say_has_to_be_the_notebook_s_own() -> None:
    bare = JobDefinition.of(JobSettings(tasks=[notebook("b", "run_dbt", target="stg")]))
    bare.require_not_overridden({"profiles_dir": ""}, defaults={"profiles_dir": ""}, run_id="5")
    with pytest.raises(ConfigError, match="overrides the parameter profiles_dir"):
        bare.require_not_overridden({"profiles_dir": "mine"}, defaults={"profiles_dir": ""}, run_id="5")


def test_what_a_task_is_given_by_the_job_is_not_overridden() -> None:
    own = JobDefinition.of(JobSettings(tasks=[notebook("b", "run_dbt", target="stg", profiles_dir="conf")]))
    own.require_not_overridden({"profiles_dir": "conf"}, defaults={"profiles_dir": ""}, run_id="5")


def with_parameters(**defaults: str) -> JobDefinition:
    parameters = [JobParameterDefinition(name=name, default=default) for name, default in defaults.items()]
    return JobDefinition.of(JobSettings(parameters=parameters))


@pytest.mark.parametrize(
    ("defaults", "compute", "warehouse"),
    [
        ({}, None, None),
        ({"warehouse_id": "", "compute": ""}, None, None),
        ({"warehouse_id": " abc "}, "warehouse", "abc"),
        ({"compute": "cluster", "warehouse_id": ""}, "cluster", None),
        ({"compute": "warehouse"}, "warehouse", None),
    ],
)
def test_where_dbt_s_sql_runs_is_the_job_s_to_say(
    defaults: dict[str, str], compute: str | None, warehouse: str | None
) -> None:
    standing = with_parameters(**defaults).standing
    assert (standing.compute, standing.warehouse_id) == (compute, warehouse)


@pytest.mark.parametrize(
    ("compute", "warehouse", "said"),
    [("cluster", "abc", "is 'cluster', and warehouse_id is 'abc' as well"), ("serverless", "", "warehouse or cluster")],
)
def test_a_job_that_says_two_places_or_none_that_there_is_is_refused(compute: str, warehouse: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        _ = with_parameters(compute=compute, warehouse_id=warehouse).standing


def test_facts_of_a_run_are_the_platform_s() -> None:
    assert run_facts(workspace(running()), "5") == RunFacts("ci", "a" * 40, 7)


@pytest.mark.parametrize("given", ["", "not a number"])
def test_a_run_that_cannot_be_read_says_so(given: str) -> None:
    with pytest.raises(WorkflowError, match="not the id of a run"):
        run_facts(workspace(running()), given)


@pytest.mark.parametrize("state", [RunLifeCycleState.TERMINATED, RunLifeCycleState.QUEUED, RunLifeCycleState.SKIPPED])
def test_a_task_that_names_another_run_is_refused(settings: JobSettings, state: RunLifeCycleState) -> None:
    there = workspace(running(state), Job(job_id=7, settings=settings))
    with pytest.raises(WorkflowError, match="run 5 is not under way, so this task is not of it"):
        job_definition(there, run_facts(there, "5"), run_id="5")


def test_a_run_of_a_job_of_somebody_else_is_none_of_the_workflow(settings: JobSettings) -> None:
    there = workspace(running(), Job(job_id=7, settings=settings, run_as_user_name="dev@example.org"))
    with pytest.raises(WorkflowError, match=r"of a job that runs as dev@example\.org, and this is release-bot"):
        job_definition(there, run_facts(there, "5"), run_id="5")
    own = workspace(running(), Job(job_id=7, settings=settings, run_as_user_name="Release-Bot"))
    assert job_definition(own, run_facts(own, "5"), run_id="5").gates == ("prod",)


def test_a_one_time_run_is_no_run_of_the_workflow() -> None:
    there = workspace(running(job_id=None))
    with pytest.raises(WorkflowError, match="of no saved job"):
        job_definition(there, run_facts(there, "5"), run_id="5")


def test_a_job_that_may_not_be_viewed_is_not_guessed_at() -> None:
    there = workspace(running(), PermissionDenied("no"))
    with pytest.raises(
        WorkflowError, match=r"job cannot be read: permission denied: no \(job 7\)\. Next: .*CAN VIEW on the job"
    ):
        job_definition(there, run_facts(there, "5"), run_id="5")
