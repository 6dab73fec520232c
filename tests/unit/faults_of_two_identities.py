"""Faults between the two halves of a release, where what has a gate is built by a job and an identity of its own."""

from __future__ import annotations

from dataclasses import replace

from planted_faults import Edit, Fault, more, of

SECOND = "resources/dbx_cd_production.job.yml"
GIT = "{git_url: https://git.example.org/x.git, git_provider: gitHub, git_branch: main}"


def second(edit: Edit) -> Edit:
    """The edit, in the file of the second half."""
    return replace(edit, file=SECOND)


TWO_IDENTITIES = [
    Fault(
        "gate of the commit",
        "code-of-the-commit",
        "is what a commit brings",
        "notebook_path",
        (
            second(Edit("(?=      queue:)", f"      git_source: {GIT}\n")),
            second(of("approval_gate", "notebook_path: .*", "notebook_path: notebooks/approval_gate")),
            second(of("approval_gate", "source: .*", "source: GIT")),
        ),
        task="approval_gate",
        file=SECOND,
    ),
    Fault(
        "the same identity",
        "one-identity",
        "any merged macro may write",
        "run_as:",
        (
            second(
                Edit(r"service_principal_name: \$\{var.production_run_as\}", "service_principal_name: ${var.run_as}")
            ),
            second(Edit(r'.*\{service_principal_name: "\$\{var.production_run_as\}".*\n', "")),
        ),
        file=SECOND,
    ),
    Fault(
        "another staging",
        "one-identity",
        "staging_identity is somebody, and the job that starts this one runs as id-of-run_as",
        "{name: staging_identity",
        (
            second(Edit(r'(?<=\{name: staging_identity, default: )"\$\{var.run_as\}"', "somebody")),
            second(Edit("permissions:\n", "permissions:\n        - {user_name: somebody, level: CAN_MANAGE_RUN}\n")),
        ),
        file=SECOND,
    ),
    Fault(
        "staging may not start it",
        "run-as-rights",
        "id-of-run_as, which builds staging, may not start it",
        "permissions",
        (second(Edit(r'(?<=\{service_principal_name: "\$\{var.run_as\}", level: )\w+', "CAN_VIEW")),),
        file=SECOND,
    ),
    Fault(
        "staging may change it",
        "run-as-manages",
        "id-of-run_as, which builds staging, may change it",
        '{service_principal_name: "${var.run_as}"',
        (second(Edit(r'(?<=\{service_principal_name: "\$\{var.run_as\}", level: )\w+', "CAN_MANAGE")),),
        file=SECOND,
    ),
    Fault(
        "production may not see the first half",
        "run-as-rights",
        "may not see who asked for a release",
        "permissions",
        (Edit(r'.*\{service_principal_name: "\$\{var.production_run_as\}".*\n', ""),),
    ),
    Fault(
        "approvers may not see it",
        "approvers-rights",
        "may not see what waits",
        "permissions",
        (second(Edit(r".*\$\{var.approvers\}.*level: CAN_VIEW.*\n", "")),),
        file=SECOND,
    ),
    Fault(
        "run of nobody",
        "run-id",
        "release_run_id is not handed over",
        "job_parameters",
        (of("production", r"release_run_id: .*\n *", ""),),
        task="production",
    ),
    Fault(
        "run of another",
        "run-id",
        "release_run_id is '5'",
        "release_run_id",
        (of("production", "release_run_id: .*", "release_run_id: '5'"),),
        task="production",
    ),
    Fault(
        "parameter that it has not",
        "unread-parameter",
        "the job that it starts has no parameter full_refesh",
        "full_refesh",
        (of("production", "full_refresh:", "full_refesh:"),),
        task="production",
    ),
    Fault(
        "handed over what is settled",
        "overrides-task",
        "it hands over release_log",
        "release_log",
        (of("production", "(?=full_refresh:)", "release_log: a.b.c\n              "),),
        task="production",
    ),
    Fault(
        "no release",
        "no-parameter",
        "no parameter release_run_id",
        "parameters:",
        (second(Edit(r".*\{name: release_run_id.*\n", "")),),
        file=SECOND,
    ),
    Fault(
        "release that is fixed",
        "fixed-commit",
        "would release that one",
        "{name: release_run_id",
        (second(Edit(r'(?<=\{name: release_run_id, default: )""', '"5"')),),
        file=SECOND,
    ),
    Fault(
        "started before the test",
        "untested",
        "it does not wait for stg_smoke",
        "depends_on",
        (of("production", "depends_on: .*", "depends_on: [{task_key: stg_build}]"),),
        task="production",
    ),
    Fault(
        "started although the test failed",
        "untested",
        "runs by ALL_DONE",
        "run_if",
        (more("production", "run_if: ALL_DONE"),),
        task="production",
    ),
    Fault(
        "no test",
        "untested",
        "no task tests stg before it starts the second half",
        "depends_on",
        (
            Edit(r"(?s)        - task_key: stg_smoke.*(?=        # All that has a gate)", ""),
            of("production", "depends_on: .*", "depends_on: [{task_key: stg_build}]"),
        ),
        task="production",
    ),
    Fault(
        "build past the gate",
        "past-the-gate",
        "runs by ALL_DONE",
        "run_if",
        (second(more("prod_build", "run_if: ALL_DONE")),),
        task="prod_build",
        file=SECOND,
    ),
]
