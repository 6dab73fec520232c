"""The embedded workspace as one thing to start and stop: Spark, SQL endpoint, REST server, users."""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from dbx_cd.config import CdConfig
from dbx_cd.dbt.carried_parse import KEPT_PARSES, cache_folder
from dbx_cd.dbt.environment_folder import ENVIRONMENTS, cache_folder as environments_folder
from dbx_cd.embedded_warehouse import told_to_tasks
from dbx_cd.errors import SetupError
from dbx_cd.local import rights, standard_grants
from dbx_cd.local.catalog_securables import CatalogSecurables
from dbx_cd.local.catalog_volumes import CatalogVolumes
from dbx_cd.local.emulation import affected_rows, emulate
from dbx_cd.local.kept_catalogs import kept_catalogs
from dbx_cd.local.rest.server import GatewayInfo, RestServer, User
from dbx_cd.local.rest.task_process import DBT_TOKEN
from dbx_cd.local.scratch import Scratch
from dbx_cd.local.session_user import act_as
from dbx_cd.local.spark_session import catalog_names, start_spark
from dbx_cd.local.spooled_collect import spooled_collect
from dbx_cd.local.state_lock import StateLock, holder_of
from dbx_cd.local.task_threads import SparkOfTasks
from dbx_cd.local.volume_path import VOLUMES, volume_path
from dbx_cd.local.warm_parents import WarmParents
from dbx_cd.setup import grants
from dbx_cd.sql_endpoint import ReservedAddress, SqlEndpoint, connection_block

if TYPE_CHECKING:
    from databricks.sdk import WorkspaceClient
    from pyspark.sql import SparkSession

_log = logging.getLogger(__name__)

CONNECTION_FILE = "connection.json"
_ANSWERS_WITHIN = 10  # seconds
CI = "ci"
RELEASE_BOT = "dbx-cd-release"
PRODUCTION_BOT = "dbx-cd-production"
OWNER = "owner@example.org"
DEVELOPER = "dev@example.org"
_OF_THE_PLATFORM = ("account users", "admins")


@dataclass(frozen=True)
class Connection:
    """How to reach a running workspace from another process; the file that holds it is readable by its owner only.

    A user's token is good for REST and for SQL.
    """

    host: str
    """The address of the REST server."""
    sql_host: str
    """The address of the SQL endpoint, over plain HTTP."""
    http_path: str
    """The endpoint's path."""
    tokens: Mapping[str, str]
    """Each user's token, by name."""

    @classmethod
    def read(cls, state_dir: Path) -> Self:
        """The connection of the workspace that runs on a state directory.

        Raises:
            SetupError: none runs there.
        """
        path = state_dir / CONNECTION_FILE
        try:
            if holder_of(state_dir) is None:  # one that was killed has left its file
                raise ValueError("nobody has the state folder")
            return cls(**json.loads(path.read_text(encoding="utf-8"))["connection"])
        except (OSError, ValueError, KeyError, TypeError):
            raise SetupError(
                "no embedded workspace runs on this state directory",
                where=state_dir,
                next_step=f"start one: python -m dbx_cd.local up --state-dir {state_dir}",
            ) from None

    def write(self, state_dir: Path) -> None:
        """Leave it for other processes of this user, who then find the whole file or none."""
        path = state_dir / CONNECTION_FILE
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        # Created with its mode: the tokens are readable by nobody else at any time, whatever lay at `path` before.
        fresh.touch(mode=0o600, exist_ok=False)
        fresh.write_text(json.dumps({"connection": vars(self)}), encoding="utf-8")
        fresh.replace(path)

    def client(self, user_name: str) -> WorkspaceClient:
        """An SDK client that acts as a user.

        Raises:
            SetupError: no such user.
        """
        from databricks.sdk import WorkspaceClient
        from databricks.sdk.core import Config

        if user_name not in self.tokens:
            raise SetupError(f"no user {user_name!r} here", next_step=f"be one of {', '.join(self.tokens)}")
        # One that does not answer at once was killed, and its file is still there.
        config = Config(
            host=self.host, token=self.tokens[user_name], auth_type="pat", retry_timeout_seconds=_ANSWERS_WITHIN
        )
        return WorkspaceClient(config=config)


class EmbeddedWorkspace:
    """A workspace in this process, on one state directory; its users may do what they are granted.

    Args:
        state_dir: tables, Volumes, checkouts, runs and logs; found again by a later start.
        catalogs: the catalogs to offer, besides `ops` and those that the state directory has something of.
        approvers: the group that may approve; the seeded owner is its member.
        owners: further users to seed into that group.
        environment: variables for every task.
        on_output: called with run id, task key and line for all that tasks print.
        memory: heap of the JVM.
        address: where the SQL endpoint is to be reached, for whoever has to know it before the start.
    """

    def __init__(
        self,
        state_dir: str | Path,
        *,
        catalogs: Iterable[str],
        approvers: str = CdConfig.approvers,
        owners: Iterable[str] = (),
        environment: Mapping[str, str] | None = None,
        on_output: Callable[[int, str, str], None] | None = None,
        memory: str = "3g",
        address: ReservedAddress | None = None,
    ) -> None:
        self.state_dir = Path(state_dir).resolve()
        self._written = tuple(catalogs)
        self.catalogs = catalog_names(self._written)
        self.owners = tuple(dict.fromkeys([OWNER, *owners]))
        self._approvers = approvers
        self._users = _users(approvers, self.owners)
        self._environment = dict(environment or {})
        self._on_output = on_output
        self._memory = memory
        self._lock = StateLock(self.state_dir)
        self._scratch = Scratch(self.state_dir)
        self._address = address or ReservedAddress()
        self._undo = contextlib.ExitStack()

    def start(self) -> Self:
        """Start everything; takes about ten seconds, most of them Spark's.

        Raises:
            SetupError: Java is missing, or another process uses the state directory.
        """
        self._lock.take()
        with contextlib.ExitStack() as undo:
            undo.callback(self._lock.release)
            self._scratch.clear()
            undo.callback(self._scratch.clear)
            self._written = (*self._written, *kept_catalogs(self.state_dir))
            self.catalogs = catalog_names(self._written)
            self._start(undo)
            self._undo = undo.pop_all()
        _log.info("workspace on %s at %s", self.state_dir, self.rest.host)
        return self

    def _start(self, undo: contextlib.ExitStack) -> None:
        """Start everything; `undo` gets how each thing that has started is ended, also where the next one fails."""
        undo.callback(self._address.release)
        self.spark: SparkSession = start_spark(self.state_dir, catalogs=self._written, memory=self._memory)
        undo.callback(self.spark.stop)
        standard_grants.introduce(self.spark, self._users)
        tokens = [self._address.token, *(user.token for user in self._users)]
        self.endpoint = SqlEndpoint(
            self.spark, rewrite=emulate, after=affected_rows, collect=spooled_collect, tokens=tokens,
            port=self._address.port, spark_of=self._spark_of, temporary=self._scratch.folder,
        ).start()  # fmt: skip
        undo.callback(self.endpoint.stop)
        self._address.release()
        kept = {KEPT_PARSES: cache_folder(), ENVIRONMENTS: environments_folder()}
        environment = {
            **self.endpoint.client_environment(),
            **{name: str(folder) for name, folder in kept.items() if folder is not None},
            **told_to_tasks({key: value for key, value in connection_block(self._address).items() if key != "token"}),
            **self._environment,
        }
        self._warm = WarmParents(
            environment=environment, volumes=self.state_dir / VOLUMES, log_dir=self.state_dir / "logs"
        ).start()
        undo.callback(self._warm.stop)
        self.rest = RestServer(
            self.state_dir,
            users=self._users,
            service_principal_users={RELEASE_BOT: (CI,), PRODUCTION_BOT: (CI,)},
            spark_gateway=_gateway(self.spark),
            running=self.endpoint.running,
            monitors=(self._approvers,),
            spark_side=SparkOfTasks(self.spark, self.endpoint),
            volumes=CatalogVolumes(self.spark),
            securables=CatalogSecurables(self.spark),
            warehouse=self.endpoint.http_path,
            packaged_notebooks=Path(str(resources.files("dbx_cd") / "bundle" / "notebooks")),
            environment={**environment, **self._warm.environment},
            warm_notebooks=self._warm.notebooks,
            on_output=self._on_output,
        ).start()
        undo.callback(self.rest.stop)
        undo.callback((self.state_dir / CONNECTION_FILE).unlink, missing_ok=True)
        self.connection.write(self.state_dir)

    def warm_up(self) -> None:
        """Say that a release is about to begin: what its tasks import is imported now."""
        self._warm.warm_up()

    def stop(self) -> None:
        """Stop everything; the state directory stays. What cannot be stopped keeps nothing else from it."""
        self._undo.close()
        _log.info("workspace on %s stopped", self.state_dir)

    def _spark_of(self, token: str) -> SparkSession:
        names = {user.token: user.user_name for user in self._users}
        return act_as(self.spark, names[token]) if token in names else self.spark

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def administer(self, statement: str) -> None:
        """Run a statement as the workspace itself, whom nobody has to grant anything: CREATE VOLUME, GRANT.

        Raises:
            StatementFailed, PySparkException: it fails.
        """
        answer = emulate(self.spark, statement)
        if isinstance(answer, str):
            self.spark.sql(answer)

    def introduce(self, principals: Iterable[str]) -> list[str]:
        """Make users and groups known that may be granted something; nobody is a member of them, or logs in as one.

        Returns:
            Those that were not known.
        """
        known = {name for user in self._users for name in (user.user_name, *user.groups)}
        fresh = [name for name in dict.fromkeys(principals) if name not in known and name not in _OF_THE_PLATFORM]
        for name in fresh:
            rights.put_user(self.spark, name)
        return fresh

    @property
    def roles(self) -> dict[str, Sequence[str]]:
        """Users and groups by the roles of docs/deploy.md."""
        return {
            grants.JOB: [RELEASE_BOT],
            grants.PRODUCTION: [PRODUCTION_BOT],
            grants.APPROVERS: [self._approvers],
            grants.SRE: self.owners,
            grants.READERS: [DEVELOPER],
        }

    @property
    def connection(self) -> Connection:
        """How other processes reach this workspace."""
        tokens = {user.user_name: user.token for user in self._users}
        return Connection(self.rest.host, self.endpoint.host, self.endpoint.http_path, tokens)

    @property
    def profile_connection(self) -> dict[str, Any]:
        """The connection keys for an output of `profiles.yml`: dbt in a task connects as the task's user.

        Outside of tasks it connects with a token that is nobody's: the workspace's own, which may do everything.
        """
        return task_connection(self._address)

    def volume_path(self, path: str) -> Path:
        """Where a path below `/Volumes` lies on this machine; names of Unity Catalog are in lower case."""
        return volume_path(self.state_dir, path)

    def client(self, user_name: str) -> WorkspaceClient:
        """An SDK client that acts as a user."""
        return self.connection.client(user_name)


def task_connection(address: ReservedAddress) -> dict[str, Any]:
    """The connection keys for an output of `profiles.yml`, as `EmbeddedWorkspace.profile_connection` has them."""
    block = connection_block(address)
    return {**block, "token": f"{{{{ env_var({DBT_TOKEN!r}, {block['token']!r}) }}}}"}


def _users(approvers: str, owners: Iterable[str]) -> list[User]:
    """CI triggers, a bot runs the release, or one for each half of it, owners decide, a developer may look."""
    return [
        User(CI, secrets.token_urlsafe(24), service_principal=True),
        User(RELEASE_BOT, secrets.token_urlsafe(24), service_principal=True),
        User(PRODUCTION_BOT, secrets.token_urlsafe(24), service_principal=True),
        *(User(name, secrets.token_urlsafe(24), groups=(approvers,)) for name in owners),
        User(DEVELOPER, secrets.token_urlsafe(24)),
    ]


def _gateway(spark: SparkSession) -> GatewayInfo:
    parameters = spark.sparkContext._gateway.gateway_parameters  # type: ignore[union-attr]
    return GatewayInfo(int(parameters.port), str(parameters.auth_token))
