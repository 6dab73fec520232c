"""Releases in memory: a log, tables, people, a store on a temporary folder, and dbt as a function."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from databricks.sdk.service.iam import Group, ServicePrincipal, User

from dbx_cd import (
    ArtifactStore,
    Cd,
    CdConfig,
    Release,
    ReleaseLog,
    SmokeReport,
    approve,
    build_release,
    request_approval,
)
from dbx_cd.approval.request import ApprovalRequest
from dbx_cd.relations import RelationName
from dbx_cd.release.anchor import LogAnchor
from dbx_cd.release.events import Deployed, Deploying
from dbx_cd.rollback.capture import capture_restore_point, record_versions_after
from dbx_cd.smoke.report import CheckResult
from memory.dbt import MemoryDbt
from memory.log_table import MemoryLogTable
from memory.platform import Platform
from memory.tables import MemoryTables

APPROVERS = "dbx_cd_approvers"
BOT, OWNER, OTHER_OWNER, DEVELOPER = "bot", "owner@example.org", "second@example.org", "dev@example.org"
PRINCIPAL = "11111111-2222"
"""A service principal that may approve."""
GROUPS = {BOT: (), OWNER: (APPROVERS,), OTHER_OWNER: (APPROVERS,), DEVELOPER: ()}


@dataclass(frozen=True)
class Person:
    """Stands for the SDK's client of somebody: the library asks it who they are, and who is in a group."""

    name: str
    member_of: Sequence[str] = ()
    jobs: Platform = field(default_factory=Platform)

    @property
    def query_history(self) -> Platform:
        return self.jobs

    @property
    def current_user(self) -> Person:
        return self

    def me(self) -> User:
        return user(self.name, self.member_of)

    @property
    def users(self) -> Listing:
        return Listing([user(name, groups) for name, groups in GROUPS.items()], "userName", "user_name")

    @property
    def service_principals(self) -> Listing:
        one = ServicePrincipal.from_dict({"applicationId": PRINCIPAL, "groups": [{"display": APPROVERS}]})
        return Listing([one], "applicationId", "application_id")

    @property
    def groups(self) -> Listing:
        members = [{"value": name, "display": name} for name, groups in GROUPS.items() if APPROVERS in groups]
        return Listing([Group.from_dict({"displayName": APPROVERS, "members": members})], "displayName", "display_name")


@dataclass(frozen=True)
class Listing:
    """One kind of SCIM resource, in the SDK's own shape."""

    resources: Sequence[Any]
    attribute: str
    field: str

    def list(self, filter: str) -> Iterator[Any]:
        """Those that a filter names."""
        wanted = filter.removeprefix(f'{self.attribute} eq "').removesuffix('"')
        return (found for found in self.resources if str(getattr(found, self.field)).lower() == wanted.lower())


def user(name: str, groups: Sequence[str]) -> User:
    """A user as the SDK reads one."""
    return User.from_dict({"id": name, "userName": name, "groups": [{"display": group} for group in groups]})


class Releases:
    """Contexts of one person or another on one log, one store and one set of tables.

    Args:
        folder: a temporary folder.
        settings: more of `dbx_cd.yml`.
        log_table: the log's rows; by default in memory.
        tables: by default those of a platform without UNDROP.
    """

    def __init__(
        self,
        folder: Path,
        settings: str = "",
        *,
        log_table: MemoryLogTable | None = None,
        tables: MemoryTables | None = None,
    ) -> None:
        self.log_table = log_table or MemoryLogTable()
        self.anchor: LogAnchor | None = None
        self.tables = tables or MemoryTables()
        self.dbt = MemoryDbt(self.tables)
        self.root = folder / "artifacts"
        self.project = folder / "project"
        (self.project / "models").mkdir(parents=True)
        (self.project / "dbt_project.yml").write_text("name: tiny\nversion: '1.0'\nprofile: tiny\n")
        self.model("orders")
        self.settings = self._loaded = settings
        self._config: CdConfig | None = None

    def model(self, name: str, text: str = "select 1 as id") -> None:
        """Write a model: the checkout of the next staging build."""
        (self.project / "models" / f"{name}.sql").write_text(text)

    def remember_log(self, table_id: str | None, *, production: str | None = None) -> None:
        """What the Volume is to remember of the log."""
        self.anchor = LogAnchor(str(self.log_table.name), table_id, production)

    def cd(self, who: str = BOT, *, staging_identity: str | None = None) -> Cd:
        """The context of a person, or of an identity that builds what has a gate where another one builds staging."""
        if self._config is None or self._loaded != self.settings:
            (self.project / "dbx_cd.yml").write_text(self.settings)
            self._config = CdConfig.load(self.project, overrides={"artifacts_root": str(self.root)})
            self._loaded = self.settings
        log = ReleaseLog.on(self.log_table, actor=who, anchor=self.anchor)
        person = Person(who, GROUPS.get(who, ()))
        return Cd(
            None, self._config, ArtifactStore(self.root), log, person, self.tables, self.dbt,
            staging_identity=staging_identity,
        )  # type: ignore[arg-type]  # fmt: skip

    def open(self, run_id: str = "1", *, commit: str = "a" * 40, requester: str = "ci") -> Release:
        """A release that was just opened."""
        return self.cd().log.open(commit, run_id=run_id, requester=requester)

    def build(self, release: Release, *, cmd: str = "build") -> None:
        """The staging build of the checkout."""
        build_release(self.cd(), release, target="stg", cmd=cmd, select="tag:deploy", project_dir=self.project)

    def staged(self, run_id: str = "1", *, commit: str = "a" * 40, requester: str = "ci", ok: bool = True) -> Release:
        """A release whose staging build and smoke test are done."""
        release = self.open(run_id, commit=commit, requester=requester)
        self.build(release)
        self.smoke(release, ok=ok)
        return release

    def smoke(self, release: Release, *, ok: bool = True, target: str = "stg", **report: Any) -> SmokeReport:
        """A smoke test of the release's newest good build into a target; `report`: what else is true of it."""
        cd = self.cd()
        of = cd.store.find(target, release.id)
        found = replace(smoke_of(release, ok=ok, target=target), **{"artifacts": of.timestamp, **report})
        cd.log.append(release, found)
        return found

    def approved(self, run_id: str = "1", *, commit: str = "a" * 40) -> Release:
        """A release that may be built into production."""
        release = self.staged(run_id, commit=commit)
        request = self.ask(release)
        if self.cd().log.state(release).phase == "waiting":  # else an earlier approval still applies
            self.approve(request)
        return release

    def deployed(self, run_id: str = "1", *, commit: str = "a" * 40) -> Release:
        """A release that was built into production."""
        release = self.approved(run_id, commit=commit)
        build_release(self.cd(), release, target="prod")
        return release

    def changed(self, models: Sequence[str], change: Callable[[], object], *, run_id: str = "1") -> Release:
        """A release that has changed production, without dbt: what `build_release` does around it."""
        cd, release = self.cd(), self.open(run_id)
        cd.log.append(release, Deploying("prod"))
        relations = [relation("prod", model) for model in models]
        point = capture_restore_point(cd, release, relations)
        change()
        record_versions_after(cd, release, point, built=relations)
        cd.log.append(release, Deployed("prod", ""))
        return release

    def promoted(self, release: Release, target: str) -> Release:
        """A release that was approved for a gated target, built into it and tested there."""
        self.approve(self.ask(release, target=target))
        build_release(self.cd(), release, target=target)
        self.smoke(release, target=target)
        return release

    def ask(self, release: Release, *, target: str = "prod", **selection: object) -> ApprovalRequest:
        """Ask for a gated target."""
        return request_approval(self.cd(), release, target=target, **selection)  # type: ignore[arg-type]

    def approve(self, request: ApprovalRequest) -> None:
        """The owner's approval, with consent to all that is asked."""
        approve(self.cd(OWNER), request, seal=request.seal, consent=request.consent)


def smoke_of(release: Release, *, ok: bool = True, target: str = "stg", kind: str = "metric") -> SmokeReport:
    """A report of one check, of no known build."""
    status = "pass" if ok else "fail"
    check = CheckResult(name="revenue", kind=kind, status=status, domain="sales", where="sales.yml:3", guardrail=True)  # type: ignore[arg-type]
    return SmokeReport(
        target=target, artifacts="", commit=release.commit, release_id=release.id, tiny=False, seconds=0.0,
        checks=(check,),
    )  # fmt: skip


def relation(target: str, model: str) -> RelationName:
    """Where `MemoryDbt` builds a model."""
    return RelationName(target, "shop", model)


def unique() -> str:
    """A name that nobody has yet."""
    return uuid.uuid4().hex
