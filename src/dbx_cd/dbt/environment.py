"""In which Python environment dbt runs: one of its own, made from the project's lock, else that of this interpreter.

dbt beside a runtime's packages replaces some of them (protobuf, the SDK, click), which other libraries there need as
they are. Where `requirements-dbt.txt` lies beside `dbt_project.yml`, dbt gets an environment of its own, and this
interpreter's packages are none of its business (ADR 22). All that asks "which dbt?" asks here.
"""

from __future__ import annotations

import logging
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Self

from dbx_cd.config import FILE_NAME as SETTINGS_FILE, read_settings
from dbx_cd.dbt.environment_folder import environment_folder
from dbx_cd.dbt.requirements_lock import FILE_NAME, RequirementsLock
from dbx_cd.digest import digest
from dbx_cd.errors import ConfigError
from dbx_cd.extras import require_extra
from dbx_cd.import_path import PYTHON_PATH, without_current_directory
from dbx_cd.warm.likeness import package_folders

# What would make modules of another environment, such as the runtime's, importable in this one.
_LEAKING = (PYTHON_PATH, "PYTHONHOME", "PYTHONUSERBASE", "VIRTUAL_ENV")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EnvironmentRecord:
    """The environment that one dbt ran in, as it is written down."""

    python: str
    """Its Python, such as `3.12`."""
    platform: str
    """Its system and machine, such as `linux-x86_64`: the same lock means other files elsewhere."""
    digest: str = ""
    """The sha256 of the lock, the Python and the platform; "" where dbt ran in the interpreter's own environment."""
    dbt_core: str = ""
    """The version of dbt-core in it; "" where there is none."""
    dbt_databricks: str = ""
    """The version of dbt-databricks in it; "" where there is none."""

    def __str__(self) -> str:
        kind = f"{self.digest[:12]} of {FILE_NAME}" if self.digest else f"the job's own, without {FILE_NAME}"
        return f"{kind}, Python {self.python}, {self.platform}"

    def is_as(self, other: EnvironmentRecord) -> bool:
        """Whether dbt has the same packages in both, so far as that is known."""
        return (self.digest, self.python, self.platform) == (other.digest, other.python, other.platform)


@dataclass(frozen=True)
class DbtEnvironment:
    """An environment that is there, and how dbt is started in it."""

    record: EnvironmentRecord
    """What is written down of it."""
    folder: Path | None = None
    """Where it was made; None for that of this interpreter."""

    @classmethod
    def of(cls, project_dir: str | Path, *, stands_in: bool = False) -> Self:
        """The environment of a project; it is made where it is not there yet, which takes seconds to a minute.

        Args:
            project_dir: the folder with `dbt_project.yml`.
            stands_in: something else runs in the place of dbt: then only the lock is read.

        Raises:
            ConfigError: the lock or the setting `wheelhouse` is none.
            SetupError: the environment cannot be made; or without a lock, dbt is not installed beside dbx_cd.
        """
        project = Path(project_dir)
        lock = RequirementsLock.find(project)
        if stands_in:
            return cls.own(lock)
        if lock is None:
            # Without dbt the process would end with a traceback in place of dbt's events.
            require_extra("dbt", distribution="dbt-core", purpose="run_dbt")
            _say_that_there_is_no_lock()
            return cls.own()
        wheelhouse = wheelhouse_of(project)
        known = cls.own(lock).record
        folder = environment_folder(lock, key=known.digest, wheelhouse=wheelhouse)
        made = cls(known, folder)
        core, adapter = (made.version(name) for name in ("dbt-core", "dbt-databricks"))
        return replace(made, record=replace(known, dbt_core=core, dbt_databricks=adapter))

    @classmethod
    def own(cls, lock: RequirementsLock | None = None) -> Self:
        """That of this interpreter, with the digest that the environment of a lock has here."""
        python, machine = ".".join(map(str, sys.version_info[:2])), f"{sys.platform}-{platform.machine()}"
        sealed = "" if lock is None else digest({"lock": lock.text, "python": python, "platform": machine})
        core, adapter = (installed_version(name) for name in ("dbt-core", "dbt-databricks"))
        return cls(EnvironmentRecord(python, machine, sealed, core, adapter))

    @property
    def python(self) -> str:
        """Its interpreter."""
        return sys.executable if self.folder is None else str(self.folder / "bin" / "python")

    @property
    def options(self) -> tuple[str, ...]:
        """How its interpreter is started: a file of the project must not take the place of a module that dbt imports,
        nor one of the user's own folder."""
        return ("-P",) if self.folder is None else ("-P", "-s")

    def variables(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """The variables of a process in it: an environment of its own imports from nowhere else.

        Args:
            inherited: the variables of this process.
        """
        if self.folder is None:
            return without_current_directory(inherited)
        return {name: value for name, value in inherited.items() if name not in _LEAKING}

    def version(self, distribution: str) -> str:
        """The version of a package in it; "" where it is not there."""
        if self.folder is None:
            return installed_version(distribution)
        # By its name: Python then reads the metadata of no other package.
        found = distributions(name=distribution, path=[str(path) for path in package_folders(self.folder)])
        return next((str(one.version) for one in found), "")


def installed_version(package: str) -> str:
    """The version of a distribution beside dbx_cd; "" where it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def wheelhouse_of(project: Path) -> Path | None:
    """The folder of wheels that a project's `dbx_cd.yml` names; None where it names none.

    Raises:
        ConfigError: the setting is no absolute path.
    """
    named = read_settings(project / SETTINGS_FILE, last_counts=True).get("wheelhouse")
    if named is None:
        return None
    if not isinstance(named, str) or not Path(named).is_absolute():
        raise ConfigError(
            f"`wheelhouse` must be an absolute path, not {named!r}",
            where=project / SETTINGS_FILE,
            next_step="give a folder on a Volume, such as /Volumes/ops/dbt_meta/wheels/dbt",
        )
    return Path(named)


@cache
def _say_that_there_is_no_lock() -> None:
    """Once a process."""
    _log.info(
        "no %s beside dbt_project.yml: dbt runs with the packages that are installed beside dbx_cd; "
        "`python -m dbx_cd lock-dbt` gives it an environment of its own",
        FILE_NAME,
    )
