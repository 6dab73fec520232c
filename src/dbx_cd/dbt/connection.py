"""How dbt's processes connect, and what they alone are told: handed to `run_dbt` by who has decided it.

No secret of it is in a file: what a profile must not hold in clear is a variable of dbt's processes. Its name begins
with `DBT_ENV_SECRET_`, so that dbt masks the value in its log, and no model can read it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from dbx_cd.dbt.hidden import Hidden
from dbx_cd.dbt.packages import project_settings
from dbx_cd.dbt.profiles import PROFILES_FILE
from dbx_cd.dbt.project import LocalProject
from dbx_cd.errors import ConfigError
from dbx_cd.jinja import EarlyJinja
from dbx_cd.profile_outputs import lacking, with_connection, with_warehouse
from dbx_cd.secret_names import PREFIX
from dbx_cd.shell_environment import as_in_the_shell

TOKEN = f"{PREFIX}DBX_CD_TOKEN"
"""The variable of a token that is made or looked up for one build."""
CLIENT_SECRET = f"{PREFIX}DBX_CD_CLIENT_SECRET"
"""The variable of the client secret of the job's own identity."""
OWN_ID, OWN_SECRET = f"{PREFIX}CLIENT_ID", f"{PREFIX}CLIENT_SECRET"
"""The variables of `secrets:` in dbx_cd.yml by which dbt logs in as a service principal, renewing its tokens itself."""

_FOLDER = "connection"
_HOW = (
    "give the job the parameter warehouse_id, the id of a SQL warehouse; or set `compute: cluster` in dbx_cd.yml, for "
    "the job's own cluster; or say host, http_path and a login in the profile"
)


@dataclass(frozen=True)
class DbtConnection:
    """Where dbt's SQL runs, and as whom."""

    kind: Literal["profile", "warehouse", "cluster"] = "profile"
    """As the profile says; in the warehouse that the job names; or on the job's own cluster."""
    keys: Mapping[str, Any] = field(default_factory=dict)
    """The keys of the profile's output that it replaces; none of them a secret in clear."""
    login: Mapping[str, Any] = field(default_factory=dict)
    """For a warehouse: the keys that say as whom, for an output that does not say it itself."""
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """What dbt's processes have in their environment besides this process's own."""

    @cached_property
    def hidden(self) -> Hidden:
        """What must be in nothing that dbt leaves.

        Not the id of a service principal: it is its name, which grants and the catalog have.
        """
        return Hidden(v for name, v in self.variables.items() if name.startswith(PREFIX) and name != OWN_ID)


def by_variable(name: str) -> str:
    """What a profile has in the place of a secret."""
    return f"{{{{ env_var('{name}') }}}}"


def connected(project: LocalProject, connection: DbtConnection | None, *, target: str) -> LocalProject:
    """The project with the profile by which it connects so, in the work folder.

    Args:
        project: the project, where dbt may write.
        connection: how; None for whatever the profile says.
        target: the target of the profile.

    Raises:
        ConfigError: there is no profile to take names from, or it says too little for this way.
    """
    if connection is None:
        return project
    project = replace(project, hidden=connection.hidden)
    folder = project.profiles_dir or Path.home() / ".dbt"
    name = _profile_name(project, connection)
    if connection.kind == "profile":
        missing = lacking(folder, name, target)
        if missing:
            raise ConfigError(
                f"the output {target} does not say how to connect: no {', no '.join(missing)}",
                where=folder / PROFILES_FILE,
                next_step=_HOW,
            )
        return project
    if not (folder / PROFILES_FILE).is_file():
        raise ConfigError(
            "there is no profiles.yml that says catalog and schema of each target",
            where=project.dir,
            next_step=f"commit one beside dbt_project.yml; this is enough: {name or '<profile>'}: {{target: {target}, "
            f"outputs: {{{target}: {{type: databricks, catalog: ..., schema: ...}}, ...}}}}",
        )
    into = project.work / _FOLDER
    if connection.kind == "cluster":
        written = with_connection(
            folder, connection.keys, out_dir=into, profile_name=name, targets=[target], environ=_environment(connection)
        )
    else:
        written = with_warehouse(
            folder, connection.keys, login=connection.login, out_dir=into, profile_name=name, target=target
        )
    return replace(project, profiles_dir=written.parent)


def _profile_name(project: LocalProject, connection: DbtConnection) -> str:
    jinja = EarlyJinja(_environment(connection))
    return jinja.render(project_settings(project.dir).get("profile"), where=f"{project.dir}/dbt_project.yml: profile")


def _environment(connection: DbtConnection) -> dict[str, str]:
    return {**as_in_the_shell(os.environ), **connection.variables}
