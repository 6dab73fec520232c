"""What the platform says of the run that a task belongs to, and of the job behind it.

A task is handed parameters, and whoever may start or repair a run may override each of them (Jobs API: `job_parameters`
of run-now and repair). The job's definition is for those alone who may edit the job.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, cast, get_args

from dbx_cd.config import Compute
from dbx_cd.errors import ConfigError, WorkflowError
from dbx_cd.people import same_person
from dbx_cd.release.jobs import Jobs
from dbx_cd.release.standing import Standing
from dbx_cd.workspace_calls import whoami

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from databricks.sdk.service.jobs import JobSettings, Run, RunTask, Task

GATE_NOTEBOOK = "approval_gate"
BUILD_NOTEBOOK = "run_dbt"
ROLLBACK_NOTEBOOK = "auto_rollback"
JOB_WIDGETS = (
    *("run_id", "release_run_id", "commit", "artifacts_root", "release_log", "approvers", "reason"),
    *("compute", "warehouse_id"),
)
"""What every task is given, by the job's parameters; but `run_id`, which each task hands over itself."""
SETTLED = (
    *("artifacts_root", "release_log", "approvers", "project_dir", "profiles_dir", "compute", "warehouse_id"),
    "staging_identity",
)
"""The job parameters that nobody may override for one run."""
_REFERENCE = re.compile(r"\{\{\s*job\.parameters\.(\w+)\s*\}\}")
# Of the run as a whole. A task only runs in a run that does; PENDING is one whose first cluster starts.
_UNDER_WAY = ("RUNNING", "PENDING", "TERMINATING")


@dataclass(frozen=True)
class RunFacts:
    """What the platform says about the run a task belongs to."""

    creator: str
    """Who started it, as the platform names them."""
    used_commit: str | None
    """The commit of its checkout, where it has one."""
    job_id: int | None = None
    """The job that it is a run of; None for a one-time run."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The job's parameters as this run has them."""
    is_under_way: bool = True
    """Whether tasks of it can be at work now."""


@dataclass(frozen=True)
class JobDefinition:
    """What the job says by itself, whatever one of its runs was started with."""

    parameters: Mapping[str, str] = field(default_factory=dict)
    """The default of each job parameter."""
    gates: tuple[str, ...] = ()
    """The targets of its gate tasks, in the order in which a run comes to them."""
    open_targets: tuple[str, ...] = ()
    """The targets that its tasks build and that have no gate."""
    of_tasks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """What its tasks give parameters that are settled, by name: a task may have one that the job has not."""

    @classmethod
    def of(cls, settings: JobSettings) -> JobDefinition:
        """Read a job's settings.

        Raises:
            ConfigError: a gate task does not say its target.
        """
        parameters = {p.name: p.default or "" for p in settings.parameters or () if p.name}
        tasks = {t.task_key: t for t in settings.tasks or () if t.task_key}
        gated = {key: _target(task, parameters) for key, task in tasks.items() if notebook_name(task) == GATE_NOTEBOOK}
        silent = sorted(key for key, target in gated.items() if not target)
        if silent:
            raise ConfigError(
                f"the gate task {silent[0]} does not say its target",
                where="the job's definition",
                next_step="give it the parameter target, written out, in resources/dbx_cd.job.yml",
            )
        # The Jobs API may list tasks in any order; how many gates come before says which is first.
        order = sorted(gated, key=lambda key: (len(_before(key, tasks) & set(gated)), key))
        gates = tuple(dict.fromkeys(gated[key] for key in order))
        built = (_target(task, parameters) for task in tasks.values() if notebook_name(task) == BUILD_NOTEBOOK)
        given = {
            name: frozenset(given_value(task, name, parameters) for task in tasks.values()) - {""} for name in SETTLED
        }
        return cls(parameters, gates, tuple(dict.fromkeys(t for t in built if t and t not in gates)), given)

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> JobDefinition:
        """Read a job's settings as the Jobs API writes them; errors are those of `of`."""
        from databricks.sdk.service.jobs import JobSettings

        return cls.of(JobSettings.from_dict(dict(settings)))

    @property
    def compute(self) -> Compute | None:
        """Where the job has dbt's SQL run; None where it leaves that to the project.

        Raises:
            ConfigError: it is neither of the two, or both.
        """
        named, warehouse = (self.parameters.get(name, "").strip() for name in ("compute", "warehouse_id"))
        if named not in ("", *get_args(Compute)) or (named == "cluster" and warehouse):
            wrong = f"warehouse_id is {warehouse!r} as well" if warehouse else "it can be warehouse or cluster"
            raise ConfigError(
                f"the job's parameter compute is {named!r}, and {wrong}",
                where="the job's definition",
                next_step="leave compute or warehouse_id empty in resources/dbx_cd.job.yml",
            )
        return cast("Compute", named) if named else ("warehouse" if warehouse else None)

    @property
    def standing(self) -> Standing:
        """What does not follow the commit, as far as this job says it."""
        return Standing(
            source="the job's definition",
            artifacts_root=self.parameters.get("artifacts_root") or None,
            release_log=self.parameters.get("release_log") or None,
            approvers=self.parameters.get("approvers") or None,
            compute=self.compute,
            warehouse_id=self.parameters.get("warehouse_id", "").strip() or None,
            gates=self.gates,
            open_targets=self.open_targets,
            is_in_order=bool(self.gates),
            staging=self.open_targets[0] if len(self.open_targets) == 1 else None,
        )

    def require_not_overridden(self, delivered: Mapping[str, str], *, defaults: Mapping[str, str], run_id: str) -> None:
        """Refuse a run that was started or repaired with another value of what the job has settled.

        Args:
            delivered: the parameters as the task got them.
            defaults: what the notebook itself says where the job says nothing.
            run_id: the run.

        Raises:
            ConfigError: one of them is not as the job has it; the message has both values.
        """
        for name in set(SETTLED) & set(delivered):
            settled = {self.parameters.get(name, defaults.get(name, "")).strip(), *self.of_tasks.get(name, ())}
            if delivered[name].strip() not in settled:
                raise ConfigError(
                    f"this run overrides the parameter {name}: "
                    f"{delivered[name]!r} in place of {' or '.join(map(repr, sorted(settled)))}",
                    where=f"run {run_id}",
                    next_step="start the run without it (python -m dbx_cd trigger); what is to change for good "
                    "belongs into the job's definition",
                )


def as_the_api_writes(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a job with what the SDK's own types make of them, so that two can be compared."""
    from databricks.sdk.service.jobs import JobSettings

    return JobSettings.from_dict(dict(settings)).as_dict()


def run_facts(workspace: WorkspaceClient, run_id: str) -> RunFacts:
    """Who started a run, which job it is of, and which commit its checkout is at.

    Raises:
        WorkflowError: the platform knows no such run, or this user may not see it.
    """
    if not run_id.isdecimal():
        raise WorkflowError(
            f"not the id of a run: {run_id!r}", next_step="let the job hand over run_id itself, as {{job.run_id}}"
        )
    run = Jobs(workspace).run(int(run_id))
    snapshot = run.git_source.git_snapshot if run.git_source else None
    return RunFacts(
        creator=run.creator_user_name or "",
        used_commit=snapshot.used_commit if snapshot else None,
        job_id=run.job_id,
        parameters={p.name: p.value or p.default or "" for p in run.job_parameters or () if p.name},
        is_under_way=_life_cycle(run) in (None, *_UNDER_WAY),
    )


def job_definition(workspace: WorkspaceClient, facts: RunFacts, *, run_id: str) -> JobDefinition:
    """The definition of the job that a run is of.

    Raises:
        WorkflowError: the run is over, so no task of it can ask; it is of no saved job, of one that runs as somebody
            else, or that cannot be read.
        ConfigError: a gate task does not say its target.
    """
    if not facts.is_under_way:
        # Whoever overrides run_id would take another run's release, and who started that one for the requester.
        raise WorkflowError(
            f"run {run_id} is not under way, so this task is not of it",
            next_step="let the job hand over run_id itself, as {{job.run_id}}",
        )
    if facts.job_id is None:
        raise WorkflowError(
            f"run {run_id} is of no saved job, whose definition would say where log and artifacts are",
            next_step="run the Workflow's own job",
        )
    job = Jobs(workspace).job(facts.job_id)
    if job.settings is None:
        raise WorkflowError(f"job {facts.job_id} has no settings", next_step="deploy the Workflow's job")
    me = whoami(workspace).user_name
    # "The email of an active workspace user or the application ID of a service principal" (Jobs API documentation).
    if job.run_as_user_name and not same_person(job.run_as_user_name, me):
        raise WorkflowError(
            f"run {run_id} is of a job that runs as {job.run_as_user_name}, and this is {me}",
            next_step="let the job hand over run_id itself, as {{job.run_id}}",
        )
    return JobDefinition.of(job.settings)


def _life_cycle(run: Run) -> str | None:
    state = run.state.life_cycle_state if run.state is not None else None
    return None if state is None else state.value


def notebook_name(task: Task | RunTask) -> str | None:
    """The name of the notebook that a task runs, without its folder; None for another kind of task."""
    return PurePosixPath(task.notebook_task.notebook_path.removesuffix(".py")).name if task.notebook_task else None


def gate_target(task: Task | RunTask, parameters: Mapping[str, str]) -> str | None:
    """The target that a gate task asks about; None for any other task."""
    return _target(task, parameters) if notebook_name(task) == GATE_NOTEBOOK else None


def _target(task: Task | RunTask, parameters: Mapping[str, str]) -> str:
    """The target that a notebook task names; "" where it names none, or by a reference that nothing resolves."""
    target = given_value(task, "target", parameters)
    return "" if "{{" in target else target


def given_value(task: Task | RunTask, name: str, parameters: Mapping[str, str]) -> str:
    """What a notebook task gives a parameter, with references to the job's parameters resolved; "" for nothing."""
    given = (task.notebook_task.base_parameters or {}) if task.notebook_task is not None else {}
    return _REFERENCE.sub(lambda found: parameters.get(found[1], ""), str(given.get(name) or "")).strip()


def _before(key: str, tasks: Mapping[str, Task]) -> set[str]:
    """The tasks that have to end before another one begins, directly or not."""
    seen: set[str] = set()
    waiting = [key]
    while waiting:
        task = tasks.get(waiting.pop())
        more = {d.task_key for d in (task.depends_on if task is not None else None) or ()} - seen
        seen |= more
        waiting += more
    return seen


def build_target(task: Task | RunTask, parameters: Mapping[str, str]) -> str | None:
    """The target that a build task builds, "" where nothing says it; None for any other task."""
    return _target(task, parameters) if notebook_name(task) == BUILD_NOTEBOOK else None


def is_rollback_task(task: Task | RunTask) -> bool:
    """Whether a task is one that rolls a failed deploy back."""
    return notebook_name(task) == ROLLBACK_NOTEBOOK
