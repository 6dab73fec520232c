"""`check_setup`: every check of a team's set-up, which of them can run where, and what they have found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dbx_cd.errors import DbxCdError, what_failed
from dbx_cd.release.context import find_project
from dbx_cd.secret_names import SecretReader
from dbx_cd.setup.bundle_reading import bundle_file
from dbx_cd.setup.check import (
    of_bundle,
    of_driver,
    of_job,
    of_log,
    of_login,
    of_parse,
    of_people,
    of_project,
    of_retention,
    of_rights,
)
from dbx_cd.setup.check.report import CheckLine, CheckReport, fail, skipped
from dbx_cd.setup.check.scene import Scene
from dbx_cd.workspace_host import current_workspace

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_log = logging.getLogger(__name__)

Needs = Literal["nothing", "workspace", "notebook"]
_OFFLINE = "the workspace is not asked (--offline)"
_NO_NOTEBOOK = "needs a notebook of the workspace"


@dataclass(frozen=True)
class Check:
    """One check, and what has to be there for it."""

    group: str
    """The part of the set-up that it is about."""
    name: str
    """What it is called."""
    run: Callable[[Scene], Iterable[CheckLine]] | None = None
    """Looks, once."""
    of_target: Callable[[Scene, str], Iterable[CheckLine]] | None = None
    """Looks at one target."""
    needs: Needs = "nothing"
    """What it asks."""

    def calls(self, scene: Scene) -> Iterator[tuple[str, Callable[[], Iterable[CheckLine]]]]:
        """What there is to do for it, each with its subject."""
        run, of_target = self.run, self.of_target
        if run is not None:
            yield "", lambda: run(scene)
        if of_target is not None:
            for target in scene.looked_at:
                yield target, lambda target=target: of_target(scene, target)  # type: ignore[misc]


PROJECT, DBT, BUNDLE = "The project's files", "The project in dbt", "The bundle"
WORKSPACE, DATA, DRIVER = "The workspace", "Data and rights", "This cluster"

CHECKS: tuple[Check, ...] = (
    Check(PROJECT, "settings", of_project.settings),
    Check(PROJECT, "gate", of_project.gate),
    Check(PROJECT, "target", of_target=of_project.target),
    Check(PROJECT, "targets apart", of_project.apart),
    Check(PROJECT, "login", of_target=of_login.login),
    Check(PROJECT, "secrets", of_project.secrets),
    Check(PROJECT, "committed", of_project.committed),
    Check(PROJECT, "dbt packages", of_project.packages),
    Check(DBT, "parse", of_target=of_parse.parses),
    Check(DBT, "selection", of_target=of_parse.selection),
    Check(DBT, "relations apart", of_parse.relations_apart),
    Check(DBT, "left out", of_target=of_parse.heavy),
    Check(DBT, "smoke suites", of_parse.smoke),
    Check(DBT, "tests", of_target=of_parse.tested),
    Check(BUNDLE, "job", of_bundle.bundle),
    Check(BUNDLE, "job's targets", of_bundle.job_targets),
    Check(BUNDLE, "linter", of_bundle.linter),
    Check(BUNDLE, "start", of_bundle.ci),
    Check(BUNDLE, "dbt's packages", of_bundle.dbt_requirements),
    Check(WORKSPACE, "identity", of_people.identity, needs="workspace"),
    Check(WORKSPACE, "approvers", of_people.approvers, needs="workspace"),
    Check(WORKSPACE, "job as deployed", of_job.deployed, needs="workspace"),
    Check(WORKSPACE, "rights on the job", of_job.permissions, needs="workspace"),
    Check(WORKSPACE, "own runs", of_job.runs, needs="workspace"),
    Check(WORKSPACE, "warehouse", of_target=of_driver.warehouse, needs="workspace"),
    Check(DATA, "artifacts", of_log.artifacts, needs="workspace"),
    Check(DATA, "rights", of_rights.rights, needs="workspace"),
    Check(DATA, "catalog", of_target=of_rights.catalog, needs="notebook"),
    Check(DATA, "release log", of_log.log, needs="notebook"),
    Check(DATA, "retention", of_target=of_retention.retained, needs="notebook"),
    Check(DRIVER, "runtime", of_driver.runtime, needs="notebook"),
    Check(DRIVER, "packages", of_driver.packages, needs="notebook"),
    Check(DRIVER, "dbt's environment", of_driver.environment, needs="notebook"),
    Check(DRIVER, "connection", of_target=of_driver.connection, needs="notebook"),
)
"""All checks, in the order in which they are read."""


def check_setup(
    spark: SparkSession | None = None,
    *,
    project_dir: str | Path = ".",
    profiles_dir: str | Path | None = None,
    targets: Sequence[str] = (),
    job: str | None = None,
    offline: bool = False,
    secrets: SecretReader | None = None,
) -> CheckReport:
    """Look at everything that a release needs, before the first one needs it.

    Nothing is changed, but for one small file that is written to the artifacts' folder and removed again.

    Args:
        spark: a session, in a notebook; without, what needs one is skipped.
        project_dir: the folder of the dbt project, as `open_cd` takes it.
        profiles_dir: the folder of `profiles.yml`; by default the job's, else as for `run_dbt`.
        targets: only these targets; all where none is named.
        job: the job's name or id; by default the bundle's that has a gate.
        secrets: reads the secrets that `secrets` in `dbx_cd.yml` names; in a notebook `dbutils.secrets.get`.
        offline: ask nobody, and look at files only. Else the workspace is asked, as the SDK logs in by itself.

    Returns:
        The report; a check that itself fails is a line of it.

    Raises:
        ConfigError: there is no project.

    Example:
        >>> print(check_setup(spark, project_dir="transform").text)
    """
    project = find_project(project_dir)
    scene = Scene(
        project,
        repository_of(project),
        given_profiles_dir=str(profiles_dir) if profiles_dir else None,
        targets=tuple(targets),
        job=job,
        connect=None if offline else current_workspace,
        spark=None if offline else spark,
        secrets=secrets,
    )
    return run_checks(scene)


def repository_of(project: Path) -> Path:
    """The root of a project's repository: git's, else where the bundle lies, else the project's own folder."""
    above = (project, *project.parents)
    by_git = next((folder for folder in above if (folder / ".git").exists()), None)
    by_bundle = next((f for f in above if bundle_file(f) is not None), None)
    return by_git or by_bundle or project


def run_checks(scene: Scene, checks: Sequence[Check] = CHECKS) -> CheckReport:
    """Run checks, each one whatever became of the others.

    A check that itself raises has failed. Where several need the same thing, which cannot be found out, the first of
    them says why.

    Args:
        scene: what there is to look at.
        checks: the checks.
    """
    reported: dict[str, str] = {}
    lines = [line for check in checks for line in _lines(check, scene, reported)]
    try:
        identity = scene.me if scene.connect is not None else None
    except Exception:
        identity = None  # its own check says why
    return CheckReport(str(scene.project), identity, tuple(lines))


def _lines(check: Check, scene: Scene, reported: dict[str, str]) -> Iterator[CheckLine]:
    if check.needs != "nothing" and scene.connect is None:
        found: Iterable[CheckLine] = (skipped("", _OFFLINE),)
    elif check.needs == "notebook" and scene.spark is None:
        found = (skipped("", _NO_NOTEBOOK, next_step="open notebooks/check in the workspace"),)
    else:
        found = _found(check, scene, reported)
    for line in found:
        if line.status == "fail":
            reported.setdefault(line.message, check.name)
        yield replace(line, group=check.group, name=check.name)


def _found(check: Check, scene: Scene, reported: dict[str, str]) -> Iterator[CheckLine]:
    try:
        calls = list(check.calls(scene))
    except Exception as exc:
        calls = [("", lambda exc=exc: _raise(exc))]  # type: ignore[misc]
    for subject, call in calls:
        try:
            yield from call()
        except Exception as exc:
            yield _of_error(exc, subject, reported)


def _of_error(error: Exception, subject: str, reported: dict[str, str]) -> CheckLine:
    """What an error comes to: a failure, or where an earlier check has failed for the same reason, a line skipped."""
    _log.debug("a check has raised", exc_info=error)
    if isinstance(error, DbxCdError):
        what, where, step = error.what, error.where or "", error.next_step
    else:
        what, where = f"{type(error).__name__}: {what_failed(error)}", ""
        step = "report this, with the line: a check should say by itself what is wrong"
    message = " ".join(what.split())
    if message in reported:
        return skipped(subject or where, f"cannot be told while {reported[message]!r} fails")
    named = f"{subject} ({where})" if subject and where not in ("", subject) else subject or where
    return fail(named, message, next_step=step)


def _raise(error: Exception) -> Iterable[CheckLine]:
    raise error
