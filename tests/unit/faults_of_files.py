"""Faults of the bundle's files, of spelling, and of how tasks hang together."""

from __future__ import annotations

from planted_faults import BUNDLE, CONFIG, Edit, Fault, before, inserted, key, more, of, of_job

FILES = [
    Fault("no yaml", "unreadable", "cannot be read as YAML", "run_as:", (Edit("queue: .*", "queue: {enabled: true"),)),
    Fault(
        "key twice",
        "unreadable",
        "the key 'queue' is there twice",
        "queue: {enabled: true}",
        (of_job("queue: {enabled: true}"),),
        after="max_concurrent_runs",
    ),
    Fault(
        "list for a mapping", "wrong-kind", "^queue must be a mapping", "queue: [", (Edit("queue: .*", "queue: [on]"),)
    ),
    Fault(
        "text for a number",
        "wrong-kind",
        "^max_concurrent_runs must be a whole number",
        "max_concurrent_runs: one",
        (Edit("max_concurrent_runs: 1", "max_concurrent_runs: one"),),
    ),
    Fault(
        "nothing to wait for",
        "wrong-kind",
        r"^tasks\[1\].depends_on\[0\].task_key must be text",
        "depends_on",
        (of("stg_smoke", "depends_on: .*", "depends_on: [{}]"),),
        after="- task_key: stg_smoke",
    ),
    Fault(
        "empty item",
        "wrong-kind",
        r"^parameters\[1\] must be a mapping",
        "-\n",
        (Edit(r"- \{name: reason, .*", "-"),),
        after="parameters:",
    ),
    Fault("bad dbx_cd.yml", "unreadable", "approver", "", (Edit("", "approver: me\n", file=CONFIG),), file=CONFIG),
    Fault(
        "job not included",
        "no-workflow",
        "no job of the bundle",
        "",
        (Edit(r"include:\n  - resources/\*.yml\n", "", file=BUNDLE),),
        file=BUNDLE,
    ),
    Fault(
        "key of a bundle",
        "bundle-key",
        "varibles is no key",
        "varibles:",
        (Edit("(?=\nbundle:)", "\nvaribles: {}", file=BUNDLE),),
        file=BUNDLE,
    ),
    Fault(
        "key of a target",
        "bundle-key",
        "defualt is no key",
        "defualt:",
        (Edit("targets:\n  main:\n", "targets:\n  main:\n    defualt: true\n", file=BUNDLE),),
        file=BUNDLE,
    ),
    Fault(
        "mode of a target",
        "bundle-key",
        "prod is no mode",
        "mode: prod",
        (Edit("targets:\n", "targets:\n  second:\n    mode: prod\n", file=BUNDLE),),
        file=BUNDLE,
    ),
    Fault(
        "undeclared variable", "no-variable", "no variable notfy", "notfy", (Edit(r"\$\{var.notify\}", "${var.notfy}"),)
    ),
    Fault(
        "variable without a value",
        "variable-value",
        "notify has no value",
        "${var.notify}",
        (Edit("(?<=  notify:\n)    description.*\n    default:.*\n", "    description: who\n", file=BUNDLE),),
    ),
    Fault(
        "include of nothing",
        "includes-nothing",
        "jobs/.*no file",
        "jobs/",
        (Edit("include:\n", "include:\n  - jobs/*.yml\n", file=BUNDLE),),
        file=BUNDLE,
    ),
    Fault(
        "development",
        "development-mode",
        "second is in development mode, and its job builds prod",
        "mode: dev",
        (Edit("targets:\n", "targets:\n  second:\n    mode: development\n", file=BUNDLE),),
        file=BUNDLE,
    ),
    Fault(
        "another job",
        "runs-job",
        "job 123, which is not in the bundle",
        "job_id: 123",
        (
            more("docs_refresh", "x: 1"),
            Edit(r"          x: 1\n", ""),
            inserted("task_key: more", "depends_on: [{task_key: prod_smoke}]", "run_job_task:", "  job_id: 123"),
        ),
        task="more",
    ),
    Fault(
        "two workflows",
        "two-workflows",
        "job dbx_cd_2 builds stg, and so does dbx_cd",
        "dbx_cd_2:",
        (Edit("(?<=jobs:\n    )dbx_cd:", "dbx_cd: &same"), Edit(r"\Z", "\n    dbx_cd_2: *same\n")),
    ),
    Fault(
        "dbt in another job",
        "dbt-elsewhere",
        "job nightly runs dbt for prod",
        "commands:",
        (
            Edit(
                "",
                "resources:\n  jobs:\n    nightly:\n      tasks:\n        - task_key: x\n          dbt_task:\n"
                "            commands: [dbt deps, dbt build --target prod]\n",
                file="resources/nightly.yml",
            ),
        ),
        file="resources/nightly.yml",
    ),
    Fault(
        "dbt in a job that it starts",
        "hidden-build",
        "more of the Workflow starts job nightly",
        "dbt_task:",
        (
            Edit(
                "",
                "resources:\n  jobs:\n    nightly:\n      tasks:\n        - task_key: x\n          dbt_task:\n"
                "            commands: [dbt build]\n",
                file="resources/nightly.yml",
            ),
            inserted(
                "task_key: more",
                "depends_on: [{task_key: stg_smoke}]",
                "run_job_task:",
                "  job_id: ${resources.jobs.nightly.id}",
            ),
        ),
        file="resources/nightly.yml",
    ),
]

SPELLING = [
    Fault(
        "key of the job",
        "unknown-key",
        "max_concurent_runs: the Jobs API has no such key",
        "max_concurent_runs",
        (of_job("max_concurent_runs: 1"),),
    ),
    Fault(
        "key of a task", "unknown-key", r"tasks\[3\].descripton", "descripton", (more("prod_build", "descripton: x"),)
    ),
    Fault(
        "key deep inside",
        "unknown-key",
        r"new_cluster.num_wrkers",
        "num_wrkers",
        (Edit("num_workers:", "num_wrkers:"),),
    ),
    Fault(
        "value of an enum",
        "unknown-key",
        "'AT_LEAST_ONE_FAILD' is no value",
        "AT_LEAST_ONE_FAILD",
        (of("docs_refresh", r"(?=notebook_task:)", "run_if: AT_LEAST_ONE_FAILD\n          "),),
    ),
    Fault(
        "level of a permission",
        "permission",
        "'CAN_RUN' is no level",
        "{group_name: others",
        (Edit("permissions:\n", "permissions:\n        - {group_name: others, level: CAN_RUN}\n"),),
    ),
    Fault(
        "two in one permission",
        "permission",
        "CAN_VIEW is for group_name, user_name",
        "{group_name: others",
        (Edit("permissions:\n", "permissions:\n        - {group_name: others, user_name: x, level: CAN_VIEW}\n"),),
    ),
]

TASKS = [
    Fault(
        "key with a blank",
        "task-key",
        "'docs refresh' is no key",
        "- task_key: docs refresh",
        (Edit("task_key: docs_refresh", "task_key: docs refresh"),),
        task="docs refresh",
    ),
    Fault(
        "task twice",
        "twice",
        "task docs_refresh is there twice",
        "- task_key: docs_refresh",
        (before("docs_refresh", new="docs_refresh", after="prod_smoke", notebook="publish_docs", target="prod"),),
        after="target: prod\n",
    ),
    Fault(
        "parameter twice",
        "twice",
        "parameter reason is there twice",
        "{name: reason, default: x}",
        (Edit(r"(?=        - \{name: full_refresh)", "        - {name: reason, default: x}\n"),),
    ),
    Fault(
        "cluster twice",
        "twice",
        "job cluster release is there twice",
        "- job_cluster_key: release\n          new_cluster: {",
        (
            Edit(
                r"(?=      tasks:\n)",
                "        - job_cluster_key: release\n          new_cluster: {spark_version: 16.4.x-scala2.12,"
                " data_security_mode: SINGLE_USER}\n\n",
            ),
        ),
    ),
    Fault(
        "dangling",
        "no-such-task",
        "prod_biuld, and there is no such task",
        "prod_biuld",
        (of("auto_rollback", r"(?<=depends_on: \[)", "{task_key: prod_biuld}, "),),
        task="auto_rollback",
    ),
    Fault(
        "waits for itself",
        "circle",
        "waits for itself",
        "depends_on",
        (of("docs_refresh", r"(?<=depends_on: \[)", "{task_key: docs_refresh}, "),),
        task="docs_refresh",
    ),
    Fault(
        "circle",
        "circle",
        "wait for each other: .*stg_build.*stg_smoke|stg_smoke.*stg_build",
        "depends_on",
        (more("stg_build", "depends_on: [{task_key: stg_smoke}]"),),
        task="stg_build",
    ),
    Fault(
        "no type",
        "task-type",
        "of no type",
        key("more").strip(),
        (inserted("task_key: more", "depends_on: [{task_key: stg_build}]"),),
        task="more",
    ),
    Fault(
        "two types",
        "task-type",
        "of two types: notebook_task and sql_task",
        "sql_task",
        (more("docs_refresh", "sql_task: {warehouse_id: abc, query: {query_id: x}}"),),
        task="docs_refresh",
    ),
    Fault(
        "outcome of a build",
        "outcome",
        "outcome true of prod_smoke, which is no condition",
        "depends_on",
        (of("docs_refresh", "depends_on: .*", 'depends_on: [{task_key: prod_smoke, outcome: "true"}]'),),
        task="docs_refresh",
    ),
    Fault(
        "disabled gate",
        "disabled",
        "nothing after it runs",
        "disabled",
        (more("approval_gate", "disabled: true"),),
        task="approval_gate",
    ),
    Fault(
        "disabled rollback",
        "disabled",
        "disabled",
        "disabled",
        (more("auto_rollback", "disabled: true"),),
        task="auto_rollback",
    ),
]
