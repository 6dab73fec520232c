"""What the wheel leaves to its extras: a package that is missing is told as the extra to install.

The wheel alone installs beside the packages of a Databricks runtime, so what dbt, the SQL endpoint and the embedded
workspace need are extras (`setup.cfg`). Whoever needs one says so here, and the user reads one sentence in place of a
traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from dbx_cd.errors import SetupError

Extra = Literal["dbt", "endpoint", "local"]


@contextmanager
def importing_extra(extra: Extra, *, purpose: str) -> Iterator[None]:
    """Imports inside may need an extra.

    Args:
        extra: the extra that brings what is imported.
        purpose: what needs it, as the subject of a sentence.

    Raises:
        SetupError: a package is missing.

    Example:
        >>> with importing_extra("endpoint", purpose="the SQL endpoint"):
        ...     import thrift
    """
    try:
        yield
    except ModuleNotFoundError as exc:
        package = (exc.name or "").partition(".")[0]
        if package == "dbx_cd":  # a fault of this wheel, which no extra repairs
            raise
        raise missing_extra(extra, package=exc.name or str(exc), purpose=purpose) from exc


def require_extra(extra: Extra, *, distribution: str, purpose: str) -> str:
    """The version of a package that an extra brings; nothing is imported.

    Args:
        extra: the extra that brings it.
        distribution: its name in the package registry. A module's name would not do: a folder `dbt` in the working
            directory is one.
        purpose: what needs it, as the subject of a sentence.

    Raises:
        SetupError: it is not installed.
    """
    try:
        return version(distribution)
    except PackageNotFoundError as exc:
        raise missing_extra(extra, package=distribution, purpose=purpose) from exc


def missing_extra(extra: Extra, *, package: str, purpose: str) -> SetupError:
    """The error that is raised when an extra is missing: what needs which package, and what to install."""
    return SetupError(f"{purpose} needs {package}, which is not installed", next_step=f"pip install 'dbx-cd[{extra}]'")
