"""What the linter finds, and everything that it looks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Severity: TypeAlias = Literal["fail", "warn"]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong, or that may be, in the definition of a job."""

    rule: str
    """What was looked for: a key of `RULES`."""
    severity: Severity
    """`fail`: it cannot work, or takes something away that the Workflow promises; `warn`: somebody should know."""
    where: str
    """The file, its line, and the key of the task."""
    message: str
    """What is wrong."""
    next_step: str
    """What to do."""

    @classmethod
    def of(cls, rule: str, where: str, message: str, next_step: str) -> Finding:
        """A finding of a rule, as severe as the rule is."""
        return cls(rule, RULES[rule].severity, where, message, next_step)

    def __str__(self) -> str:
        return f"{self.severity}: {self.where}: {self.message}. Next: {self.next_step}"


@dataclass(frozen=True)
class Rule:
    """Something that the linter looks for."""

    severity: Severity
    """How bad it is."""
    finds: str
    """What it finds, as docs/linter.md lists it."""


def _fail(finds: str) -> Rule:
    return Rule("fail", finds)


def _warn(finds: str) -> Rule:
    return Rule("warn", finds)


RULES: Mapping[str, Rule] = {
    # The files.
    "unreadable": _fail("a file of the bundle or the project's `dbx_cd.yml` cannot be read; a key is there twice"),
    "no-workflow": _fail("no job of the bundle is a Workflow: none has a gate or a build of ours"),
    "bundle-key": _fail("a key that bundles or their targets do not have"),
    "no-variable": _fail("`${var.name}` of a variable that is not declared"),
    "variable-value": _warn("a variable that is used and has no value in the files"),
    "includes-nothing": _warn("`include` matches no file"),
    "development-mode": _fail("the job is deployed in `mode: development`, and builds a gated target"),
    "runs-job": _warn("`run_job_task` starts a job that is not in the bundle: nobody sees whether it builds"),
    "two-workflows": _fail("two jobs of the bundle build the same target of the same project"),
    "dbt-elsewhere": _warn("another job of the bundle runs dbt for a gated target"),
    # Spelling.
    "unknown-key": _fail("a key or value that the Jobs API does not know"),
    "wrong-kind": _fail("a value of another kind than the Jobs API takes, or none where it needs one"),
    "permission": _fail("a line of `permissions` that gives no level of a job to exactly one principal"),
    # Tasks.
    "task-key": _fail("a task without a key, or with one that the Jobs API refuses"),
    "twice": _fail("two tasks, clusters, environments or parameters of one name: one would silently be lost"),
    "no-such-task": _fail("`depends_on` names a task that there is not"),
    "circle": _fail("tasks that wait for each other, or for themselves"),
    "task-type": _fail("a task of no type, or of two"),
    "outcome": _fail("`outcome` of a task that is no condition"),
    "disabled": _fail("a disabled task: what comes after it does not run"),
    # References.
    "reference": _fail("`{{...}}` that means nothing: the task would get it as text"),
    "undeclared-parameter": _fail("`{{job.parameters.name}}` of a parameter that the job has not"),
    "task-value": _fail("a value of a task that is not before this one, or that it does not set"),
    # Notebooks and parameters.
    "no-notebook": _fail("a notebook that is not there"),
    "notebook-elsewhere": _fail("a notebook of ours from a folder of the workspace, which is not the repository's"),
    "notebook-source": _fail("a notebook that is no Python, or not what its name says"),
    "no-project": _fail("no `dbt_project.yml` in the folder that the parameter `project_dir` names"),
    "unread-parameter": _fail("a parameter that the notebook does not read"),
    "no-target": _fail("a task that does not say its target"),
    "unknown-target": _fail("a target that `dbx_cd.yml` does not have"),
    "gate-of-open-target": _warn("a gate for a target that is not gated in `dbx_cd.yml`"),
    "run-id": _fail("`run_id` is not handed over as `{{job.run_id}}`"),
    "boolean": _fail("a parameter that must be true or false, and is not"),
    "selection": _fail("a build or a gate that asks for what cannot be built, such as a flag or another command"),
    "profiles-dir": _fail("a folder of `profiles.yml` that is relative, and so follows the checkout"),
    "no-volume": _warn("`artifacts_root` that is no folder on a Volume, and may go with a cluster"),
    "no-place": _fail("`release_log` that names no table"),
    "no-parameter": _fail("the job lacks a parameter that it has to settle, such as `artifacts_root`"),
    "differs-from-settings": _warn("the job settles something otherwise than `dbx_cd.yml` has it"),
    "overrides-task": _fail("a parameter of the job that would override those of tasks, such as `target`"),
    "fixed-commit": _fail("the parameter `commit` has a default: a run by hand would release that one"),
    "always-full-refresh": _warn("the parameter `full_refresh` is true for each release"),
    "asks-for-other": _fail("a gate asks for another selection than its build builds"),
    "defers-elsewhere": _warn(
        "a gated build's `state_path` is not that of the target it is promoted from, which counts"
    ),
    # The gate.
    "past-the-gate": _fail("a gated target can be built without its gate having passed"),
    "not-a-gate": _fail("a gate whose notebook does not require the approval"),
    "hidden-build": _fail("a task that builds under another name than `run_dbt`, or runs dbt beside the Workflow"),
    "repeated": _fail("a gate or a build inside a `for_each_task`"),
    "conditional-gate": _fail("a gate that a condition may leave out"),
    "untested": _fail("nobody tests staging before the gate asks"),
    "gates-out-of-order": _fail("gates in another order than `dbx_cd.yml` has them"),
    "built-twice": _fail("two tasks build the same target"),
    "smoke-before-build": _fail("a smoke test that does not come after the build of its target"),
    "unguarded": _warn("nobody tests a gated target after its build"),
    "no-rollback": _warn("no task rolls a gated target back"),
    "rollback-never": _warn("a rollback that does not run when it is needed"),
    "docs-too-early": _warn("docs of a target that are published before it is tested"),
    # Compute.
    "two-computes": _fail("a task with two kinds of compute"),
    "no-such-compute": _fail("a cluster or an environment that the job does not define"),
    "unused-compute": _warn("a cluster or an environment that no task uses"),
    "no-compute": _fail("a task without compute in a job whose other tasks have a cluster, or that needs one"),
    "existing-cluster": _warn("a task on a cluster that others use as well"),
    "serverless-libraries": _fail("libraries of a task on serverless compute, which takes none"),
    "access-mode": _fail("a cluster that is not for one identity alone"),
    "old-runtime": _fail("a runtime that is older than 16.4 LTS"),
    "library-path": _fail("a wheel or requirements that lie neither on a Volume nor in the workspace"),
    "dbt-flag": _fail("a variable of the cluster that changes what dbt builds, unseen by who approves"),
    "retention": _fail("a cluster on which VACUUM may remove what a rollback needs"),
    "libraries-differ": _warn("tasks that share a cluster and name different libraries"),
    "no-wheel": _fail("a task of ours on a cluster without the wheel"),
    # How it runs.
    "concurrent-runs": _fail("more than one run at a time, or none"),
    "no-queue": _fail("no queue: a second merge would be skipped"),
    "starts-by-itself": _fail("a schedule, a trigger or `continuous`, which name no commit"),
    "retries": _fail("a gate, a build or a rollback that is tried again by itself"),
    "timeout": _fail("a build or a rollback that is cut off after a while, or a whole run that is"),
    "git-reference": _fail("not exactly one of branch, tag and commit"),
    "no-git": _fail("notebooks of the repository, and no `git_source`"),
    "no-notification": _warn("nobody hears that a release fails or waits"),
    # Two identities.
    "code-of-the-commit": _fail("the second half of a release runs notebooks that a commit brings"),
    "one-identity": _fail("the second half runs as the identity that builds staging, or believes another one"),
    # Rights.
    "no-run-as": _fail("nobody is named whom the job runs as"),
    "placeholder": _fail("an identity whose application id nobody has filled in yet"),
    "runs-as-person": _fail("the job runs as a person"),
    "run-as-rights": _fail("the identity that the job runs as may not see its own runs"),
    "run-as-manages": _fail("the identity that the job runs as may change the job"),
    "approvers-rights": _fail("the approvers may not repair a waiting run"),
    "approvers-manage": _fail("the approvers may change the job, and so take the gate away"),
    "everyone": _fail("all users of the workspace may start, repair or change the job"),
    "owner": _fail("two owners, or a group as the owner"),
    "principal-twice": _fail("two levels for one principal"),
    "secret": _fail("a secret in clear"),
}
"""Everything that is looked for, by its name."""
