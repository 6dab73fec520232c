"""Projects and scenes for the tests of `check`: files in a git repository of a test's own, and planted facts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from artifact_folders import manifest
from git_repositories import commit, fill

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.runner import DbtOutcome
from dbx_cd.setup.check.project_lists import TargetLists
from dbx_cd.setup.check.report import CheckLine
from dbx_cd.setup.check.scene import Scene

PROFILE = """
shop:
  target: stg
  outputs:
    stg: &connection
      type: databricks
      host: acme.cloud.databricks.com
      http_path: /sql/1.0/warehouses/abc
      auth_type: oauth
      client_id: "{{ env_var('SHOP_ID', 'id') }}"
      client_secret: "{{ env_var('SHOP_SECRET', 'not-set') }}"
      catalog: stg
      schema: shop
      threads: 4
    prod: {<<: *connection, catalog: prod}
"""
JOB = """
resources:
  jobs:
    dbx_cd:
      name: dbx_cd
      run_as: {service_principal_name: "${var.run_as}"}
      permissions:
        - {group_name: "${var.approvers}", level: CAN_MANAGE_RUN}
        - {service_principal_name: "${var.run_as}", level: CAN_VIEW}
      parameters:
        - {name: approvers, default: "${var.approvers}"}
        - {name: artifacts_root, default: "/Volumes/ops/dbt_meta/artifacts"}
      git_source: {git_url: "https://git.acme.com/shop", git_provider: gitHub, git_branch: main}
      tasks:
        - task_key: stg_build
          notebook_task:
            notebook_path: notebooks/run_dbt
            source: GIT
            base_parameters: {target: stg, select: tag:deploy, exclude: tag:heavy, with_parents: all}
        - task_key: approval_gate
          depends_on: [{task_key: stg_build}]
          notebook_task:
            notebook_path: notebooks/approval_gate
            source: GIT
            base_parameters: {target: prod}
        - task_key: prod_build
          depends_on: [{task_key: approval_gate}]
          notebook_task:
            notebook_path: notebooks/run_dbt
            source: GIT
            base_parameters: {target: prod, select: tag:deploy}
"""
BUNDLE = """
bundle: {name: shop}
include: [resources/*.yml]
variables:
  run_as: {default: job-identity}
  approvers: {default: dbx_cd_approvers}
targets:
  main: {default: true}
"""
FILES = {
    "dbt_project.yml": "name: shop\nprofile: shop\n",
    "profiles.yml": PROFILE,
    "models/orders.sql": "select 1 as id",
    "databricks.yml": BUNDLE,
    "resources/dbx_cd.job.yml": JOB,
    ".github/workflows/cd.yml": "run: python -m dbx_cd trigger --commit $SHA\n",
}


def project(folder: Path, **changed: str | None) -> Path:
    """A committed project with a bundle; files by their names, `__` for a slash and `_` before the suffix for a dot."""
    files = {**FILES, **{_path(name): text for name, text in changed.items()}}
    fill(folder, {name: text for name, text in files.items() if text is not None})
    return commit(folder).resolve()


def _path(name: str) -> str:
    known = {path.replace("/", "__").replace(".", "_").strip("_"): path for path in FILES}
    others = {"dbx_cd_yml": "dbx_cd.yml", "packages_yml": "packages.yml", "package_lock_yml": "package-lock.yml"}
    return {**known, **others}[name]


def no_dbt(_arguments: list[str]) -> DbtOutcome:
    """Takes the place of a dbt that cannot parse the project: what a test wants parsed is planted."""
    return DbtOutcome(False, ("no dbt here",))


def scene(folder: Path, **more: Any) -> Scene:
    """What there is to look at in a project; dbt itself is never run."""
    return Scene(folder, folder, runner=no_dbt, **more)


def planted(folder: Path, target: str, *nodes: dict[str, Any], built: Iterable[str] | None = None) -> Scene:
    """A scene whose project dbt has parsed to these nodes, of which a build takes those named, or all."""
    found = scene(folder)
    plant(found, target, *nodes, built=built)
    return found


def plant(found: Scene, target: str, *nodes: dict[str, Any], built: Iterable[str] | None = None) -> None:
    """Let dbt have parsed the project to these nodes for a target."""
    parsed = Manifest.from_json(manifest(*nodes))
    ids = tuple(parsed.nodes) if built is None else tuple(built)
    left = frozenset(parsed.nodes) - set(ids)
    found.facts["lists", target] = (TargetLists(target, found.build_of(target), parsed, ids, left), None)


def statuses(lines: Iterable[CheckLine]) -> list[str]:
    """The statuses alone."""
    return [line.status for line in lines]


def only(lines: Iterable[CheckLine]) -> CheckLine:
    """The one line."""
    (line,) = lines
    return line


def said(run: Callable[..., Iterable[CheckLine]], *arguments: Any) -> Sequence[str]:
    """What a check says, a text a line."""
    return [f"{line.status} {line.subject}: {line.message} -> {line.next_step}" for line in run(*arguments)]
