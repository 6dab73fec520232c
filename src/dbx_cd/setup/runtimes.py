"""Databricks runtimes: which the library is made for, and which one this driver has.

16.4 LTS or newer, and serverless environment version 3 or newer. What is older is refused here, in a sentence: on it a
release would end in a stack trace, of the copy of a checkout or of a package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["cluster", "serverless"]
Status = Literal["ok", "warn", "fail"]

NO_NOTEBOOK_FILES = "below 16.2 notebooks cannot be read as files, so a checkout cannot be copied or archived"
"""Databricks documentation on workspace files; reported from the field as Errno 95."""
OLD_PYDANTIC = "its pydantic 1.10.6 is older than what Great Expectations takes (1.10.7)"
"""Measured by resolving beside its package list (`requirements/runtime-*.txt`)."""


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """One runtime whose package list is in `requirements/`."""

    name: str
    """As people say it: `16.4 LTS`, `serverless environment 4`."""
    id: str
    """In the names of its files: `requirements/runtime-<id>.txt`, `requirements/dbx_cd-<id>.txt`."""
    kind: Kind
    """Whether clusters run it or serverless compute does."""
    python: str
    """The Python of its notebooks, `major.minor`."""
    spark: str
    """The Spark it is built on, `major.minor`; empty for serverless, where the server is newer than the environment."""
    delta: str
    """The Delta Lake it is built on, `major.minor`; empty for serverless."""
    spark_version: str
    """As a job's cluster names it, `16.4.x-scala2.12`; empty for serverless."""
    refused: str = ""
    """Why the library is not made for it; empty where it is."""

    @property
    def supported(self) -> bool:
        """Whether the library is made for it."""
        return not self.refused

    @property
    def requirements(self) -> str:
        """The file with what the wheel needs and this runtime has not, each with its hashes."""
        return f"dbx_cd-{self.id}.txt"


# Versions of Python, Spark and Delta: release notes of each runtime (docs.databricks.com/release-notes).
RUNTIMES = (
    Runtime(
        name="15.4 LTS",
        id="15.4",
        kind="cluster",
        python="3.11",
        spark="3.5",
        delta="3.2",
        spark_version="15.4.x-scala2.12",
        refused=f"{NO_NOTEBOOK_FILES}; {OLD_PYDANTIC}, and its databricks-sdk 0.20 knows no environments of a job",
    ),
    Runtime(
        name="16.4 LTS",
        id="16.4",
        kind="cluster",
        python="3.12",
        spark="3.5",
        delta="3.3",
        spark_version="16.4.x-scala2.12",
    ),
    Runtime(
        name="17.3 LTS",
        id="17.3",
        kind="cluster",
        python="3.12",
        spark="4.0",
        delta="4.0",
        spark_version="17.3.x-scala2.13",
    ),
    Runtime(
        name="serverless environment 2",
        id="serverless-v2",
        kind="serverless",
        python="3.11",
        spark="",
        delta="",
        spark_version="",
        refused=OLD_PYDANTIC,
    ),
    Runtime(
        name="serverless environment 3",
        id="serverless-v3",
        kind="serverless",
        python="3.12",
        spark="",
        delta="",
        spark_version="",
    ),
    Runtime(
        name="serverless environment 4",
        id="serverless-v4",
        kind="serverless",
        python="3.12",
        spark="",
        delta="",
        spark_version="",
    ),
)
OLDEST_CLUSTER = (16, 4)
OLDEST_SERVERLESS = 3
USE_ANOTHER = {
    "cluster": "set spark_version to 16.4.x-scala2.12 or newer",
    "serverless": "set environment_version to 4, or at least 3",
}
"""The next step where a runtime is too old."""


@dataclass(frozen=True, kw_only=True)
class Driver:
    """What a notebook's process can see of where it runs."""

    runtime_version: str
    """The variable `DATABRICKS_RUNTIME_VERSION`: `16.4` on a cluster, `client.4.2` on serverless; empty elsewhere."""
    python: str
    """Of this process, such as `3.12.3`."""
    spark: str = ""
    """`spark.version`; empty where there is no session to ask."""


@dataclass(frozen=True, kw_only=True)
class RuntimeFinding:
    """What is to be said of a runtime."""

    status: Status
    """`fail` where refused; `warn` where it is newer than any that was looked at, or not as its release notes say."""
    message: str
    """What it is, and what is wrong with it."""
    next_step: str = ""
    """What to do about it; empty where nothing is to be done."""
    runtime: Runtime | None = None
    """The runtime, if its package list is in `requirements/`."""


def runtime_of(driver: Driver) -> RuntimeFinding:
    """Which runtime this driver has, and whether the library is made for it.

    Args:
        driver: what is seen there.

    Returns:
        The finding; `warn` for a machine that is no driver of Databricks, whose packages are its own.

    Example:
        >>> runtime_of(Driver(runtime_version="16.4", python="3.12.3")).status
        'ok'
    """
    version = driver.runtime_version.strip()
    if not version:
        return RuntimeFinding(
            status="warn",
            message=f"not a Databricks runtime: Python {driver.python}, DATABRICKS_RUNTIME_VERSION is not set",
            next_step="run this in a notebook, on the compute that the job uses",
        )
    # Whether `client.` is in front is how Databricks' own command line tells serverless (databricks/cli, libs/dbr).
    if found := re.match(r"client\.(\d+)(\.|$)", version):
        return _checked(_serverless(int(found[1])), driver)
    if found := re.match(r"(\d+)\.(\d+)", version):
        return _checked(_cluster(int(found[1]), int(found[2]), written=version), driver)
    return _unknown(version)


def runtime_named(spark_version: str) -> RuntimeFinding:
    """What is to be said of a cluster that is only written down, by its `spark_version`.

    Args:
        spark_version: as in a job's definition; variants (`-photon-`, `-cpu-ml-`) count as the runtime they are of.

    Returns:
        The finding; `warn` for what is no version, such as a variable of a bundle.

    Example:
        >>> runtime_named("15.4.x-photon-scala2.12").status
        'fail'
    """
    # Newest runtimes leave the minor version out: `18.x-scala2.13`.
    found = re.match(r"(\d+)\.(?:(\d+)\.)?x-", spark_version)
    if not found:
        return _unknown(spark_version)
    return _cluster(int(found[1]), int(found[2] or 0), written=spark_version)


def _cluster(major: int, minor: int, *, written: str) -> RuntimeFinding:
    known = next((r for r in RUNTIMES if r.kind == "cluster" and r.id == f"{major}.{minor}"), None)
    if known:
        return _known(known)
    name = f"Databricks runtime {written}"
    if (major, minor) >= OLDEST_CLUSTER:
        return _newer(name)
    why = NO_NOTEBOOK_FILES if (major, minor) < (16, 2) else "its packages were not looked at, and it is no LTS"
    return RuntimeFinding(status="fail", message=f"{name} is too old: {why}", next_step=USE_ANOTHER["cluster"])


def _serverless(environment: int) -> RuntimeFinding:
    known = next((r for r in RUNTIMES if r.id == f"serverless-v{environment}"), None)
    if known:
        return _known(known)
    name = f"serverless environment {environment}"
    if environment >= OLDEST_SERVERLESS:
        return _newer(name)
    message = f"{name} is too old: its Python is below 3.11"
    return RuntimeFinding(status="fail", message=message, next_step=USE_ANOTHER["serverless"])


def _known(runtime: Runtime) -> RuntimeFinding:
    if runtime.supported:
        return RuntimeFinding(status="ok", message=runtime.name, runtime=runtime)
    message = f"{runtime.name} is too old: {runtime.refused}"
    return RuntimeFinding(status="fail", message=message, next_step=USE_ANOTHER[runtime.kind], runtime=runtime)


def _newer(name: str) -> RuntimeFinding:
    return RuntimeFinding(
        status="warn",
        message=f"{name} is newer than those whose packages were looked at",
        next_step="look at `pip check` in a notebook there, and at what was installed over the runtime's packages",
    )


def _unknown(version: str) -> RuntimeFinding:
    return RuntimeFinding(
        status="warn",
        message=f"{version!r} is no version of a runtime that is known here",
        next_step="16.4 LTS or newer is needed, or serverless environment 3 or newer: look which it is",
    )


def _checked(finding: RuntimeFinding, driver: Driver) -> RuntimeFinding:
    """`warn` in place of `ok` where the driver has another Python or Spark than its runtime's release notes say."""
    runtime = finding.runtime
    if finding.status != "ok" or not runtime:
        return finding
    seen = (("Python", driver.python, runtime.python), ("Spark", driver.spark, runtime.spark))
    others = [
        f"{what} {has} in place of {should}" for what, has, should in seen if has and should and not _is(has, should)
    ]
    if not others:
        return finding
    return RuntimeFinding(
        status="warn",
        message=f"{runtime.name}, but with {', '.join(others)}",
        next_step=f"{runtime.requirements} was resolved for the runtime as it is shipped: use its own image",
        runtime=runtime,
    )


def _is(version: str, minor: str) -> bool:
    return version == minor or version.startswith(f"{minor}.")
