"""What dbt makes of the project for one target, and which of its nodes a build there would take: one dbt process."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dbx_cd.dbt.artifacts import Manifest, Node
from dbx_cd.dbt.listing import ListQuery, list_nodes
from dbx_cd.dbt.profiles import PROFILES_FILE
from dbx_cd.dbt.runner import Runner
from dbx_cd.dbt.selection import Selection, WithParents
from dbx_cd.setup.check.outputs import write_without_login
from dbx_cd.setup.check.written_job import BuildTask

_BUILT, _WHOLE = "built", "whole"


@dataclass(frozen=True)
class TargetLists:
    """The project as one target has it."""

    target: str
    """The target."""
    task: BuildTask
    """The task that builds it."""
    manifest: Manifest
    """What dbt has parsed."""
    built: tuple[str, ...]
    """The unique ids that the task would build or test."""
    left_out: frozenset[str]
    """Those that it would build if nothing were excluded."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes of what is built or tested."""
        return tuple(self.manifest.select(self.built))

    @property
    def relations(self) -> tuple[Node, ...]:
        """The models, seeds and snapshots that make a relation."""
        return tuple(node for node in self.nodes if node.builds_relation)

    def left_out_and_read(self) -> dict[str, tuple[str, ...]]:
        """What is left out and read by what is built: each by its id, with the names of its readers."""
        return {
            left: readers
            for left in sorted(self.left_out)
            if (readers := tuple(node.name for node in self.relations if left in node.depends_on))
        }


def list_target(project: Path, task: BuildTask, *, profiles: Path, runner: Runner | None = None) -> TargetLists:
    """Parse a project for a target, and list what its build takes; nothing is connected to.

    Args:
        project: the project's folder.
        task: the task that builds the target.
        profiles: the folder of `profiles.yml`.
        runner: runs dbt in another way.

    Raises:
        DbtFailed: dbt cannot parse the project.
        ConfigError: the task's selection is not one, or there is no project.
        SetupError: dbt is not installed.
    """
    # `changed` needs a state to go by; what it takes besides is a part of what `all` takes.
    parents: WithParents = "all" if task.with_parents == "all" else "none"
    asked = Selection("ls", task.select or None, task.exclude or None, parents)
    whole = Selection("ls", task.select or None, None, parents)
    queries = {_BUILT: ListQuery(asked), _WHOLE: ListQuery(whole)}
    with tempfile.TemporaryDirectory(prefix="dbx_cd-", ignore_cleanup_errors=True) as folder:
        write_without_login(profiles / PROFILES_FILE, Path(folder))
        listed = list_nodes(
            queries, target=task.target, project_dir=project, profiles_dir=folder, work_dir=Path(folder) / "work",
            runner=runner, check=True,
        )  # fmt: skip
        manifest = Manifest.load(listed.run.files_dir / "manifest.json")
    built = listed.nodes[_BUILT]
    return TargetLists(task.target, task, manifest, built, _without_tests(listed.nodes[_WHOLE], built))


def _without_tests(whole: Sequence[str], built: Sequence[str]) -> frozenset[str]:
    return frozenset(name for name in set(whole) - set(built) if not name.startswith(("test.", "unit_test.")))
