"""Checks of what dbt makes of the project: it parses, a release is not empty, and something of it is tested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.keys import enforces_contract
from dbx_cd.dbt.lookup import require_model
from dbx_cd.enumeration import listed
from dbx_cd.errors import DbxCdError
from dbx_cd.setup.check.project_lists import TargetLists
from dbx_cd.setup.check.report import CheckLine, fail, ok, warn
from dbx_cd.setup.check.scene import Scene
from dbx_cd.smoke.checks import Check, ExpectationCheck, InvalidCheck
from dbx_cd.smoke.folder import suites_in

_SHOWN = 5


def parses(scene: Scene, target: str) -> Iterator[CheckLine]:
    """dbt can read the project."""
    manifest = scene.lists(target).manifest
    built = sum(node.builds_relation for node in manifest.nodes.values())
    version = manifest.metadata.get("dbt_version", "?")
    yield ok(target, f"dbt {version} parses the project: {built} models, seeds and snapshots")


def selection(scene: Scene, target: str) -> Iterator[CheckLine]:
    """The job's build of a target selects something."""
    lists = scene.lists(target)
    task = lists.task
    words = f"`{task.select}`" + (f" without `{task.exclude}`" if task.exclude else "")
    if not lists.relations:
        yield fail(
            target,
            f"{words} selects nothing to build",
            next_step="tag what ships, as `+tags: [deploy]` in dbt_project.yml, or correct `select` in the job",
        )
    else:
        yield ok(target, f"{words} selects {len(lists.relations)} models, seeds and snapshots")


def relations_apart(scene: Scene) -> Iterator[CheckLine]:
    """No relation is built by two targets: names may be made by macros, whatever the profile says."""
    made: dict[str, list[str]] = {}
    targets = [target for target in scene.looked_at if target in scene.own_config.targets]
    for target in targets:
        for node in scene.lists(target).relations:
            assert node.relation is not None
            made.setdefault(node.relation.key, []).append(target)
    twice = sorted(key for key, by in made.items() if len(by) > 1)
    if twice:
        yield fail(
            listed(twice, most=_SHOWN),
            f"is built by {' and by '.join(made[twice[0]])}, each over the other",
            next_step="let generate_database_name or generate_schema_name tell the targets apart",
        )
    elif len(targets) > 1:
        yield ok("", f"no relation is built by two of {', '.join(targets)}")


def heavy(scene: Scene, target: str) -> Iterator[CheckLine]:
    """What staging leaves out is not what it has to read."""
    config = scene.config
    if target in config.gates:
        return
    lists = scene.lists(target)
    read = lists.left_out_and_read()
    if not read:
        yield ok(target, f"nothing of what is left out ({len(lists.left_out)}) is read by what is built")
    elif config.policies.heavy_from == "prod":
        yield ok(target, f"{len(read)} nodes that are left out are read from production (policies.heavy_from)")
    else:
        names = [f"{left.rpartition('.')[2]} (by {listed(readers, most=2)})" for left, readers in read.items()]
        yield warn(
            target,
            f"{listed(names, most=_SHOWN)} {'is' if len(names) == 1 else 'are'} left out and read: the build "
            "fails where an earlier one has not made it",
            next_step="set policies.heavy_from: prod in dbx_cd.yml, or tag it heavy only after a first build",
        )


def smoke(scene: Scene) -> Iterator[CheckLine]:
    """Every smoke suite can be read, and names what the project has."""
    config = scene.config
    suites = suites_in(config.smoke_dir)
    manifest = scene.lists(scene.looked_at[0]).manifest
    found = 0
    for suite in suites:
        for check in suite:
            problem = _problem(check, manifest)
            if problem:
                yield fail(check.where, f"{check.name}: {problem}", next_step="correct the suite")
            found += not problem
    if found:
        yield ok(config.smoke_dir.name, f"{found} checks in {len(suites)} suites")
    elif not suites:
        yield ok(config.smoke_dir.name, "no suite: the project's own data tests and contracts are the smoke test")


def _problem(check: Check, manifest: Manifest) -> str:
    """What is wrong with a check, as far as the project itself says; "" for nothing."""
    if isinstance(check, InvalidCheck):
        return check.problem
    if check.model is None:
        return ""
    try:
        model = require_model(manifest, check.model)
    except DbxCdError as exc:
        return exc.what
    column = check.arguments.get("column") if isinstance(check, ExpectationCheck) else None
    known = {name.lower() for name in model.columns}
    # Only an enforced contract names every column.
    if isinstance(column, str) and enforces_contract(model) and column.lower() not in known:
        return f"{check.model} has no column {column!r}, by its contract"
    return ""


def tested(scene: Scene, target: str) -> Iterator[CheckLine]:
    """A release of which nothing is tested does not pass the smoke test."""
    if target in scene.config.gates:
        return
    lists = scene.lists(target)
    tests = [node for node in lists.nodes if node.resource_type == "test"]
    contracts = [node for node in lists.relations if enforces_contract(node)]
    suites = [c for s in suites_in(scene.config.smoke_dir) for c in s if not isinstance(c, InvalidCheck)]
    if tests or contracts or suites:
        yield ok(
            target, f"{len(tests)} data tests, {len(contracts)} enforced contracts, {len(suites)} checks of suites"
        )
    else:
        yield fail(
            target,
            "nothing of what is built is tested, and such a release does not pass the smoke test",
            next_step="give a model that ships a data test, an enforced contract, or a check in smoke/<domain>.yml",
        )
    untested = _untested(lists, suites)
    if untested and len(untested) < len(lists.relations):
        yield warn(
            target,
            f"no test looks at {listed(untested, most=_SHOWN)}",
            next_step="give each model that ships a data test, such as unique and not_null of its key",
        )


def _untested(lists: TargetLists, suites: Sequence[Check]) -> list[str]:
    looked_at = {parent for node in lists.nodes if node.resource_type == "test" for parent in node.depends_on}
    models = [n for n in lists.relations if n.resource_type == "model" and not enforces_contract(n)]
    named = {check.model for check in suites}
    return sorted(n.name for n in models if n.unique_id not in looked_at and not named & {n.name, n.unique_id})
