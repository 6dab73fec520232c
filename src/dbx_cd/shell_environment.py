"""The environment variables of the shell that started the embedded workspace, for dbt in its tasks.

The SDK takes whom it logs in as from `DATABRICKS_...`, so a task gets those of its run and none of its user's own. A
project may name its schemas by such variables all the same (`env_var("DATABRICKS_SCHEMA")`), and dbt has to see there
what it sees in the user's shell. dbt itself logs in by its profile, whatever these variables say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

SHELL = "DBX_CD_SHELL"
"""The variable by which the embedded workspace tells its tasks the `DATABRICKS_...` of the shell, as JSON."""

_PREFIX = "DATABRICKS_"
_WAY_TO_LOG_IN = "DATABRICKS_AUTH_TYPE"
"""The one that the workspace sets for dbt as well: without, the SDK refuses a token beside other credentials."""


def own_of_the_shell(environ: Mapping[str, str]) -> str:
    """What `SHELL` is to be in an environment that has none of it."""
    return environ.get(SHELL) or json.dumps({n: v for n, v in environ.items() if n.startswith(_PREFIX)})


def as_in_the_shell(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables as the user's shell has them; in a process that is no task of the embedded workspace, as they are.

    Args:
        environ: the variables of this process.
    """
    if SHELL not in environ:
        return dict(environ)
    kept = {n: v for n, v in environ.items() if not n.startswith(_PREFIX) and n != SHELL}
    way = {_WAY_TO_LOG_IN: environ[_WAY_TO_LOG_IN]} if _WAY_TO_LOG_IN in environ else {}
    return {**kept, **json.loads(environ[SHELL]), **way}
