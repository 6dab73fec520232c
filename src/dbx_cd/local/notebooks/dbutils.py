"""The part of ``dbutils`` that notebooks of a job use: widgets, task values, secrets, exit and restart.

What is not here raises ``NotImplementedError`` with the name that was asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

TASK_VALUE_LIMIT = 48 * 1024
"""Size limit of one task value as JSON, in bytes (public documentation of task values)."""


class NotebookExit(BaseException):
    """``dbutils.notebook.exit``. Not an ``Exception``, so that a notebook's own handlers do not swallow it."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.value = value


class RestartPython(BaseException):
    """``dbutils.library.restartPython`` or ``%pip``: the next cell starts with no variables."""


class Unsupported:
    """Stands for a part of ``dbutils`` that the embedded workspace does not have."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> NoReturn:
        if attribute.startswith("__"):
            raise AttributeError(attribute)
        raise NotImplementedError(f"{self._name}.{attribute} is not supported by the embedded workspace")


class Widgets:
    """``dbutils.widgets``: values given by the job win over the defaults that the notebook declares."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = dict(given)
        self._defaults: dict[str, str] = {}

    def text(self, name: str, defaultValue: str, label: str | None = None) -> None:  # noqa: N803, ARG002
        """Declare a text widget."""
        self._defaults.setdefault(name, str(defaultValue))

    def dropdown(self, name: str, defaultValue: str, choices: Sequence[str], label: str | None = None) -> None:  # noqa: N803
        """Declare a widget whose default is one of ``choices``."""
        if defaultValue not in choices:
            raise ValueError(f"widget '{name}': default value {defaultValue!r} is not one of its choices")
        self.text(name, defaultValue, label)

    def multiselect(self, name: str, defaultValue: str, choices: Sequence[str], label: str | None = None) -> None:  # noqa: N803
        """Declare a widget with several choices; its value is a comma-separated string."""
        self.dropdown(name, defaultValue, choices, label)

    def combobox(self, name: str, defaultValue: str, choices: Sequence[str], label: str | None = None) -> None:  # noqa: N803, ARG002
        """Declare a widget that takes one of ``choices`` or any other text."""
        self.text(name, defaultValue, label)

    def get(self, name: str) -> str:
        """The widget's value."""
        values = self.getAll()
        if name not in values:
            raise ValueError(f"InputWidgetNotDefined: no widget named '{name}' is defined")
        return values[name]

    def getArgument(self, name: str, defaultValue: str | None = None) -> str:  # noqa: N802, N803
        """Deprecated form of ``get``."""
        return self.get(name) if defaultValue is None else self.getAll().get(name, defaultValue)

    def getAll(self) -> dict[str, str]:  # noqa: N802
        """The values of all widgets."""
        return {**self._defaults, **self._given}

    def remove(self, name: str) -> None:
        """Forget one widget."""
        self._defaults.pop(name, None)
        self._given.pop(name, None)

    def removeAll(self) -> None:  # noqa: N802
        """Forget all widgets."""
        self._defaults.clear()
        self._given.clear()


class TaskValues:
    """``dbutils.jobs.taskValues``: small JSON values handed from task to task."""

    def __init__(self, task_key: str, others: Mapping[str, Mapping[str, Any]]) -> None:
        self.written: dict[str, Any] = {}
        self._task_key = task_key
        self._others = others

    def set(self, key: str, value: Any) -> None:
        """Publish ``value``, which JSON can represent, in at most 48 KiB."""
        if not isinstance(key, str):
            raise TypeError(f"the key of a task value must be a string, not {type(key).__name__}")
        encoded = json.dumps(value)
        if len(encoded.encode()) > TASK_VALUE_LIMIT:
            raise ValueError(f"task value '{key}' has {len(encoded.encode())} bytes as JSON; the limit is 48 KiB")
        self.written[key] = json.loads(encoded)

    def get(self, taskKey: str, key: str, default: Any = None, debugValue: Any = None) -> Any:  # noqa: N803, ARG002
        """The value that another task of this run has set. ``debugValue`` only serves interactive notebooks."""
        values = self.written if taskKey == self._task_key else self._others.get(taskKey, {})
        if key in values:
            return values[key]
        if default is None:
            raise ValueError(f"task '{taskKey}' has set no task value '{key}', and no default was given")
        return default


class _Option:
    """A value of Scala that may be missing."""

    def __init__(self, value: str) -> None:
        self._value = value

    def get(self) -> str:
        """The value."""
        return self._value


class EntryPoint:
    """What a notebook's own context says of it, by the calls through which it is reached on the platform."""

    def __init__(self, path: str) -> None:
        self._path = path

    def getDbutils(self) -> EntryPoint:  # noqa: N802
        """``dbutils`` of the Java side."""
        return self

    def notebook(self) -> EntryPoint:
        """Its part for notebooks."""
        return self

    def getContext(self) -> EntryPoint:  # noqa: N802
        """The context of the running notebook."""
        return self

    def notebookPath(self) -> _Option:  # noqa: N802
        """Its path, without the ending of its file; on this machine's disk, as no workspace is in between."""
        return _Option(self._path)

    def __getattr__(self, attribute: str) -> NoReturn:
        Unsupported("dbutils.notebook.entry_point").__getattr__(attribute)


class NotebookControl:
    """``dbutils.notebook``."""

    def __init__(self, path: str | None = None) -> None:
        if path is not None:
            self.entry_point = EntryPoint(path)

    def exit(self, value: object) -> NoReturn:
        """End the notebook successfully; ``value`` becomes the result of the task."""
        raise NotebookExit(str(value))

    def __getattr__(self, attribute: str) -> NoReturn:
        Unsupported("dbutils.notebook").__getattr__(attribute)


class Jobs:
    """``dbutils.jobs``."""

    def __init__(self, task_values: TaskValues) -> None:
        self.taskValues = task_values


class Library:
    """``dbutils.library``."""

    def restartPython(self) -> NoReturn:  # noqa: N802
        """Drop all variables; the next cell starts fresh."""
        raise RestartPython


class DBUtils:
    """What a notebook sees as ``dbutils``."""

    def __init__(
        self,
        *,
        parameters: Mapping[str, str],
        task_key: str,
        task_values: Mapping[str, Mapping[str, Any]],
        notebook: Path | None = None,
    ) -> None:
        self.widgets = Widgets(parameters)
        self.jobs = Jobs(TaskValues(task_key, task_values))
        self.notebook = NotebookControl(str(notebook.with_suffix("")) if notebook is not None else None)
        self.library = Library()

    @property
    def secrets(self) -> Any:
        """``dbutils.secrets``: the SDK's own, which asks the workspace as the task's user."""
        from databricks.sdk import WorkspaceClient

        return WorkspaceClient().dbutils.secrets

    def __getattr__(self, attribute: str) -> Unsupported:
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        return Unsupported(f"dbutils.{attribute}")
