"""Run by a test in a process of its own: releases with what `setup` prints, and with each grant of it taken away once.

Prints one JSON object: for each grant what the step said that needed it; and the results of what had all: two
releases, and the rollback of the second.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from databricks.sdk.service.iam import AccessControlRequest, PermissionLevel
from pyspark.errors import PySparkException
from shop_repository import Repository

from dbx_cd.cli.main import main as dbx_cd
from dbx_cd.errors import DbxCdError
from dbx_cd.local import rights
from dbx_cd.local.emulation import emulate
from dbx_cd.local.project import LocalProject
from dbx_cd.local.run import LocalWorkflow, results_of
from dbx_cd.local.session_user import act_as
from dbx_cd.local.workspace import CI, DEVELOPER, OWNER, RELEASE_BOT, EmbeddedWorkspace
from dbx_cd.release.workflow import ReleaseRun
from dbx_cd.setup.grants import privileges_of

SOURCE = Path(__file__).parents[2] / "fixtures" / "granted_project"
APPROVER_GROUP = "dbx_cd_approvers"
ADMIN, READER = "admin@example.org", "reader@example.org"
PEOPLE = {RELEASE_BOT: "job", APPROVER_GROUP: "approvers", DEVELOPER: "sre", READER: "readers"}
AS = ("--job-identity", RELEASE_BOT, "--sre", DEVELOPER, "--readers", READER, "--ci", CI)
VARIANTS = {"plain": (), "made": ("--make-log", "--make-schemas")}
CATALOGS = ("ops", "stg", "prod", "raw", "lake")
_GRANT = re.compile(r"GRANT (?P<privileges>[A-Z ,]+) ON (?P<on>[A-Z]+ \S+) TO `(?P<who>[^`]+)`")

Granted = tuple[str, str, str]
"""To whom, which privilege, on what."""


def name_of(granted: Granted) -> str:
    """A grant by its role."""
    who, privilege, on = granted
    return f"{PEOPLE[who]}: {privilege} ON {on.replace('`', '')}"


class Trial:
    """One workspace in which grants are taken away and given back."""

    def __init__(self, workspace: EmbeddedWorkspace, project: LocalProject, *, options: tuple[str, ...]) -> None:
        self.workspace = workspace
        self.spark = workspace.spark
        self.said: dict[str, str] = {}
        self.released: list[str] = []
        self._script = printed(project, *options)
        self._introduce()
        self._set_up()
        self.workflow = LocalWorkflow(workspace, project)
        # What it has granted goes: only what is printed counts.
        for who, privilege, on in privileges_of(project.places.grants()):
            for principal in workspace.roles[who]:
                rights.revoke(self.spark, principal, privilege, on)
        self._set_up()
        seen = AccessControlRequest(user_name=DEVELOPER, permission_level=PermissionLevel.CAN_VIEW)
        workspace.client(CI).permissions.update("jobs", str(self.workflow.job_id), access_control_list=[seen])

    def _introduce(self) -> None:
        """An administrator, who owns the catalogs; somebody who reads; and tables to read."""
        rights.put_user(self.spark, ADMIN, groups=("admins",))
        rights.put_user(self.spark, READER)
        for catalog in CATALOGS:
            rights.set_owner(self.spark, ADMIN, f"CATALOG {catalog}")
        for statement in (
            "CREATE SCHEMA raw.shop",
            "CREATE TABLE raw.shop.orders AS SELECT 1 AS id, 10.0D AS amount, 'de' AS country",
            "CREATE SCHEMA lake.web",
            "CREATE TABLE lake.web.visits AS SELECT 1 AS id, 'home' AS page",
        ):
            self.workspace.administer(statement)

    def _set_up(self) -> None:
        """As the administrator does who runs the script in a SQL editor."""
        session = act_as(self.spark, ADMIN)
        for statement in re.findall(r"^(?!--)(.+);$", self._script, re.MULTILINE):
            answer = emulate(session, statement)
            if isinstance(answer, str):
                session.sql(answer)

    def grants(self, role: str, where: Callable[[str], bool] = lambda on: True) -> list[Granted]:
        """A role's grants, as they were printed, on some objects."""
        return [
            (found["who"], privilege, found["on"])
            for found in _GRANT.finditer(self._script)
            for privilege in found["privileges"].split(", ")
            if PEOPLE[found["who"]] == role and where(found["on"].replace("`", ""))
        ]

    @contextmanager
    def without(self, granted: Granted) -> Iterator[None]:
        """Without one privilege for a while; what a task remembers of its rights is for seconds."""
        rights.revoke(self.spark, *granted)
        try:
            yield
        finally:
            rights.grant(self.spark, *granted)

    def failing(self, run: ReleaseRun) -> str:
        """What the first task that failed said, and printed."""
        ended = self.workflow.wait(run)
        jobs = self.workspace.client(CI).jobs
        failed = [task for task in ended.tasks or () if results_of(ended)[task.task_key or ""] == "FAILED"]
        said = [str(jobs.get_run_output(task.run_id or 0).error) for task in failed]
        logs = self.workspace.state_dir / "runs" / str(run.run_id)
        return "\n".join([*said, *(path.read_text() for path in sorted(logs.glob("*.log")))])

    def approving(self, run: ReleaseRun) -> str:
        """What is said to who approves a run; nothing where it works."""
        request = self.workflow.pending(run)
        assert request is not None, self.failing(run)
        try:
            self.workflow.approve(request, as_user=OWNER)
        except DbxCdError as exc:
            return str(exc)
        return ""

    def rolling_back(self, *options: str) -> subprocess.CompletedProcess[str]:
        """What is printed to who rolls back."""
        connection = self.workspace.connection
        variables = {"DATABRICKS_HOST": connection.host, "DATABRICKS_TOKEN": connection.tokens[DEVELOPER]}
        command = [sys.executable, "-m", "dbx_cd", "rollback", *options, "--job", str(self.workflow.job_id)]
        return subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, check=False)

    def reading(self) -> str:
        """What is said to who reads a relation of each target and calls its function; nothing where it works."""
        session = act_as(self.spark, READER)
        try:
            for target in ("stg", "prod"):
                session.sql(f"SELECT * FROM {target}.granted.visits").collect()
                session.sql(f"SELECT {target}.granted.with_tax(1.0D)").collect()
        except PySparkException as exc:
            return str(exc)
        return ""


def printed(project: LocalProject, *options: str) -> str:
    """What `setup` prints for a project."""
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        code = dbx_cd(["setup", "--project", str(project.repository), *AS, *options])
    assert code == 0
    return output.getvalue()


def main(folder: Path, variant: str) -> None:
    """Take each away, and let releases through."""
    repository = Repository(folder / "repository", source=SOURCE)
    with contextlib.redirect_stdout(sys.stderr):
        dbx_cd(["init", str(repository.folder)])
    first = repository.commit("a project")
    model = repository.folder / "models" / "orders.sql"
    model.write_text(model.read_text().replace("(amount)", "(amount + 1)"))
    second = repository.commit("one more")
    project = LocalProject.find(repository.folder)
    with EmbeddedWorkspace(folder / "workspace", catalogs=CATALOGS) as workspace:
        trial = Trial(workspace, project, options=VARIANTS[variant])
        build_and_approve(trial, first)
        results = released(trial, first) | released(trial, second) | roll_back(trial)
        read(trial, results)
    names = [name_of(one) for role in PEOPLE.values() for one in trial.grants(role)]
    print(json.dumps({"said": trial.said, "results": results, "grants": names}))


def _of_production(on: str) -> bool:
    return re.match(r"\w+ prod\b", on) is not None


def build_and_approve(trial: Trial, commit: str) -> None:
    """The steps of a release, each once without each of the grants that it needs."""
    workflow = trial.workflow
    for granted in trial.grants("job", lambda on: not _of_production(on)):
        with trial.without(granted):
            trial.said[name_of(granted)] = trial.failing(workflow.release(commit, reason=name_of(granted)))
    run = workflow.release(commit, reason="all grants")
    workflow.wait(run)
    for granted in trial.grants("approvers"):
        with trial.without(granted):
            trial.said[name_of(granted)] = trial.approving(run)
    for granted in trial.grants("job", _of_production):
        if workflow.pending(run) is None:  # it was approved, and its build failed
            run = workflow.release(commit, reason=name_of(granted))
            workflow.wait(run)
        with trial.without(granted):
            trial.approving(run)
            trial.said[name_of(granted)] = trial.failing(run)


def released(trial: Trial, commit: str) -> dict[str, str]:
    """What came of a release with all grants."""
    run = trial.workflow.release(commit, reason="all grants")
    trial.workflow.wait(run)
    refused = trial.approving(run)
    trial.released.append(trial.workflow.cd.log.for_run(str(run.run_id)).id)
    return results_of(trial.workflow.wait(run)) | {"approval": refused or "given"}


def roll_back(trial: Trial) -> dict[str, str]:
    """What came of the rollback of the second release, which has tables to restore; once without each grant before."""
    release = trial.released[-1]
    planned = trial.rolling_back(release, "--plan")
    for granted in trial.grants("sre"):
        with trial.without(granted):
            # Who sees less gets another plan, which says why, and has a seal of its own.
            plan = trial.rolling_back(release, "--plan")
            done = trial.rolling_back(release, "--seal", seal_in(plan.stdout), "--reason", name_of(granted))
            trial.said[name_of(granted)] = "\n".join((plan.stdout, plan.stderr, done.stdout, done.stderr))
    again = trial.rolling_back(release, "--plan")
    done = trial.rolling_back(release, "--seal", seal_in(again.stdout), "--reason", "all grants")
    restored = re.search(r"(\d+) relations? restored", done.stdout)
    return {
        "plan": "printed" if planned.returncode == 0 else planned.stderr,
        "rollback": "done" if done.returncode == 0 else done.stderr,
        "restored": restored[1] if restored else done.stdout,
    }


def read(trial: Trial, results: dict[str, str]) -> None:
    """What people read with all grants, and once without each."""
    results["reading"] = trial.reading() or "done"
    for granted in trial.grants("readers"):
        with trial.without(granted):
            trial.said[name_of(granted)] = trial.reading()


def seal_in(text: str) -> str:
    """The seal of a plan that was printed; else one that fits none."""
    found = re.search(r"^seal: (\w+)$", text, re.MULTILINE)
    return found[1] if found else "0" * 64


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
