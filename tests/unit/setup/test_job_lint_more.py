"""The linter beside one job of one bundle's target: other targets, other compute, deployed jobs, notebooks."""

from __future__ import annotations

import copy
import itertools
import random
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from databricks.sdk.service.jobs import JobSettings, RunIf
from git_repositories import fill
from planted_faults import BUNDLE, JOB, Edit, inserted, more, of, of_job
from written_bundles import written

from dbx_cd.release.job import JOB_WIDGETS
from dbx_cd.setup.bundle_options import BundleOptions
from dbx_cd.setup.bundle_reading import read_bundle
from dbx_cd.setup.bundled_job import BundledJob, bundled_job
from dbx_cd.setup.job_lint import RULES, Finding, lint_bundle, lint_job
from dbx_cd.setup.lint.notebook_source import read_notebook
from dbx_cd.setup.lint.parameter_rules import OF_TASKS
from dbx_cd.yaml_text import load_yaml

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("packaged"))


@pytest.fixture
def repository(packaged: Path, tmp_path: Path) -> Path:
    shutil.copytree(packaged, tmp_path / "repository")
    return tmp_path / "repository"


def edit(repository: Path, *edits: Edit) -> None:
    for one in edits:
        path = repository / one.file
        path.write_text(one.applied(path.read_text()))


def rules(findings: Sequence[Finding]) -> list[str]:
    return [finding.rule for finding in findings]


def of_target(*lines: str) -> Edit:
    """A second target of the bundle."""
    return Edit(r"\Z", "".join(f"\n{line}" for line in ("  second:", *(f"    {line}" for line in lines))), file=BUNDLE)


def test_a_fault_of_another_target_is_found_where_that_has_it(repository: Path) -> None:
    job = ("resources:", "  jobs:", "    dbx_cd:", "      tasks:", "        - task_key: prod_build")
    edit(repository, of_target(*job, "          depends_on: [{task_key: stg_smoke}]", "          run_if: ALL_DONE"))
    assert [(f.rule, f.where) for f in lint_bundle(repository)] == [
        ("past-the-gate", f"{BUNDLE}:{line(repository, 'run_if: ALL_DONE')}, task prod_build")
    ]
    assert lint_bundle(repository, target="main") == ()
    assert rules(lint_bundle(repository, target="second")) == ["past-the-gate"]


def line(repository: Path, text: str, file: str = BUNDLE) -> int:
    lines = (repository / file).read_text().splitlines()
    return next(number for number, one in enumerate(lines, start=1) if text in one)


def test_a_fault_that_all_targets_have_is_said_once(repository: Path) -> None:
    edit(repository, of_target("default: false"), more("approval_gate", "max_retries: 1"))
    assert rules(lint_bundle(repository)) == ["retries"]


def test_a_variable_of_a_target_may_be_the_fault(repository: Path) -> None:
    edit(repository, of_target("variables:", "  production: live"))
    found = lint_bundle(repository)
    assert {(f.rule, "live is no target" in f.message) for f in found if f.rule == "unknown-target"} == {
        ("unknown-target", True)
    }
    assert lint_bundle(repository, target="main") == ()


def test_variables_as_a_deploy_would_give_them_count(repository: Path) -> None:
    assert rules(lint_bundle(repository, variables={"release_log": "nothing"})) == ["no-place"]


def test_an_identity_and_rights_that_the_bundle_gives_all_its_jobs_count(repository: Path) -> None:
    edit(
        repository,
        Edit(r" *run_as:\n *service_principal_name: .*\n", ""),
        Edit(r'.*\{service_principal_name: "\$\{var.run_as\}".*\n', ""),
        Edit(r"(?=variables:)", 'run_as: {service_principal_name: "${var.run_as}"}\n', file=BUNDLE),
        Edit(
            r"(?=variables:)", 'permissions: [{service_principal_name: "${var.run_as}", level: CAN_RUN}]\n', file=BUNDLE
        ),
    )
    assert lint_bundle(repository) == ()


def test_a_folder_without_a_bundle_is_a_finding(tmp_path: Path) -> None:
    assert [(f.rule, f.severity) for f in lint_bundle(tmp_path)] == [("unreadable", "fail")]


def test_a_target_that_there_is_not_is_a_finding(repository: Path) -> None:
    (found,) = lint_bundle(repository, target="prod")
    assert (found.rule, found.next_step) == ("unreadable", "give one of main")


def test_what_fails_comes_before_what_may_be_wrong(repository: Path) -> None:
    edit(repository, Edit("on_failure", "on_success"), more("approval_gate", "max_retries: 1"))
    found = lint_bundle(repository)
    assert [(f.severity, f.rule) for f in found] == [("fail", "retries"), ("warn", "no-notification")]
    assert str(found[0]).startswith(
        f"fail: {JOB}:{line(repository, 'max_retries', JOB)}, task approval_gate: it is tried"
    )
    assert str(found[0]).endswith(". Next: take max_retries out: a person repairs the run")


# Serverless compute: no clusters, no libraries, and nothing is tried again by itself.
LIBRARIES = re.compile(r" *job_cluster_key: release\n *libraries:(?: \*libraries\n|.*\n(?: *(?:#|- ).*\n)+)")


def make_serverless(repository: Path, line: str = "disable_auto_optimization: true") -> None:
    text = (repository / JOB).read_text()
    text = re.sub(r"      job_clusters:\n(?:.*\n)+?(?=\n)", "", text)
    text = LIBRARIES.sub(f"          {line}\n", text)
    assert "release\n" not in text
    assert "*libraries" not in text
    (repository / JOB).write_text(text)


def test_nothing_is_found_in_a_job_without_clusters(repository: Path) -> None:
    make_serverless(repository)
    assert lint_bundle(repository) == ()


def test_serverless_compute_tries_again_unless_that_is_switched_off(repository: Path) -> None:
    make_serverless(repository, "max_retries: 0")
    found = lint_bundle(repository)
    assert set(rules(found)) == {"retries"}
    tasks = {f.where.rpartition(" ")[2] for f in found}
    assert tasks == {"stg_build", "approval_gate", "prod_build", "auto_rollback"}
    assert {f.next_step for f in found} == {"set disable_auto_optimization: true"}


def test_a_task_of_a_wheel_needs_an_environment_where_there_are_no_clusters(repository: Path) -> None:
    make_serverless(repository)
    edit(repository, inserted("task_key: more", "python_wheel_task: {package_name: x, entry_point: y}"))
    assert rules(lint_bundle(repository)) == ["no-compute"]
    environments = of_job("environments: [{environment_key: one, spec: {environment_version: '4'}}]")
    edit(repository, more("more", "environment_key: one"), environments)
    assert lint_bundle(repository) == ()


@pytest.mark.parametrize("path", ["../notebooks/publish_docs.py", "${workspace.file_path}/notebooks/publish_docs"])
def test_notebooks_that_the_bundle_deploys_are_looked_for_beside_the_file_or_from_its_root(
    repository: Path, path: str
) -> None:
    edit(
        repository,
        of("docs_refresh", "notebook_path: .*", f"notebook_path: {path}"),
        of("docs_refresh", "source: GIT", "source: WORKSPACE"),
    )
    assert lint_bundle(repository) == ()
    (repository / "notebooks" / "publish_docs.py").unlink()
    assert rules(lint_bundle(repository)) == ["no-notebook"]


def test_of_two_ways_to_a_gate_one_that_holds_is_enough(repository: Path) -> None:
    edit(repository, of("prod_build", r"(?<=depends_on: \[)", "{task_key: stg_smoke}, "))
    assert lint_bundle(repository) == ()


def test_a_gate_holds_through_tasks_between(repository: Path) -> None:
    fill(repository, {"notebooks/more.py": "print(1)\n"})
    edit(
        repository,
        inserted(
            "task_key: more",
            "depends_on: [{task_key: approval_gate}]",
            "notebook_task: {notebook_path: notebooks/more}",
            "job_cluster_key: release",
            "libraries: *libraries",
        ),
        of("prod_build", "depends_on: .*", "depends_on: [{task_key: more}]"),
    )
    assert lint_bundle(repository) == ()


# Deployed jobs.


@pytest.fixture
def job(repository: Path) -> BundledJob:
    return bundled_job(read_bundle(repository), job="dbx_cd", file=JOB)


def test_nothing_is_found_in_the_job_as_it_is_deployed(job: BundledJob, repository: Path) -> None:
    assert lint_job(job.settings, job.permissions, where="job 5", repository=repository) == ()
    again = JobSettings.from_dict(job.settings.as_dict())
    assert lint_job(again, job.permissions, where="job 5", repository=repository) == ()


def test_a_deployed_job_that_somebody_has_changed_is_named_by_its_parts(job: BundledJob, repository: Path) -> None:
    task = next(task for task in job.settings.tasks or () if task.task_key == "prod_build")
    task.run_if = RunIf.ALL_DONE
    more_rights = AccessControlRequest(group_name="users", permission_level=PermissionLevel.CAN_MANAGE)
    found = lint_job(job.settings, (*job.permissions, more_rights), where="job 5", repository=repository)
    assert [(f.rule, f.where) for f in found] == [
        ("past-the-gate", "job 5: tasks[3].run_if, task prod_build"),
        ("everyone", "job 5: permissions[3]"),
    ]


def test_a_job_pinned_to_a_commit_by_a_trigger_is_in_order(job: BundledJob, repository: Path) -> None:
    assert job.settings.git_source is not None
    job.settings.git_source.git_branch, job.settings.git_source.git_commit = None, "0" * 40
    assert lint_job(job.settings, job.permissions, where="job 5", repository=repository) == ()


def test_settings_of_the_project_that_cannot_be_read_are_a_finding(job: BundledJob, repository: Path) -> None:
    fill(repository, {"dbx_cd.yml": "targets: 5\n"})
    found = lint_job(job.settings, job.permissions, where="job 5", repository=repository)
    assert rules(found) == ["unreadable"]


# Notebooks.


def test_the_parameters_of_our_notebooks_are_read_from_their_source() -> None:
    source = read_notebook(REPOSITORY / "notebooks" / "smoke.py")
    assert dict(source.widgets) == {
        **dict.fromkeys(JOB_WIDGETS, ""),
        **{"target": "", "tiny": False, "project_dir": ".", "profiles_dir": ""},
    }
    assert (source.has_all, source.starts_task, source.sets) == (True, True, frozenset())
    assert {"run_smoke", "baseline_for"} <= source.calls


def test_what_tasks_must_be_given_each_is_what_their_notebooks_read_and_the_job_does_not_have(job: BundledJob) -> None:
    of_the_job = {parameter.name for parameter in job.settings.parameters or ()}
    read: set[str] = set()
    for task in job.settings.tasks or ():
        assert task.notebook_task is not None
        read |= set(read_notebook(REPOSITORY / f"{task.notebook_task.notebook_path}.py").widgets)
    of_other_jobs = {"release_run_id", "compute"}  # of a second half, and of a job that says where dbt's SQL runs
    assert set(OF_TASKS) == read - of_the_job - of_other_jobs


@pytest.mark.parametrize(
    ("source", "widgets", "has_all"),
    [
        ("dbutils.widgets.text('a', 'x')\ndbutils.widgets.get('a')", {"a": "x"}, True),
        ("dbutils.widgets.dropdown('a', 'x', ['x'])", {"a": "x"}, True),
        ("dbutils.widgets.get('a')", {"a": None}, True),
        ("for n in 'ab':\n    dbutils.widgets.text(n, '')", {}, False),
        ("dbutils.widgets.getAll()", {}, False),
        ("import dbx_cd as d\nd.start_task(dbutils, spark, **{'a': ''})", None, False),
        ("from dbx_cd import start_task as s\ns(dbutils, spark, a=True)", None, True),
    ],
)
def test_parameters_are_known_as_far_as_the_source_says_them(
    tmp_path: Path, source: str, widgets: dict[str, object] | None, has_all: bool
) -> None:
    read = read_notebook(fill(tmp_path, {"n.py": source}) / "n.py")
    assert read.has_all == has_all
    assert read.starts_task == (widgets is None)
    if widgets is not None:
        assert dict(read.widgets) == widgets


@pytest.mark.parametrize(
    ("source", "sets", "others"),
    [
        ("dbutils.jobs.taskValues.set(key='a', value=1)", {"a"}, False),
        ("dbutils.jobs.taskValues.set('a', 1)", {"a"}, False),
        ("dbutils.jobs.taskValues.set(name, 1)", set(), True),
    ],
)
def test_task_values_are_known_as_far_as_the_source_says_them(
    tmp_path: Path, source: str, sets: set[str], others: bool
) -> None:
    read = read_notebook(fill(tmp_path, {"n.py": source}) / "n.py")
    assert (read.sets, read.sets_others) == (sets, others)


def test_a_value_that_a_notebook_sets_may_be_read(repository: Path) -> None:
    edit(
        repository,
        Edit(r"\Z", "\ndbutils.jobs.taskValues.set(key='last', value='x')\n", file="notebooks/run_dbt.py"),
        of("prod_build", "(?=select)", 'exclude: "{{tasks.stg_build.values.last}}"\n              '),
        of("approval_gate", "(?=select)", 'exclude: "{{tasks.stg_build.values.last}}"\n              '),
    )
    assert lint_bundle(repository) == ()


@pytest.mark.parametrize(
    "reference",
    [
        "{{job.run_id}}", "{{ job.id }}", "{{job.start_time.iso_date}}", "{{job.trigger.type}}", "{{job.repair_count}}",
        "{{job.parameters.reason}}", "{{job.parameters.`reason`}}", "{{task.name}}", "{{workspace.url}}",
        "{{tasks.stg_smoke.result_state}}", "{{tasks.stg_build.execution_count}}", "a {{job.name}} b {{task.run_id}}",
    ],
)  # fmt: skip
def test_references_that_mean_something_are_in_order(repository: Path, reference: str) -> None:
    fill(repository, {"notebooks/publish_docs.py": "import dbx_cd\ndbx_cd.publish_docs()\ndbutils.widgets.get('x')"})
    edit(repository, of("docs_refresh", "(?=run_id)", f'x: "{reference}"\n              '))
    edit(repository, of("docs_refresh", "run_id: .*\n *target: .*", "# none"))
    assert lint_bundle(repository) == ()


@pytest.mark.parametrize("text", ['{"a": {"b": 1}}', "${workspace.file_path}", "{x}", "{'job': 1}"])
def test_braces_that_are_no_reference_are_in_order(repository: Path, text: str) -> None:
    fill(repository, {"notebooks/publish_docs.py": "import dbx_cd\ndbx_cd.publish_docs()\ndbutils.widgets.getAll()"})
    edit(repository, of("docs_refresh", "target: .*", "target: prod\n              x: " + repr(text)))
    assert lint_bundle(repository) == ()


def test_the_documentation_lists_what_the_linter_finds() -> None:
    text = (REPOSITORY / "docs" / "linter.md").read_text()
    rows = re.findall(r"^\| `([\w-]+)` \| (fail|warn) \| (.*) \|$", text, re.MULTILINE)
    assert rows == [(name, rule.severity, rule.finds) for name, rule in RULES.items()]


# Whatever is written: a finding, never a stack.

JUNK: list[Any] = [None, "x", 5, [], {}, ["x"], {"a": 1}, True, [None], [[]], {"a": None}, "${var.nobody}"]


def places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*place, key))


def with_junk(content: Any, place: tuple[Any, ...], junk: Any) -> Any:
    if not place:
        return junk
    changed = copy.deepcopy(content)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = junk
    return changed


def lint_with_junk(repository: Path, *, share: float) -> int:
    chosen, count = random.Random(14), 0
    for path in (repository / BUNDLE, *sorted((repository / "resources").glob("*.yml"))):
        text = path.read_text()
        content = load_yaml(text)
        for place, junk in itertools.product(places(content), JUNK):
            if chosen.random() < share:
                path.write_text(yaml.safe_dump(with_junk(content, place, junk)))
                assert all(isinstance(finding, Finding) for finding in lint_bundle(repository)), (place, junk)
                count += 1
        path.write_text(text)
    return count


def test_whatever_is_written_is_a_finding_and_never_a_stack(tmp_path: Path) -> None:
    assert lint_with_junk(written(tmp_path, BundleOptions(identities=2)), share=0.008) > 10


@pytest.mark.deep
def test_whatever_is_written_anywhere_is_a_finding_and_never_a_stack(tmp_path: Path) -> None:
    assert lint_with_junk(written(tmp_path, BundleOptions(identities=2)), share=1) > 3000
