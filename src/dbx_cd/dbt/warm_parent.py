"""A warm parent for dbt where a task starts dbt more than once."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from dbx_cd.config import WARM_DBT, given_path
from dbx_cd.dbt.environment import DbtEnvironment
from dbx_cd.shell_environment import as_in_the_shell
from dbx_cd.warm.parent import WarmParent

MODULE = "dbx_cd.dbt.warm"
"""What a warm parent for dbt imports."""
WARM_ENVIRONMENTS = "DBX_CD_WARM_ENVIRONMENTS"
"""The environment variable by which the embedded workspace tells its tasks the socket at which it gives the addresses
of warm parents in other environments than its own."""

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def warm_dbt(
    environment: DbtEnvironment | None = None, *, known: Mapping[str, str] | None = None
) -> Iterator[Path | None]:
    """Have dbt imported once for all invocations inside; each is still a process of its own.

    Example:
        >>> with warm_dbt() as parent:
        ...     run_dbt("ls", target="prod", work_dir=work, warm_parent=parent)
        ...     run_dbt("build", target="prod", work_dir=work, warm_parent=parent)

    Args:
        environment: the environment that dbt runs in; that of this interpreter when not given.
        known: variables that only dbt has. dbt reads some of them while it is imported, so that a parent without them
            could not stand for it.

    Yields:
        The address for `run_dbt(warm_parent=)`: that of the parent this process was given, or of one that ends with
        the block; None where there can be none, and dbt then starts cold.
    """
    place = environment or DbtEnvironment.own()
    given = None if known else given_parent(place)
    variables = {**as_in_the_shell(os.environ), **known} if known else None
    with contextlib.ExitStack() as stack:
        if given is None and hasattr(os, "fork"):
            try:
                given = stack.enter_context(new_parent(place, variables=variables)).address
            except OSError as exc:
                _log.info("no warm parent for dbt: %s", exc)
        yield given


def new_parent(
    environment: DbtEnvironment, *, variables: Mapping[str, str] | None = None, log: Path | None = None
) -> WarmParent:
    """A warm parent, to be started, in the environment that dbt runs in.

    Args:
        environment: the environment.
        variables: those of a task; those of this process when not given.
        log: where it writes what went wrong.
    """
    own = environment.variables(os.environ if variables is None else variables)
    python = None if environment.folder is None else Path(environment.python)
    return WarmParent(MODULE, environment=own, log=log, python=python)


def given_parent(environment: DbtEnvironment) -> Path | None:
    """The address of the embedded workspace's warm parent for an environment; None elsewhere.

    Args:
        environment: the environment that dbt runs in.
    """
    if environment.folder is None:
        return given_path(WARM_DBT)
    asked = given_path(WARM_ENVIRONMENTS)
    if asked is None:
        return None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(asked))
            connection.sendall(json.dumps(str(environment.folder)).encode() + b"\n")
            return Path(json.loads(connection.makefile("rb").readline()))
    except (OSError, ValueError, TypeError) as exc:
        _log.info("the embedded workspace gives no warm parent for %s: %s", environment.folder, exc)
        return None
