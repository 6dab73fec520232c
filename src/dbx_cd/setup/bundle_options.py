"""What the files of a project's bundle are made for: its targets, its compute, its names, and values of variables."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from dbx_cd.config import CdConfig
from dbx_cd.errors import ConfigError
from dbx_cd.release.workflow import JOB_NAME
from dbx_cd.setup.runtimes import RUNTIMES

Compute = Literal["cluster", "serverless"]
Cloud = Literal["aws", "azure", "gcp"]
Identities = Literal[1, 2]
BUNDLE_FILE = "databricks.yml"
JOB_FILE = "resources/dbx_cd.job.yml"
PRODUCTION_JOB_FILE = "resources/dbx_cd_production.job.yml"
CI_FILE = ".github/workflows/cd.yml"
NOBODY = "00000000-0000-0000-0000-000000000000"
"""Stands for the application id of a service principal that is not known yet."""
SPARK_VERSION = "16.4.x-scala2.12"
ENVIRONMENT_VERSION = "4"
WHEEL = "dbx_cd-0.2.0-py3-none-any.whl"
# What the Jobs API takes in a task's key, and YAML for text without quotes.
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_NO_TEXT = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
_WHEEL = re.compile(r"dbx_cd-[\w.+!]+-py3-none-any\.whl")
# The smallest that the templates of the Databricks CLI take (databricks/cli, libs/template/helpers.go).
NODE_TYPES: Mapping[Cloud, str] = {"aws": "i3.xlarge", "azure": "Standard_D3_v2", "gcp": "n1-standard-4"}


@dataclass(frozen=True)
class TargetNames:
    """What the targets of a Workflow are called, in the order of a release."""

    staging: str = "stg"
    """The one that is built and tested first."""
    production: str = "prod"
    """The gated one that is built last."""
    between: tuple[str, ...] = ()
    """Gated ones in between."""

    def __post_init__(self) -> None:
        for name in self.all:
            if not _NAME.fullmatch(name) or name.lower() in _NO_TEXT:
                raise ConfigError(
                    f"{name!r} is no name for a target",
                    next_step="use letters, digits, _ and -, a letter first",
                )
        twice = next((name for name in self.all if self.all.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"two targets are called {twice}", next_step="give each one the name of its own output")

    @classmethod
    def of(cls, config: CdConfig) -> TargetNames:
        """The names that a project's settings have; the default ones where none of its targets is gated."""
        if not config.gates:
            return cls()
        *between, production = config.gates
        return cls(config.staging_of(config.gates[0]), production, tuple(between))

    @property
    def all(self) -> tuple[str, ...]:
        """All of them."""
        return (self.staging, *self.between, self.production)

    @property
    def setting(self) -> str:
        """They as `targets` of `dbx_cd.yml`."""
        gated = "".join(
            f"  {name}: {{gate: approval, defer_to: {self.staging}}}\n" for name in (*self.between, self.production)
        )
        return f"targets:\n  {self.staging}: {{}}\n{gated}"


@dataclass(frozen=True)
class BundleOptions:
    """What the one template of the job's definition is rendered for."""

    targets: TargetNames = TargetNames()
    """What the targets are called."""
    project: str | None = None
    """The name of the dbt project, which makes the job's and the bundle's; None for `dbx_cd` alone."""
    project_dir: str = "."
    """The folder with `dbt_project.yml`, relative to the root of the repository."""
    compute: Compute = "cluster"
    """Where the notebooks run: on a cluster of the job's own, or on serverless compute."""
    cloud: Cloud = "aws"
    """Whose node types a cluster has."""
    git_provider: str = "gitHub"
    """Whose repository it is, as the Jobs API spells it."""
    identities: Identities = 1
    """As how many identities the Workflow works: one, or one for what has no gate and one for what has."""
    sres: str | None = None
    """The group that sees the job; None for nobody."""
    is_bundle_ours: bool = True
    """Whether `databricks.yml` is this tool's, so that variables are declared there and not beside the job."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """Defaults of variables, in place of those written here."""
    declared_elsewhere: frozenset[str] = frozenset()
    """Variables that another file of the bundle declares: theirs count, and no file here declares them again."""

    def __post_init__(self) -> None:
        if self.project is not None and not re.fullmatch(r"\w[\w.-]*", self.project):
            raise ConfigError(
                f"{self.project!r} makes no name for a job", next_step="use letters, digits, _, - and dots"
            )

    @property
    def job_name(self) -> str:
        """What the job is called in the workspace: two projects may share one."""
        return f"{JOB_NAME}_{self.project}" if self.project else JOB_NAME

    @property
    def node_type(self) -> str:
        """What the driver and the worker of a cluster are."""
        return NODE_TYPES[self.cloud]

    @property
    def nobody(self) -> str:
        """What stands for a service principal that is not known yet."""
        return NOBODY

    @property
    def wheel(self) -> str:
        """The file name of the wheel that these files are of."""
        return WHEEL

    @property
    def requirements(self) -> str:
        """The file name of what the wheel needs beside the packages of the runtime, which is the one that is chosen."""
        if self.compute == "serverless":
            chosen = f"serverless-v{self.value('environment_version', ENVIRONMENT_VERSION)}"
        else:
            chosen = str(self.value("spark_version", SPARK_VERSION)).split(".x-")[0]
        return next((r.requirements for r in RUNTIMES if r.id == chosen), f"dbx_cd-{chosen}.txt")

    @property
    def spark_version(self) -> str:
        """The runtime of a cluster, where nothing else is said."""
        return SPARK_VERSION

    @property
    def environment_version(self) -> str:
        """The serverless environment, where nothing else is said."""
        return ENVIRONMENT_VERSION

    def value(self, name: str, default: Any) -> Any:
        """The value of a variable.

        Args:
            name: its name.
            default: the value that it has where nothing else is said.
        """
        given = self.values.get(name, default)
        path = PurePosixPath(str(given))
        # The folder of the wheel is the team's; its version is the one that these files are of.
        return str(path.with_name(WHEEL)) if name == "wheel" and _WHEEL.fullmatch(path.name) else given
