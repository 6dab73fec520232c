"""Faults of compute, of how the job runs, and of rights."""

from __future__ import annotations

from planted_faults import BUNDLE, Edit, Fault, key, more, of, of_job

from dbx_cd.setup.bundle_options import NOBODY

COMPUTE = [
    Fault(
        "two computes",
        "two-computes",
        "job_cluster_key and new_cluster",
        "new_cluster",
        (more("docs_refresh", "new_cluster: {spark_version: 16.4.x-scala2.12, data_security_mode: SINGLE_USER}"),),
        task="docs_refresh",
    ),
    Fault(
        "no such cluster",
        "no-such-compute",
        "there is no cluster relese",
        "job_cluster_key: relese",
        (of("docs_refresh", "job_cluster_key: release", "job_cluster_key: relese"),),
        task="docs_refresh",
    ),
    Fault(
        "no such environment",
        "no-such-compute",
        "there is no environment default",
        "environment_key",
        (of("docs_refresh", r"job_cluster_key: release\n *libraries: .*", "environment_key: default"),),
        task="docs_refresh",
    ),
    Fault(
        "unused cluster",
        "unused-compute",
        "no task runs on cluster spare",
        "job_cluster_key: spare",
        (
            Edit(
                r"(?=      tasks:\n)",
                "        - job_cluster_key: spare\n          new_cluster: {spark_version: 17.3.x-scala2.13,"
                " data_security_mode: DATA_SECURITY_MODE_DEDICATED}\n\n",
            ),
        ),
    ),
    Fault(
        "no compute",
        "no-compute",
        "it would run serverless, and stg_build on a cluster",
        key("docs_refresh").strip(),
        (of("docs_refresh", r"job_cluster_key: release\n *libraries: .*", "description: serverless"),),
        task="docs_refresh",
    ),
    Fault(
        "notebook on a warehouse",
        "no-compute",
        "a SQL warehouse, which runs no Python",
        "warehouse_id",
        (of("docs_refresh", "(?=source: GIT)", "warehouse_id: abc\n            "),),
        task="docs_refresh",
    ),
    Fault(
        "cluster of others",
        "existing-cluster",
        "others use and may change",
        "existing_cluster_id",
        (of("docs_refresh", "job_cluster_key: release", "existing_cluster_id: 0923-abc"),),
        task="docs_refresh",
    ),
    Fault(
        "libraries on serverless",
        "serverless-libraries",
        "where a task's libraries do not count",
        "libraries",
        (
            of("docs_refresh", "job_cluster_key: release", "environment_key: default"),
            of_job("environments: [{environment_key: default, spec: {environment_version: '4'}}]"),
        ),
        task="docs_refresh",
    ),
    Fault(
        "cluster for all",
        "access-mode",
        "data_security_mode is USER_ISOLATION",
        "data_security_mode",
        (Edit("data_security_mode: SINGLE_USER", "data_security_mode: USER_ISOLATION"),),
    ),
    Fault(
        "cluster of nobody",
        "access-mode",
        "data_security_mode is not set",
        "new_cluster",
        (Edit("\n *data_security_mode: SINGLE_USER", ""),),
    ),
    Fault(
        "cluster for another",
        "access-mode",
        "the cluster is for me",
        "single_user_name",
        (Edit("(?=data_security_mode: SINGLE_USER)", "single_user_name: me\n            "),),
    ),
    Fault(
        "old runtime",
        "old-runtime",
        "15.4.x-scala2.12 is older than 16.4 LTS",
        "spark_version",
        (Edit("spark_version: .*", "spark_version: 15.4.x-scala2.12"),),
    ),
    Fault(
        "wheel on dbfs",
        "library-path",
        "dbfs:/.* is on no Volume",
        "dbfs:",
        (Edit(r"whl: .*", "whl: dbfs:/dbx_cd.whl"),),
    ),
    Fault(
        "flag of dbt on the cluster",
        "dbt-flag",
        "DBT_FULL_REFRESH changes what dbt builds",
        "DBT_FULL_REFRESH",
        (Edit("(?=num_workers:)", "spark_env_vars: {DBT_FULL_REFRESH: '1'}\n            "),),
    ),
    Fault(
        "profiles of the cluster in the checkout",
        "profiles-dir",
        "in config, in the checkout",
        "DBT_PROFILES_DIR",
        (Edit("(?=num_workers:)", "spark_env_vars: {DBT_PROFILES_DIR: config}\n            "),),
    ),
    Fault(
        "retention that nobody checks",
        "retention",
        "VACUUM removes what a rollback needs",
        "retentionDurationCheck",
        (
            Edit(
                "(?=num_workers:)",
                "spark_conf: {spark.databricks.delta.retentionDurationCheck.enabled: 'false'}\n            ",
            ),
        ),
    ),
    Fault(
        "other libraries on the same cluster",
        "libraries-differ",
        "not those of stg_build, and both run on release",
        "libraries",
        (of("docs_refresh", r"libraries: .*", "libraries: [{whl: /Volumes/a/b/c/dbx_cd.whl}]"),),
        task="docs_refresh",
    ),
    Fault(
        "no wheel",
        "no-wheel",
        "its libraries have no wheel",
        "libraries",
        (of("docs_refresh", r"libraries: .*", "libraries: []"),),
        task="docs_refresh",
    ),
]

RUNS = [
    Fault(
        "two runs at once",
        "concurrent-runs",
        "2 runs at a time",
        "max_concurrent_runs",
        (Edit("max_concurrent_runs: 1", "max_concurrent_runs: 2"),),
    ),
    Fault(
        "no runs",
        "concurrent-runs",
        "every run would be skipped",
        "max_concurrent_runs",
        (Edit("max_concurrent_runs: 1", "max_concurrent_runs: 0"),),
    ),
    Fault("no queue", "no-queue", "a second merge", "dbx_cd:", (Edit(r" *queue: .*\n", ""),)),
    Fault(
        "queue that is off", "no-queue", "a second merge", "queue: {", (Edit("queue: .*", "queue: {enabled: false}"),)
    ),
    Fault(
        "schedule",
        "starts-by-itself",
        "`schedule` starts it without a commit",
        "schedule",
        (of_job('schedule: {quartz_cron_expression: "0 0 8 * * ?", timezone_id: UTC, pause_status: PAUSED}'),),
    ),
    Fault(
        "continuous",
        "starts-by-itself",
        "`continuous`",
        "continuous",
        (of_job("continuous: {pause_status: UNPAUSED}"),),
    ),
    Fault(
        "trigger",
        "starts-by-itself",
        "`trigger`",
        "trigger: {",
        (of_job("trigger: {file_arrival: {url: /Volumes/a/b/c/}}"),),
    ),
    Fault(
        "gate tried again",
        "retries",
        "tried again 3 times: it would ask again",
        "max_retries",
        (more("approval_gate", "max_retries: 3"),),
        task="approval_gate",
    ),
    Fault(
        "build tried again without end",
        "retries",
        "without end: it would build again",
        "max_retries",
        (more("prod_build", "max_retries: -1"),),
        task="prod_build",
    ),
    Fault(
        "rollback after a timeout",
        "retries",
        "after a timeout",
        "retry_on_timeout",
        (more("auto_rollback", "retry_on_timeout: true"),),
        task="auto_rollback",
    ),
    Fault(
        "build cut off",
        "timeout",
        "cut off after 3600 s",
        "timeout_seconds",
        (more("prod_build", "timeout_seconds: 3600"),),
        task="prod_build",
    ),
    Fault("run cut off", "timeout", "the whole run is cut off", "timeout_seconds", (of_job("timeout_seconds: 3600"),)),
    Fault(
        "branch and commit",
        "git-reference",
        "git_branch and git_commit",
        "git_commit: ",
        (Edit("(?=git_branch: main)", "git_commit: 0123456789abcdef0123456789abcdef01234567\n        "),),
    ),
    Fault(
        "branch and tag",
        "git-reference",
        "git_branch and git_tag",
        "git_tag",
        (Edit("(?=git_branch: main)", "git_tag: v1\n        "),),
    ),
    Fault("no branch", "git-reference", "no branch, tag or commit", "git_source", (Edit(" *git_branch: main\n", ""),)),
    Fault(
        "no repository",
        "no-git",
        "of stg_build, stg_smoke, approval_gate and 4 more .* no git_source",
        "source: GIT",
        (Edit(r" *git_source:\n( {8}(git|#).*\n)+", ""),),
    ),
    Fault("no mail", "no-notification", "nobody is told", "email_notifications", (Edit("on_failure", "on_success"),)),
]

RIGHTS = [
    Fault(
        "nobody", "no-run-as", "nobody is named", "dbx_cd:", (Edit(r" *run_as:\n *service_principal_name: .*\n", ""),)
    ),
    Fault(
        "a person",
        "runs-as-person",
        "it runs as me@example.org",
        "run_as",
        (
            Edit(r"service_principal_name: \$\{var.run_as\}", "user_name: me@example.org"),
            Edit("permissions:\n", "permissions:\n        - {user_name: me@example.org, level: CAN_MANAGE_RUN}\n"),
        ),
    ),
    Fault(
        "no right to see itself",
        "run-as-rights",
        "may not do with its own runs what tasks do",
        "permissions",
        (Edit(r'.*\{service_principal_name: "\$\{var.run_as\}".*\n', ""),),
    ),
    Fault(
        "right to see itself alone",
        "run-as-rights",
        "may not do with its own runs what tasks do",
        "permissions",
        (Edit(r'(?<=\{service_principal_name: "\$\{var.run_as\}", level: )\w+', "CAN_VIEW"),),
    ),
    Fault(
        "right to change itself",
        "run-as-manages",
        "so may every macro",
        '{service_principal_name: "${var.run_as}"',
        (Edit(r'(?<=\{service_principal_name: "\$\{var.run_as\}", level: )\w+', "CAN_MANAGE"),),
    ),
    Fault(
        "approvers may not repair",
        "approvers-rights",
        "a decision leads to nothing",
        "permissions",
        (Edit(r'(?<=\{group_name: "\$\{var.approvers\}", level: )\w+', "CAN_VIEW"),),
    ),
    Fault(
        "approvers may change it",
        "approvers-manage",
        "take the gate out",
        '{group_name: "${var.approvers}"',
        (Edit(r'(?<=\{group_name: "\$\{var.approvers\}", level: )\w+', "CAN_MANAGE"),),
    ),
    Fault(
        "everybody may run it",
        "everyone",
        "users is everybody",
        "{group_name: users",
        (Edit("permissions:\n", "permissions:\n        - {group_name: users, level: CAN_MANAGE_RUN}\n"),),
    ),
    Fault(
        "nobody yet",
        "placeholder",
        "whom it runs as is not filled in",
        "run_as:",
        (Edit(r"service_principal_name: \$\{var.run_as\}", f"service_principal_name: {NOBODY}"),),
    ),
    Fault(
        "right of nobody yet",
        "placeholder",
        "whose right this is",
        '{service_principal_name: "${var.ci}"',
        (Edit("(?<=default: )id-of-ci", NOBODY, file=BUNDLE),),
    ),
    Fault(
        "two owners",
        "owner",
        "b is a second owner",
        "{user_name: b",
        (
            Edit(
                "permissions:\n",
                "permissions:\n        - {user_name: a, level: IS_OWNER}\n        - {user_name: b, level: IS_OWNER}\n",
            ),
        ),
    ),
    Fault(
        "group as the owner",
        "owner",
        "a group cannot be the owner",
        "{group_name: a",
        (Edit("permissions:\n", "permissions:\n        - {group_name: a, level: IS_OWNER}\n"),),
    ),
    Fault(
        "two levels",
        "principal-twice",
        "ci has two levels",
        "{service_principal_name: ci, level: CAN_VIEW",
        (
            Edit(
                "permissions:\n",
                "permissions:\n        - {service_principal_name: ci, level: CAN_MANAGE}\n"
                "        - {service_principal_name: ci, level: CAN_VIEW}\n",
            ),
        ),
    ),
    Fault(
        "secret of the cluster",
        "secret",
        "DBT_PASSWORD has a secret in clear",
        "spark_env_vars",
        (Edit("(?=num_workers:)", "spark_env_vars: {DBT_PASSWORD: hunter2}\n            "),),
    ),
    Fault(
        "token under another name",
        "secret",
        "HELLO has a secret",
        "spark_env_vars",
        (Edit("(?=num_workers:)", "spark_env_vars: {HELLO: dapi0123456789abcdef0123456789abcdef}\n            "),),
    ),
    Fault(
        "secret of a task",
        "secret",
        "exclude has a secret in clear .task stg_build",
        "exclude",
        (of("stg_build", "exclude: .*", "exclude: ghp_0123456789012345678901234567890123456789"),),
    ),
    Fault(
        "secret as a parameter",
        "secret",
        "api_key has a secret",
        "{name: api_key",
        (Edit(r"(?=        - \{name: reason)", "        - {name: api_key, default: abc}\n"),),
    ),
    Fault(
        "password in the repository's address",
        "secret",
        "git_url has a secret",
        "git_url",
        (Edit("git_url: .*", "git_url: https://me:hunter2@example.org/x.git"),),
    ),
    Fault(
        "secret as a variable",
        "secret",
        "the variable token has a secret",
        "default: hunter2",
        (Edit("variables:\n", "variables:\n  token:\n    default: hunter2\n", file=BUNDLE),),
        file=BUNDLE,
    ),
]
