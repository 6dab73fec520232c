"""The REST side of the embedded workspace: what an unmodified ``databricks-sdk`` talks to, on loopback."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from databricks.sdk import WorkspaceClient
from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException
from werkzeug.serving import WSGIRequestHandler, make_server

from dbx_cd.local.rest.api_error import ApiError, not_implemented
from dbx_cd.local.rest.files_api import ABORTED_UPLOAD, files_api
from dbx_cd.local.rest.git_source import GitCheckouts
from dbx_cd.local.rest.identity import Directory, User
from dbx_cd.local.rest.job_rights import JobRights
from dbx_cd.local.rest.job_runner import JobRunner
from dbx_cd.local.rest.job_runs import WorkspaceStore
from dbx_cd.local.rest.jobs_api import jobs_api
from dbx_cd.local.rest.libraries import Libraries
from dbx_cd.local.rest.notifications import Notifications
from dbx_cd.local.rest.other_jobs import OtherJobs
from dbx_cd.local.rest.permissions_api import permissions_api
from dbx_cd.local.rest.query_history_api import Running, query_history_api
from dbx_cd.local.rest.runs_api import runs_api
from dbx_cd.local.rest.scim_api import scim_api
from dbx_cd.local.rest.secrets_api import SecretScopes, secrets_api
from dbx_cd.local.rest.task_access import SparkSide, TaskAccess
from dbx_cd.local.rest.task_process import GatewayInfo
from dbx_cd.local.rest.task_runner import TaskRunner, WorkspaceSetup
from dbx_cd.local.rest.unity_catalog_api import Securables, unity_catalog_api
from dbx_cd.local.rest.volume_access import FixedVolumes, VolumeAccess
from dbx_cd.local.rest.warehouses_api import warehouses_api

__all__ = ["GatewayInfo", "RestServer", "User"]

_log = logging.getLogger(__name__)

_WORKSPACE_ID = "0"
_POLL_SECONDS = 0.05  # how long `stop` may wait for the server to look
_HOST_METADATA = "/.well-known/databricks-config"
_TELEMETRY = "/telemetry-"


class _QuietHandler(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:
        """Requests are not logged: the terminal belongs to the tasks' output."""


class RestServer:
    """Jobs, Files and SCIM for the users of one embedded workspace.

    Args:
        state_dir: where jobs, runs, checkouts, volumes and logs are kept.
        users: everybody who may call, each with a token.
        service_principal_users: who may run something as a service principal, by its name: users or groups.
        spark_gateway: the workspace's JVM for notebook tasks; ``None`` runs notebooks without ``spark``.
        running: what tells the statements that run in the SQL endpoint now, for the query history; ``None`` without.
        monitors: users and groups who may see the statements of others there (CAN MONITOR on the warehouse).
        spark_side: what ends the part of a task that runs in the workspace's JVM; ``None`` without one.
        volumes: which volumes there are, and who may use them; without, there is none.
        securables: what knows the owners and rights of catalogs and what is in them; ``None`` without.
        warehouse: the HTTP path of the SQL endpoint; ``None`` without one.
        repositories: local git repository for each ``git_url``; ``"*"`` serves every other URL.
        packaged_notebooks: folder of notebooks used where a job's source has none of that name.
        environment: variables added to the environment of every task.
        warm_notebooks: address of a warm parent that notebook tasks are forked from; without, each starts cold.
        on_output: called with run id, task key and line for everything that tasks print, from many threads.
        port: TCP port on loopback; 0 takes a free one.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        users: Sequence[User],
        service_principal_users: Mapping[str, Sequence[str]] | None = None,
        spark_gateway: GatewayInfo | None = None,
        spark_side: SparkSide | None = None,
        volumes: VolumeAccess | None = None,
        running: Running | None = None,
        monitors: Collection[str] = (),
        securables: Securables | None = None,
        warehouse: str | None = None,
        repositories: Mapping[str, Path] | None = None,
        packaged_notebooks: Path | None = None,
        environment: Mapping[str, str] | None = None,
        warm_notebooks: Path | None = None,
        on_output: Callable[[int, str, str], None] | None = None,
        port: int = 0,
    ) -> None:
        self._directory = Directory(users, service_principal_users=service_principal_users)
        state_dir = state_dir.resolve()
        store = WorkspaceStore(state_dir)
        app = Flask("dbx_cd.local")
        self._server = make_server("127.0.0.1", port, app, threaded=True, request_handler=_QuietHandler)
        self.host = f"http://127.0.0.1:{self._server.port}"
        rights = JobRights(store, self._directory)
        other_jobs = OtherJobs(store, self._directory, rights)
        setup = WorkspaceSetup(
            host=self.host,
            state_dir=state_dir,
            access=TaskAccess(self._directory, spark_side),
            other_jobs=other_jobs,
            libraries=Libraries(self._directory, volumes or FixedVolumes()),
            environment=environment or {},
            warm_notebooks=warm_notebooks,
            spark_gateway=spark_gateway,
            packaged_notebooks=packaged_notebooks,
            on_output=on_output or _discard,
        )
        self._runner = JobRunner(
            store,
            tasks=TaskRunner(setup),
            checkouts=GitCheckouts(state_dir / "checkouts", repositories or {}),
            notifications=Notifications(state_dir / "logs" / "notifications.jsonl"),
        )
        other_jobs.serve(self._runner)
        for api in (
            jobs_api(store, self._directory, rights),
            runs_api(store, self._runner, self._directory, rights),
        ):
            for version in ("2.1", "2.2"):
                app.register_blueprint(api, url_prefix=f"/api/{version}/jobs", name=f"{api.name} {version}")
        app.register_blueprint(permissions_api(store, self._directory, rights))
        app.register_blueprint(files_api(state_dir, volumes or FixedVolumes()))
        app.register_blueprint(scim_api(self._directory))
        self.secrets = SecretScopes(state_dir)
        """The workspace's secrets."""
        app.register_blueprint(secrets_api(self.secrets))
        if running is not None:
            app.register_blueprint(query_history_api(self._directory, running, monitors=monitors))
        if securables is not None:
            app.register_blueprint(unity_catalog_api(securables))
        if warehouse is not None:
            app.register_blueprint(warehouses_api(warehouse))
        _add_frame(app, self._directory, self.host)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="rest-server", daemon=True
        )

    def start(self) -> RestServer:
        """Serve in a thread of its own."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Kill running tasks, close their runs as interrupted, and stop serving."""
        try:
            self._runner.stop()
        finally:
            if self._thread.is_alive():
                self._server.shutdown()
                self._thread.join()
            self._server.server_close()

    def wait(self, run_id: int, *, timeout_seconds: float | None = None) -> bool:
        """Block until a run is finished, without polling; returns whether it is."""
        return self._runner.wait(run_id, timeout_seconds=timeout_seconds)

    def client(self, user_name: str) -> WorkspaceClient:
        """An SDK client that acts as this user."""
        return WorkspaceClient(host=self.host, token=self._directory.user(user_name).token, auth_type="pat")

    def __enter__(self) -> RestServer:
        return self.start()

    def __exit__(self, *_exc: object) -> None:
        self.stop()


def _discard(_run_id: int, _task_key: str, _line: str) -> None:
    """No terminal to follow."""


def _add_frame(app: Flask, directory: Directory, host: str) -> None:
    """What belongs to no single API: identity, errors, discovery, telemetry."""

    @app.before_request
    def authenticate() -> None:
        if request.path not in (_HOST_METADATA, ABORTED_UPLOAD) and not request.path.startswith(_TELEMETRY):
            g.user = directory.authenticate(request.headers.get("Authorization"))

    @app.after_request
    def name_workspace(response: Response) -> Response:
        response.headers["X-Databricks-Org-Id"] = _WORKSPACE_ID
        return response

    @app.get(_HOST_METADATA)
    def host_metadata() -> dict[str, str]:
        """The SDK asks this once per client; without an answer it warns and retries."""
        return {"oidc_endpoint": f"{host}/oidc", "workspace_id": _WORKSPACE_ID}

    @app.post(f"{_TELEMETRY}<kind>")
    def telemetry(kind: str) -> dict[str, Any]:  # noqa: ARG001
        """Accepted and dropped."""
        return {"errors": [], "numProtoSuccess": 0}

    @app.delete(ABORTED_UPLOAD)
    def aborted_upload() -> str:
        return ""

    @app.errorhandler(ApiError)
    def refuse(error: ApiError) -> tuple[dict[str, str], int]:
        return error.to_dict(), error.status

    @app.errorhandler(HTTPException)
    def unknown_endpoint(error: HTTPException) -> tuple[dict[str, str], int]:
        if error.code in (404, 405):
            return refuse(not_implemented(f"the endpoint {request.method} {request.path}"))
        return refuse(ApiError(error.code or 500, "BAD_REQUEST", error.description or str(error)))

    @app.errorhandler(Exception)
    def defect(error: Exception) -> tuple[dict[str, str], int]:
        _log.exception("%s %s", request.method, request.path)
        return refuse(ApiError(500, "INTERNAL_ERROR", f"{type(error).__name__}: {error}"))
