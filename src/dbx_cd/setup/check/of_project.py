"""Checks of the project's own files: settings, profile, secrets, what is committed, packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dbx_cd.artifacts.checkout import Checkout, head_of
from dbx_cd.artifacts.project_files import paths_read, project_files
from dbx_cd.artifacts.secrets import is_secret, refuse_clear_secrets
from dbx_cd.artifacts.uncommitted import uncommitted
from dbx_cd.config import FILE_NAME
from dbx_cd.dbt.packages import LOCK_FILE, names_packages, not_installed, package_folders
from dbx_cd.dbt.profiles import PROFILES_FILE, profiles_folder
from dbx_cd.enumeration import listed
from dbx_cd.errors import ConfigError
from dbx_cd.setup.bundle_reading import BUNDLE_FILES
from dbx_cd.setup.check.report import CheckLine, fail, ok, skipped, warn
from dbx_cd.setup.check.scene import Scene

_SHOWN = 5
_SOURCES = (".sql", ".csv", ".yml", ".yaml", ".py")


def settings(scene: Scene) -> Iterator[CheckLine]:
    """`dbx_cd.yml` is valid, and says what it is meant to say."""
    config = scene.own_config
    gated = [f"{name} after {target.defer_to}" for name, target in config.targets.items() if target.gate]
    source = FILE_NAME if (scene.project / FILE_NAME).is_file() else f"no {FILE_NAME}, so the defaults count"
    yield ok("", f"{source}: targets {', '.join(config.targets)}; gated {', '.join(gated) or 'none'}")
    for line in scene.config.overruled:
        yield warn(FILE_NAME, line, next_step=f"say the same in {FILE_NAME}, for people who open notebooks by hand")


def gate(scene: Scene) -> Iterator[CheckLine]:
    """Something needs an approval, and a group is named that gives it."""
    config = scene.config
    if not config.gates:
        yield fail(
            FILE_NAME,
            "no target needs an approval: whatever is merged would be built everywhere",
            next_step="give production a gate: `targets: {..., prod: {gate: approval, defer_to: stg}}`",
        )
        return
    for name in config.gates:
        if config.targets[name].defer_to is None:
            yield fail(
                name,
                "it defers to nothing, so no staging build is approved for it",
                next_step=f"set targets.{name}.defer_to in {FILE_NAME}",
            )
        else:
            yield ok(name, f"needs the approval of a member of {config.approvers}")


def target(scene: Scene, name: str) -> Iterator[CheckLine]:
    """The profile has an output for a target, of dbt-databricks, with a catalog and a schema."""
    output = scene.output(name)
    correct = "correct it in profiles.yml"
    for key, why in output.faults.items():
        yield fail(name, f"`{key}` cannot be rendered here: {why}", next_step="set the variable, here and on the job")
    kind = output.values.get("type", "")
    if "type" not in output.faults and kind != "databricks":
        yield fail(name, f"the output's type is {kind!r}", next_step="use an output of type databricks")
    for key, value in {"catalog": output.catalog, "schema": output.schema}.items():
        if not value:
            yield fail(name, f"the output has no {key}", next_step=f"{correct}: a catalog and a schema of its own")
    if not output.faults and kind == "databricks" and output.catalog and output.schema:
        yield ok(name, f"builds into {output.catalog}.{output.schema}")
        yield from _threads(name, output.values.get("threads", "1"))


def _threads(name: str, given: str) -> Iterator[CheckLine]:
    if not given.isdecimal() or int(given) < 1:
        yield fail(
            name, f"threads is {given!r}", next_step="give a whole number of at least 1, such as 8, in profiles.yml"
        )
    elif given == "1":
        yield warn(
            name,
            "threads is 1, so dbt builds one model at a time",
            next_step="set `threads: 8` or so in profiles.yml, if models need not follow one another",
        )


def apart(scene: Scene) -> Iterator[CheckLine]:
    """No two targets build into the same schema: staging would build in production."""
    places: dict[tuple[str, str], list[str]] = {}
    catalogs: dict[str, list[str]] = {}
    for name in scene.looked_at:
        output = scene.output(name)
        if not output.faults:
            places.setdefault((output.catalog.lower(), output.schema.lower()), []).append(name)
            catalogs.setdefault(output.catalog.lower(), []).append(name)
    together = {place: names for place, names in places.items() if len(names) > 1}
    for (catalog, schema), names in together.items():
        yield fail(
            " and ".join(names),
            f"build into the same schema {catalog}.{schema}: staging would be production",
            next_step="give each target a catalog, or at least a schema, of its own in profiles.yml",
        )
    for catalog, names in catalogs.items():
        if len(names) > 1 and not together:
            yield warn(
                " and ".join(names),
                f"share the catalog {catalog}, so rights on it are rights on both",
                next_step="give production a catalog of its own; the grants of docs/deploy.md go by catalogs",
            )
    if not together and all(len(names) == 1 for names in catalogs.values()):
        yield ok("", f"each target has a catalog of its own: {', '.join(catalogs)}")


def secrets(scene: Scene) -> Iterator[CheckLine]:
    """No file that is committed or archived holds a secret in clear, or is one by its name."""
    folder = profiles_folder(scene.project, given=scene.profiles_dir)
    # One that lies elsewhere, such as on the Volume, is neither.
    own = folder is not None and folder.resolve().is_relative_to(scene.repository.resolve())
    files = [*((folder / PROFILES_FILE,) if folder is not None and own else ()), scene.project / FILE_NAME]
    files += [scene.repository / name for name in BUNDLE_FILES]
    files += [scene.written.file] if scene.written is not None else []
    found = False
    for path in dict.fromkeys(path for path in files if path.is_file()):
        try:
            refuse_clear_secrets(path, name=_inside(path, scene.repository))
        except ConfigError as exc:
            found = True
            yield fail(exc.where or path, exc.what, next_step=exc.next_step)
    checkout = Checkout.around(scene.repository)
    named = [n for n in sorted(checkout.names) if checkout.in_git and is_secret(n, scene.repository / n)]
    if named:
        found = True
        yield fail(
            listed(named, most=_SHOWN),
            "is in git, by a name that tools give to secrets",
            next_step="remove it from git (git rm --cached), and change the secret: it stays in the history",
        )
    if not found:
        yield ok("", "no secret in clear in the profile, the settings and the bundle")


def committed(scene: Scene) -> Iterator[CheckLine]:
    """Everything that a release is made of is in git, as it is here."""
    files = project_files(scene.project)
    head = head_of(scene.repository)
    if head is None:
        yield skipped(
            "",
            "no git here: a checkout of the workspace does not say what is committed",
            next_step="run `check --offline` in the repository, or in CI",
        )
        return
    left = uncommitted(scene.repository, commit=head, project=scene.project)
    if left:
        yield warn(
            listed(left, most=_SHOWN),
            "differs from the newest commit, and a release is made of a commit",
            next_step="commit it before the merge",
        )
    ignored = _ignored_models(scene, frozenset(files.files))
    if ignored:
        yield fail(
            listed(ignored, most=_SHOWN),
            "is ignored by git and read by dbt: built here, and not released",
            next_step="commit it (git add --force), or remove it",
        )
    if not left and not ignored:
        yield ok("", f"{len(files.files)} files of the project are as the newest commit has them")


def _ignored_models(scene: Scene, known: frozenset[str]) -> list[str]:
    """What lies in the folders that dbt reads and git neither has nor names as new: it ignores it."""
    read = {scene.project / name for name in paths_read(scene.project)} | {scene.config.smoke_dir}
    found = {
        path.relative_to(scene.project).as_posix()
        for folder in read
        if folder.is_dir() and folder != scene.project
        for path in folder.rglob("*")
        if path.suffix in _SOURCES and path.is_file()
    }
    return sorted(name for name in found - known if not is_secret(name, scene.project / name))


def packages(scene: Scene) -> Iterator[CheckLine]:
    """The versions of dbt packages are locked."""
    if not names_packages(scene.project):
        yield ok("", "the project names no dbt packages")
        return
    lock = scene.project / LOCK_FILE
    if not lock.is_file():
        yield warn(
            LOCK_FILE,
            "is not there, so each staging build takes the versions of that day",
            next_step=f"run `dbt deps`, and commit {LOCK_FILE}",
        )
        return
    why = not_installed(
        scene.project, {path.name: (path / "dbt_project.yml").is_file() for path in package_folders(scene.project)}
    )
    if LOCK_FILE in why:
        yield fail(LOCK_FILE, why, next_step=f"run `dbt deps`, and commit {LOCK_FILE}")
    else:
        yield ok(LOCK_FILE, "locks the versions of the packages that are named")


def _inside(path: Path, repository: Path) -> str:
    return path.relative_to(repository).as_posix() if path.is_relative_to(repository) else str(path)
