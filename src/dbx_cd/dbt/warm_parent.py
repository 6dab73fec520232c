"""A warm parent for dbt where a task starts dbt more than once."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from dbx_cd.config import WARM_DBT, given_path
from dbx_cd.shell_environment import as_in_the_shell
from dbx_cd.warm.parent import WarmParent

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def warm_dbt(variables: Mapping[str, str] | None = None) -> Iterator[Path | None]:
    """Have dbt imported once for all invocations inside; each is still a process of its own.

    Example:
        >>> with warm_dbt() as parent:
        ...     run_dbt("ls", target="prod", work_dir=work, warm_parent=parent)
        ...     run_dbt("build", target="prod", work_dir=work, warm_parent=parent)

    Args:
        variables: what only dbt has in its environment. dbt reads some of it while it is imported, so that a parent
            without them could not stand for it.

    Yields:
        The address for `run_dbt(warm_parent=)`: that of the parent this process was given, or of one that ends with
        the block; None where there can be none, and dbt then starts cold.
    """
    given = None if variables else given_path(WARM_DBT)
    environment = {**as_in_the_shell(os.environ), **variables} if variables else None
    with contextlib.ExitStack() as stack:
        if given is None and hasattr(os, "fork"):
            try:
                given = stack.enter_context(WarmParent("dbx_cd.dbt.warm", environment=environment)).address
            except OSError as exc:
                _log.info("no warm parent for dbt: %s", exc)
        yield given
