"""People, job, permissions, rights, warehouse and artifacts, asked of a REST workspace without Spark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from check_projects import JOB, PROFILE, only, project, said, scene, statuses
from local_rest import LENT, URL, VOLUMES

from dbx_cd.errors import WorkflowError
from dbx_cd.local.rest.identity import User
from dbx_cd.local.rest.server import RestServer
from dbx_cd.local.rest.unity_catalog_api import NotAllowed, NotSeen
from dbx_cd.release.job import as_the_api_writes
from dbx_cd.setup.check import of_driver, of_job, of_log, of_people, of_rights
from dbx_cd.setup.check.scene import Scene
from dbx_cd.setup.check.written_job import written_job

USERS = (
    User("ci", "token-ci", service_principal=True),
    User("job-identity", "token-job", service_principal=True),
    User("anna@example.org", "token-anna", ("dbx_cd_approvers",)),
    User("ben@example.org", "token-ben", ("dbx_cd_approvers", "alone", "with-job")),
    User("dev@example.org", "token-dev"),
    User("inside", "token-inside", ("with-job",), service_principal=True),
)
Row = tuple[str, ...]


@dataclass
class MemorySecurables:
    """Owners and grants in memory: whoever owns an object may see all of its grants, everybody their own."""

    owners: dict[str, str] = field(default_factory=dict)
    granted: list[Row] = field(default_factory=list)

    def owner(self, user: User, kind: str, name: Sequence[str]) -> str | None:
        key = ".".join(name)
        if key not in self.owners:
            raise NotSeen
        return self.owners[key]

    def grants(self, user: User, kind: str, name: Sequence[str], *, principal: str | None) -> list[Row]:
        owner = self.owner(user, kind, name)
        if owner != user.user_name and principal not in (user.user_name, *user.groups):
            raise NotAllowed(f"{user.user_name} needs MANAGE")
        places = {".".join(name[: n + 1]) for n in range(len(name))}
        return [g for g in self.granted if g[3] in places and principal in (None, g[0])]

    def grant(self, principal: str, privileges: str, kind: str, name: str) -> None:
        self.granted += [(principal, privilege.strip(), kind, name) for privilege in privileges.split(",")]


@dataclass
class World:
    """A workspace with the project's job, as it was deployed."""

    server: RestServer
    securables: MemorySecurables
    folder: Path
    job_id: int = 0

    def deploy(self, **changed: Any) -> None:
        job = written_job(self.folder)
        settings = as_the_api_writes({**job.settings, **changed})
        given = {"access_control_list": [dict(p) | {"permission_level": p["level"]} for p in job.permissions]}
        for line in given["access_control_list"]:
            line.pop("level")
        answer = self.server.client("ci").api_client.do("POST", "/api/2.2/jobs/create", body=settings | given)
        assert isinstance(answer, dict)
        self.job_id = answer["job_id"]

    def as_(self, name: str) -> Scene:
        return scene(
            self.folder, connect=lambda: self.server.client(name), job=str(self.job_id) if self.job_id else None
        )


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    job = JOB.replace("https://git.acme.com/shop", URL)
    folder = project(tmp_path / "project", resources__dbx_cd_job_yml=job)
    securables = MemorySecurables(
        dict.fromkeys(("ops", "ops.dbt_meta", "ops.dbt_meta.artifacts", "stg", "prod"), "owner")
    )
    server = RestServer(
        tmp_path / "state",
        users=USERS,
        service_principal_users={**LENT, "job-identity": ("ci",)},
        volumes=VOLUMES,
        securables=securables,
        warehouse="/sql/1.0/warehouses/abc",
    ).start()
    yield World(server, securables, folder)
    server.stop()


def test_as_whom_is_asked_is_told_beside_whom_the_job_runs_as(world: World) -> None:
    world.deploy()
    assert "whom the job runs as" in only(of_people.identity(world.as_("job-identity"))).message
    assert "the job runs as job-identity" in only(of_people.identity(world.as_("ci"))).message


def with_group(world: World, group: str) -> Scene:
    """The bundle, and so the settings, name another group."""
    text = (world.folder / "databricks.yml").read_text().replace("dbx_cd_approvers", group)
    (world.folder / "databricks.yml").write_text(text)
    return world.as_("ci")


def test_who_may_approve_is_named(world: World) -> None:
    world.deploy()
    lines = list(of_people.approvers(world.as_("ci")))
    assert [line.message for line in lines] == ["2 members: anna@example.org, ben@example.org"]


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("nobodies", ["fail: there is no such group"]),
        ("alone", ["ok: 1 members", "warn: ben@example.org is alone in it"]),
    ],
)
def test_a_group_without_a_second_person_cannot_approve_what_that_one_starts(
    world: World, group: str, expected: list[str]
) -> None:
    lines = list(of_people.approvers(with_group(world, group)))
    assert all(f"{line.status}: {line.message}".startswith(text) for line, text in zip(lines, expected, strict=True))


def test_the_job_s_own_identity_may_not_approve(world: World) -> None:
    text = (world.folder / "databricks.yml").read_text().replace("job-identity", "inside")
    (world.folder / "databricks.yml").write_text(text)
    lines = list(of_people.approvers(with_group(world, "with-job")))
    assert statuses(lines) == ["ok", "fail"]
    assert lines[1].message == "the job runs as inside, which is in it"


def test_an_empty_group_fails(world: World) -> None:
    found = with_group(world, "admins")  # of a directory in which nobody is an administrator
    assert said(of_people.approvers, found)[0].startswith("fail admins: nobody is in it")


def test_a_job_as_it_was_deployed_is_the_one_that_is_written(world: World) -> None:
    world.deploy()
    assert statuses(of_job.deployed(world.as_("ci"))) == ["ok"]
    client = world.server.client("ci")
    pinned = {"git_url": URL, "git_provider": "gitHub", "git_commit": "a" * 40}
    client.api_client.do(
        "POST",
        "/api/2.2/jobs/update",
        body={"job_id": world.job_id, "new_settings": {"git_source": pinned}},
    )
    assert statuses(of_job.deployed(world.as_("ci"))) == ["ok"]
    client.api_client.do(
        "POST", "/api/2.2/jobs/update", body={"job_id": world.job_id, "new_settings": {"max_concurrent_runs": 3}}
    )
    line = only(of_job.deployed(world.as_("ci")))
    assert (line.status, line.message) == ("fail", "max_concurrent_runs is 3, of which the bundle says nothing")


def test_a_job_that_is_not_deployed_says_so(world: World) -> None:
    with pytest.raises(WorkflowError, match="0 jobs are named 'dbx_cd'"):
        list(of_job.deployed(world.as_("ci")))


def test_the_rights_on_the_job_are_those_that_are_written(world: World) -> None:
    world.deploy()
    assert statuses(of_job.permissions(world.as_("ci"))) == ["ok", "ok"]
    permissions = world.server.client("ci").api_client
    path = f"/api/2.0/permissions/jobs/{world.job_id}"
    owner = {"service_principal_name": "ci", "permission_level": "IS_OWNER"}
    group = {"group_name": "dbx_cd_approvers", "permission_level": "CAN_VIEW"}
    dev = {"user_name": "dev@example.org", "permission_level": "CAN_MANAGE"}
    permissions.do("PUT", path, body={"access_control_list": [owner, group, dev]})
    lines = list(of_job.permissions(world.as_("ci")))
    assert [(line.status, line.subject) for line in lines] == [
        ("fail", "dbx_cd_approvers"),
        ("fail", "job-identity"),
        ("warn", "dev@example.org"),
    ]
    assert lines[0].message == "has CAN_VIEW on the job, and needs CAN_MANAGE_RUN"
    assert lines[1].message == "has nothing on the job, and needs CAN_VIEW"


def test_the_job_s_identity_sees_its_own_runs(world: World) -> None:
    world.deploy()
    assert statuses(of_job.runs(world.as_("job-identity"))) == ["ok"]
    assert statuses(of_job.runs(world.as_("ci"))) == ["skipped"]
    owner = {"service_principal_name": "ci", "permission_level": "IS_OWNER"}
    world.server.client("ci").api_client.do(
        "PUT", f"/api/2.0/permissions/jobs/{world.job_id}", body={"access_control_list": [owner]}
    )
    with pytest.raises(WorkflowError, match="permission denied"):
        list(of_job.runs(world.as_("job-identity")))


JOB_NEEDS = {
    ("CATALOG", "ops"): "USE CATALOG",
    ("SCHEMA", "ops.dbt_meta"): "USE SCHEMA, CREATE TABLE",
    ("VOLUME", "ops.dbt_meta.artifacts"): "READ VOLUME, WRITE VOLUME",
    ("CATALOG", "stg"): "USE CATALOG, CREATE SCHEMA",
    ("CATALOG", "prod"): "USE CATALOG, CREATE SCHEMA",
}


def of(found: Scene, who: str) -> list[str]:
    return [f"{line.status}: {line.message}" for line in of_rights.rights(found) if line.subject == who]


def test_each_right_that_is_missing_is_named_with_the_statement_that_gives_it(world: World) -> None:
    world.deploy()
    for (kind, name), privileges in JOB_NEEDS.items():
        world.securables.grant("job-identity", privileges, kind, name)
    assert of(world.as_("job-identity"), "job-identity") == ["ok: has 9 of the privileges that the Workflow needs"]
    world.securables.granted = [g for g in world.securables.granted if g[1:] != ("CREATE SCHEMA", "CATALOG", "prod")]
    lines = [line for line in of_rights.rights(world.as_("job-identity")) if line.status == "fail"]
    assert [(line.subject, line.message) for line in lines] == [
        ("job-identity", "lacks CREATE SCHEMA on CATALOG `prod`")
    ]
    assert lines[0].next_step == "GRANT USE CATALOG, CREATE SCHEMA ON CATALOG `prod` TO `job-identity`"


def test_rights_of_a_group_and_of_an_owner_count(world: World) -> None:
    world.deploy()
    for kind, name in JOB_NEEDS:
        world.securables.grant("users", "ALL PRIVILEGES", kind, name)
    world.securables.owners = dict.fromkeys(world.securables.owners, "ci")
    assert all(text.startswith("ok") for text in of(world.as_("ci"), "job-identity"))
    world.securables.granted.clear()
    world.securables.owners = dict.fromkeys(world.securables.owners, "job-identity")
    assert all(text.startswith("ok") for text in of(world.as_("job-identity"), "job-identity"))


def test_one_s_own_rights_by_a_group_are_seen_without_those_of_others(world: World) -> None:
    text = (world.folder / "databricks.yml").read_text().replace("job-identity", "inside")
    (world.folder / "databricks.yml").write_text(text)
    for (kind, name), privileges in JOB_NEEDS.items():
        world.securables.grant("with-job", privileges, kind, name)
    assert all(text.startswith("ok") for text in of(world.as_("inside"), "inside"))
    world.securables.granted.pop()
    assert [text for text in of(world.as_("inside"), "inside") if text.startswith("fail")] == [
        "fail: lacks CREATE SCHEMA on CATALOG `prod`"
    ]


def test_what_cannot_be_seen_is_skipped_and_never_ok(world: World) -> None:
    world.deploy()
    texts = of(world.as_("dev@example.org"), "job-identity")
    assert texts
    assert all(text.startswith("skipped:") and "cannot be seen" in text for text in texts)


def test_the_warehouse_of_the_profile_is_looked_up(world: World) -> None:
    assert said(of_driver.warehouse, world.as_("ci"), "stg")[0].startswith(
        "ok stg: abc: warehouse abc is there (RUNNING)"
    )
    assert "this workspace is" in said(of_driver.warehouse, world.as_("ci"), "stg")[1]
    (world.folder / "profiles.yml").write_text(PROFILE.replace("warehouses/abc", "warehouses/xyz"))
    with pytest.raises(WorkflowError, match="SQL warehouse xyz does not exist"):
        list(of_driver.warehouse(world.as_("ci"), "stg"))
    (world.folder / "profiles.yml").write_text(PROFILE.replace("/sql/1.0/warehouses/abc", "/sql/protocolv1/o/1/0"))
    assert statuses(of_driver.warehouse(world.as_("ci"), "stg")) == ["skipped"]


def test_a_file_is_written_read_and_removed_by_the_files_api(world: World) -> None:
    assert statuses(of_log.artifacts(world.as_("ci"))) == ["ok"]
    state = world.folder.parent / "state"
    assert list(state.rglob("dbx_cd-check-*")) == []
    with pytest.raises(WorkflowError, match="the file cannot be written"):
        list(of_log.artifacts(world.as_("dev@example.org")))
