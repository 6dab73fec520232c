"""Secrets of the embedded workspace: by the SDK, and in a notebook by `dbutils.secrets`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from databricks.sdk.errors import BadRequest, DatabricksError, NotFound, NotImplemented, PermissionDenied
from databricks.sdk.service.workspace import AclPermission
from local_rest import Workspace, latest, results, task

SECRET = "hunter2 \u00e5"


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path_factory.mktemp("secrets"))
    workspace.dev.secrets.create_scope("dbt")
    workspace.dev.secrets.put_secret("dbt", "token", string_value=SECRET)
    yield workspace
    workspace.server.stop()


def test_who_makes_a_scope_manages_it_and_reads_by_scope_and_key(workspace: Workspace) -> None:
    assert workspace.dev.dbutils.secrets.get("dbt", "token") == SECRET
    assert [secret.key for secret in workspace.dev.secrets.list_secrets("dbt")] == ["token"]
    assert [scope.name for scope in workspace.dev.secrets.list_scopes()] == ["dbt"]


def test_others_need_a_right_on_the_scope(workspace: Workspace) -> None:
    job = workspace.server.client("job-identity")
    with pytest.raises(PermissionDenied, match="job-identity does not have READ permission on scope dbt"):
        job.dbutils.secrets.get("dbt", "token")
    with pytest.raises(PermissionDenied, match="MANAGE"):
        job.secrets.put_acl("dbt", "job-identity", AclPermission.READ)
    workspace.dev.secrets.put_acl("dbt", "job-identity", AclPermission.READ)
    assert job.dbutils.secrets.get("dbt", "token") == SECRET
    with pytest.raises(PermissionDenied, match="WRITE"):
        job.secrets.put_secret("dbt", "token", string_value="mine")


@pytest.mark.parametrize(
    ("scope", "said"), [("dbt", "with scope: dbt and key: gone"), ("nowhere", "Scope nowhere does")]
)
def test_what_is_not_there_is_said(workspace: Workspace, scope: str, said: str) -> None:
    with pytest.raises(NotFound, match=said):
        workspace.dev.dbutils.secrets.get(scope, "gone")


def test_a_scope_is_made_once(workspace: Workspace) -> None:
    with pytest.raises((BadRequest, DatabricksError), match="Scope dbt already exists!"):
        workspace.dev.secrets.create_scope("dbt")


def test_the_rest_of_the_api_is_refused_by_name(workspace: Workspace) -> None:
    with pytest.raises(NotImplemented, match=r"/api/2\.0/secrets/scopes/delete"):
        workspace.dev.secrets.delete_scope("dbt")


def test_secrets_are_there_after_a_restart_in_a_file_of_their_owner(workspace: Workspace) -> None:
    workspace.restart()
    file = workspace.state / "secrets.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text())["dbt"]["secrets"] == {"token": SECRET}
    assert workspace.dev.dbutils.secrets.get("dbt", "token") == SECRET


def test_a_secret_that_is_lent_is_in_no_file(workspace: Workspace) -> None:
    workspace.server.secrets.lend("lent", "token", "for now", to="job-identity")
    assert workspace.server.client("job-identity").dbutils.secrets.get("lent", "token") == "for now"
    assert "for now" not in (workspace.state / "secrets.json").read_text()


def test_a_notebook_reads_secrets_as_the_user_of_its_run(workspace: Workspace) -> None:
    reads = "print(len(dbutils.secrets.get('dbt', 'token')), [s.key for s in dbutils.secrets.list('dbt')])"
    commit = workspace.repository.commit(reads=reads)
    run = workspace.run(workspace.job(task("reads"), commit=commit))
    assert results(run) == {"reads": "SUCCESS"}, latest(run)
    assert ("reads", f"{len(SECRET)} ['token']") in workspace.printed
