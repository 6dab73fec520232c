"""What dbt says a project is called in each of its targets, before the workspace starts.

Catalogs have to be there when Spark starts, and only dbt knows which ones a project needs: sources, configs, macros
such as `generate_database_name` and variables name them. dbt's parse is kept for the tasks, so that a release does not
pay for it twice (`dbx_cd.dbt.carried_parse`).
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dbx_cd.artifacts import archive
from dbx_cd.artifacts.installed import with_packages
from dbx_cd.artifacts.project_files import project_files
from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.environment import DbtEnvironment
from dbx_cd.dbt.invocation import install_packages, run_dbt
from dbx_cd.dbt.project import LocalProject
from dbx_cd.dbt.warm_parent import warm_dbt
from dbx_cd.errors import DbxCdError, what_failed
from dbx_cd.local.rest.git_source import GitCheckouts, make_writable
from dbx_cd.local.spark_session import may_be_catalog

_IN_A_CATALOG = ("model", "seed", "snapshot", "source", "function")


@dataclass(frozen=True)
class ParsedProject:
    """A project's manifests."""

    manifests: Mapping[str, Manifest]
    """By target; those of targets that dbt could parse."""
    project_dir: Path
    """The folder that messages name: the project's own."""
    problems: tuple[str, ...] = ()
    """Why there is no manifest, for each target that has none."""

    @cached_property
    def catalogs(self) -> tuple[str, ...]:
        """The catalogs that its models, seeds, snapshots, functions and sources are in, as they are written."""
        found = dict.fromkeys(name for manifest in self.manifests.values() for name in _databases(manifest))
        return tuple(name for name in found if may_be_catalog(name))

    def built_in(self, target: str) -> tuple[str, ...]:
        """The catalogs in which dbt makes something of the project in a target, as they are written."""
        manifest = self.manifests.get(target)
        found = dict.fromkeys(_databases(manifest, but="source")) if manifest else {}
        return tuple(name for name in found if may_be_catalog(name))

    @property
    def principals(self) -> tuple[str, ...]:
        """The users and groups that `grants` of its nodes name, each once."""
        nodes = [node for manifest in self.manifests.values() for node in manifest.nodes.values()]
        return tuple(dict.fromkeys(name for node in nodes for name in _granted_to(node)))


def parse_commit(
    repository: Path,
    commit: str,
    *,
    subfolder: str,
    profiles: Path,
    targets: Mapping[str, object],
    work: Path,
) -> ParsedProject:
    """Let dbt parse the project as a commit has it, once for each target.

    A project that dbt cannot parse, or whose packages cannot be installed, is no reason to stop here: the release says
    so in the words that its task has for it.

    Args:
        repository: the root of the git repository.
        commit: the full SHA.
        subfolder: the project's folder, relative to the root.
        profiles: the `profiles.yml` that the tasks will be given.
        targets: the targets, by name.
        work: a folder on local disk that may be filled; the caller removes it.
    """
    shown = repository / subfolder
    checkout = None
    try:
        checkout = GitCheckouts(work / "checkout", {}).checkout({"git_url": str(repository), "git_commit": commit})
        files = project_files(checkout.path / subfolder)
        with warm_dbt(DbtEnvironment.of(checkout.path / subfolder)) as parent:
            first = next(iter(targets))

            def install(folder: Path) -> None:
                project = LocalProject.at(folder, work=work / "deps", profiles_dir=profiles.parent)
                install_packages(project, target=first, source=shown, warm_parent=parent)

            # The same files in the same way as a build packs them: what they are is the key of a kept parse.
            packed = archive.pack_files(
                with_packages(files, layout=work / "layout", install=install), work / archive.ARCHIVE_NAME
            )
            copy = archive.unpack_files(packed, work / "project")
            return _parse_all(copy, shown=shown, profiles=profiles, targets=targets, work=work, parent=parent)
    except DbxCdError as exc:
        return ParsedProject({}, shown, (what_failed(exc),))
    finally:
        if checkout is not None:
            make_writable(checkout.path)


def _parse_all(
    copy: Path, *, shown: Path, profiles: Path, targets: Mapping[str, object], work: Path, parent: Path | None
) -> ParsedProject:
    manifests: dict[str, Manifest] = {}
    problems = []
    for target in targets:
        try:
            # What dbt has to say of the project it says again in the tasks, where people look for it.
            with contextlib.redirect_stderr(io.StringIO()):
                ran = run_dbt(
                    "parse", target=target, project_dir=copy, profiles_dir=profiles.parent,
                    work_dir=work / "parse" / target, warm_parent=parent,
                )  # fmt: skip
            manifests[target] = Manifest.load(ran.files_dir / "manifest.json")
        except DbxCdError as exc:
            problems.append(f"{target}: {what_failed(exc)}")
    return ParsedProject(manifests, shown, tuple(problems))


def _databases(manifest: Manifest, *, but: str | None = None) -> Iterator[str]:
    for node in manifest.nodes.values():
        if node.resource_type != but and (node.resource_type in _IN_A_CATALOG or node.relation is not None):
            name = str(node.raw.get("database") or "")
            if name:
                yield name


def _granted_to(node: Node) -> Iterator[str]:
    config = node.raw.get("config")
    grants = config.get("grants") if isinstance(config, dict) else None
    for names in (grants or {}).values():
        yield from [names] if isinstance(names, str) else map(str, names or ())
