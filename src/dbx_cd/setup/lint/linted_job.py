"""A job as the rules see it: its settings, where each of them is written, and the project beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from databricks.sdk.service.iam import AccessControlRequest
from databricks.sdk.service.jobs import JobSettings, RunIf, Source, Task

from dbx_cd.config import CdConfig
from dbx_cd.release.job import GATE_NOTEBOOK, ROLLBACK_NOTEBOOK, build_target, given_value, notebook_name
from dbx_cd.release.second_half import STAGING_IDENTITY
from dbx_cd.setup.lint.finding import Finding
from dbx_cd.setup.lint.notebook_source import NotebookSource, read_notebook
from dbx_cd.setup.yaml_places import Place

SMOKE_NOTEBOOK = "smoke"
DOCS_NOTEBOOK = "publish_docs"
_SUFFIXES = ("", ".py", ".ipynb", ".sql", ".scala", ".r", ".R")
# What `${workspace.file_path}` stands for is where a deploy puts the bundle's files (asset bundle reference).
_BUNDLE_FILES = "${workspace.file_path}/"


@dataclass(frozen=True)
class PlacedTask:
    """A task, and where it is written."""

    task: Task
    """The task."""
    place: Place
    """Its place in the job."""
    around: Task | None = None
    """The task that repeats it, for the one inside a for_each_task."""

    @property
    def key(self) -> str:
        """Its key; "" where it has none."""
        return self.task.task_key or ""

    @property
    def before(self) -> tuple[str, ...]:
        """The keys of the tasks that it depends on itself."""
        return tuple(dependency.task_key for dependency in self.task.depends_on or () if dependency.task_key)

    @property
    def run_if(self) -> RunIf:
        """When it runs."""
        return self.task.run_if or RunIf.ALL_SUCCESS


@dataclass(frozen=True)
class LintedJob:
    """A job."""

    settings: JobSettings
    """As the Jobs API takes them."""
    permissions: tuple[AccessControlRequest, ...]
    """Who may do what with it, but for its owner."""
    repository: Path
    """The root of the project's repository."""
    config: CdConfig
    """The settings of the dbt project in it."""
    where: Callable[[Place], str]
    """File and line of a place."""
    folder: Callable[[Place], Path]
    """The folder of the file that has a place."""
    starters: tuple[tuple[LintedJob, PlacedTask], ...] = ()
    """The jobs of the bundle that run this one, each with the task that does."""

    def found(
        self, rule: str, place: Place, message: str, *, next_step: str, task: PlacedTask | None = None
    ) -> Finding:
        """Something that a rule has found.

        Args:
            rule: the rule.
            place: where in the job, or in the task.
            message: what is wrong.
            next_step: what to do.
            task: the task that it is about.
        """
        if task is None:
            return Finding.of(rule, self.where(place), message, next_step)
        where = self.where((*task.place, *place))
        return Finding.of(rule, f"{where}, task {task.key}" if task.key else where, message, next_step)

    @cached_property
    def tasks(self) -> tuple[PlacedTask, ...]:
        """All tasks, also those that another one repeats."""
        return tuple(self._tasks())

    def _tasks(self) -> Iterator[PlacedTask]:
        for number, task in enumerate(self.settings.tasks or ()):
            yield PlacedTask(task, ("tasks", number))
            inner = task.for_each_task.task if task.for_each_task is not None else None
            if inner is not None:
                yield PlacedTask(inner, ("tasks", number, "for_each_task", "task"), task)

    @cached_property
    def by_key(self) -> Mapping[str, PlacedTask]:
        """The tasks by key; of several with one key, the first."""
        return {placed.key: placed for placed in reversed(self.tasks) if placed.key and placed.around is None}

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """The default of each of the job's parameters."""
        return {p.name: str(p.default or "") for p in self.settings.parameters or () if p.name}

    @property
    def is_second_half(self) -> bool:
        """Whether it is the half of a release that has a gate, as a job of its own."""
        return STAGING_IDENTITY in self.parameters

    @property
    def runs_as(self) -> str:
        """Whom it runs as; "" where nobody is named."""
        run_as = self.settings.run_as
        names = (run_as.service_principal_name, run_as.user_name, run_as.group_name) if run_as is not None else ()
        return next((name for name in names if name), "")

    def place_of_parameter(self, name: str) -> Place:
        """Where a parameter of the job is; where they all are, if there is none of this name."""
        numbers = [n for n, parameter in enumerate(self.settings.parameters or ()) if parameter.name == name]
        return ("parameters", numbers[0]) if numbers else ("parameters",)

    def given(self, placed: PlacedTask) -> dict[str, str]:
        """What a notebook task is given by its own definition."""
        notebook = placed.task.notebook_task
        given = (notebook.base_parameters if notebook is not None else None) or {}
        # A bundle takes a number or true for text.
        texts = {name: str(value).lower() if isinstance(value, bool) else value for name, value in given.items()}
        return {name: "" if value is None else str(value) for name, value in texts.items()}

    def resolved(self, placed: PlacedTask, name: str) -> str:
        """What a notebook task gets for a parameter: its own value, else the notebook's default."""
        if name in self.given(placed):
            return given_value(placed.task, name, self.parameters)
        source = self.source(placed)
        default = source.widgets.get(name) if source is not None else None
        return "" if default is None else str(default).lower() if isinstance(default, bool) else default

    def builds(self) -> Iterator[tuple[PlacedTask, str]]:
        """The tasks that build, with their targets; "" where nothing says it."""
        for placed in self.tasks:
            target = build_target(placed.task, self.parameters)
            if target is not None:
                yield placed, target

    def of_notebook(self, name: str, *, target: str | None = None) -> list[PlacedTask]:
        """The tasks that run a notebook of this name, of one target alone where one is given."""
        found = [placed for placed in self.tasks if notebook_name(placed.task) == name]
        return [placed for placed in found if target is None or self.target(placed) == target]

    def target(self, placed: PlacedTask) -> str:
        """The target of a task; "" where nothing says it."""
        return given_value(placed.task, "target", self.parameters)

    @cached_property
    def gates(self) -> Mapping[str, tuple[PlacedTask, ...]]:
        """The gate tasks of each target."""
        gates: dict[str, tuple[PlacedTask, ...]] = {}
        for placed in self.of_notebook(GATE_NOTEBOOK):
            gates[self.target(placed)] = (*gates.get(self.target(placed), ()), placed)
        return gates

    @cached_property
    def gated(self) -> tuple[str, ...]:
        """The targets that need an approval: those of the settings, and those that the job has a gate for."""
        return tuple(dict.fromkeys([*self.config.gates, *(target for target in self.gates if target)]))

    def ancestors(self, key: str) -> set[str]:
        """The tasks that come before one, directly or not."""
        seen: set[str] = set()
        waiting = [key]
        while waiting:
            placed = self.by_key.get(waiting.pop())
            more = set(placed.before if placed is not None else ()) - seen
            seen |= more
            waiting += more
        return seen

    def is_of_git(self, placed: PlacedTask) -> bool:
        """Whether a notebook is taken from the repository, and not from the workspace."""
        notebook = placed.task.notebook_task
        source = notebook.source if notebook is not None else None
        # "If the value is empty, the task will use GIT if git_source is defined and WORKSPACE otherwise" (Jobs API).
        return source == Source.GIT or (source is None and self.settings.git_source is not None)

    def notebook_file(self, placed: PlacedTask) -> Path | None:
        """The file of a task's notebook, whether or not it is there; None where only the workspace knows it."""
        notebook = placed.task.notebook_task
        path = notebook.notebook_path if notebook is not None else None
        if not path:
            return None
        if self.is_of_git(placed):
            base, inside = self.repository, path.lstrip("/")
        elif path.startswith(_BUNDLE_FILES):
            base, inside = self.repository, path.removeprefix(_BUNDLE_FILES)
        elif path.startswith(("/", "$", "{{")):
            return None
        else:
            # A relative path is relative to the file that has it (asset bundle documentation, "Relative paths").
            base, inside = self.folder((*placed.place, "notebook_task", "notebook_path")), path
        found = (base / f"{inside}{suffix}" for suffix in _SUFFIXES)
        return next((file for file in found if file.is_file()), base / inside)

    def source(self, placed: PlacedTask) -> NotebookSource | None:
        """What a task's notebook says of itself; None where it is not there or not Python."""
        file = self.notebook_file(placed)
        return read_notebook(file) if file is not None and file.suffix == ".py" and file.is_file() else None

    def rollbacks(self, target: str) -> list[PlacedTask]:
        """The tasks that roll one target back."""
        return self.of_notebook(ROLLBACK_NOTEBOOK, target=target)
