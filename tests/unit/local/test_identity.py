from __future__ import annotations

import logging
import socket
from collections.abc import Iterator

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import NotImplemented, PermissionDenied
from local_rest import Workspace


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path_factory.mktemp("identity"))
    yield workspace
    workspace.server.stop()


def test_token_decides_who_the_caller_is(workspace: Workspace) -> None:
    owner, dev = workspace.owner.current_user.me(), workspace.dev.current_user.me()
    assert (owner.user_name, dev.user_name) == ("owner@example.org", "dev@example.org")
    assert [group.display for group in owner.groups] == ["admins", "dbx_cd_approvers"]
    assert owner.id != dev.id


def test_service_principal_has_an_application_id(workspace: Workspace) -> None:
    me = workspace.server.client("job-identity").current_user.me()
    assert me.user_name == "job-identity"
    assert [p.application_id for p in workspace.owner.service_principals.list()] == [
        "job-identity",
        "lent-identity",
    ]


def test_users_and_groups_are_found_by_name(workspace: Workspace) -> None:
    assert [u.user_name for u in workspace.owner.users.list(filter='userName eq "dev@example.org"')] == [
        "dev@example.org"
    ]
    (group,) = workspace.owner.groups.list(filter='displayName eq "dbx_cd_approvers"')
    assert [member.display for member in workspace.owner.groups.get(group.id).members] == ["owner@example.org"]
    assert list(workspace.owner.groups.list(filter='displayName eq "nobody"')) == []


def test_other_filters_are_refused_by_name(workspace: Workspace) -> None:
    with pytest.raises(NotImplemented, match="SCIM filter"):
        list(workspace.owner.users.list(filter='userName co "example"'))


def test_unknown_token_is_refused(workspace: Workspace) -> None:
    stranger = WorkspaceClient(host=workspace.server.host, token="stolen", auth_type="pat")
    with pytest.raises(PermissionDenied, match="Invalid access token"):
        stranger.current_user.me()


def test_missing_token_is_unauthenticated(workspace: Workspace) -> None:
    answer = requests.get(f"{workspace.server.host}/api/2.2/jobs/list", timeout=10)
    assert (answer.status_code, answer.json()["error_code"]) == (401, "UNAUTHENTICATED")


def test_the_server_listens_on_the_loopback_address_only(workspace: Workspace) -> None:
    port = int(workspace.server.host.rpartition(":")[2])
    # All of 127.0.0.0/8 is this machine (Linux): a server that listened on every interface would answer here as well.
    with pytest.raises(OSError, match=r"refused|timed out|assign"):
        socket.create_connection(("127.0.0.2", port), timeout=5).close()


def test_client_starts_without_a_warning(workspace: Workspace, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        WorkspaceClient(host=workspace.server.host, token="token-dev").current_user.me()
    assert caplog.records == []


def test_telemetry_is_accepted(workspace: Workspace) -> None:
    assert requests.post(f"{workspace.server.host}/telemetry-ext", json={}, timeout=10).status_code == 200
