"""What is asked of an approver: a request that says, and seals, exactly what would be built."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import ClassVar, Literal

from dbx_cd import html
from dbx_cd.approval.seal import seal_of, sealed_parts
from dbx_cd.artifacts.version import DEPLOYABLE_COMMANDS
from dbx_cd.dbt.selection import Selection
from dbx_cd.errors import (
    ApprovalExpired,
    ApprovalRequired,
    ConfigError,
    DbxCdError,
)
from dbx_cd.records import Record
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Built, Deployed, Release, WithSelection
from dbx_cd.release.reading import LogReading
from dbx_cd.release.turn import refuse_ended
from dbx_cd.smoke.report import SmokeReport


@dataclass(frozen=True)
class ApprovalRequest(WithSelection):
    """What a data owner is asked to promote."""

    KIND: ClassVar[str] = "approval_requested"

    release: Release
    """The release."""
    target: str
    """The gated target."""
    state_target: str
    """The target whose build was tested, and whose relations production's upstream refs resolve to."""
    state_timestamp: str
    """The version of that build's artifacts."""
    selection: Selection
    """What would be built."""
    sealed: dict[str, str]
    """A digest of each part that the approval is bound to, by the part's name."""
    seal: str
    """One digest over all parts."""
    requested_at: datetime
    """When, UTC."""
    expires_at: datetime
    """Until when it can be decided, UTC."""
    job_identity: str
    """Who asked: the Workflow's own identity, which may not decide."""
    approvers: str
    """The group whose members may decide."""
    smoke: str
    """How staging's smoke test ended, in one line."""
    changes: str
    """What differs from the target's last build, in one line."""
    altered: tuple[str, ...] = ()
    """Alterations of the release log that an approver has acknowledged, a line each."""

    @property
    def deploy(self) -> dict[str, object]:
        """Target and selection of the build that is asked for: what the seal's part "selection and flags" covers."""
        return deploy_of(self.target, self.selection)

    def __str__(self) -> str:
        return f"{self.release} to {self.target}, sealed {self.seal[:12]}, expires {self.expires_at:%Y-%m-%d %H:%M} UTC"

    def to_html(self) -> str:
        """What is asked, and how to answer."""
        favoured = ", favoured" if self.selection.favor_state else ""
        rows = [
            ("release", self.release.id),
            ("commit", self.release.commit),
            ("requested by", self.release.requester),
            ("reason", self.release.reason),
            ("target", self.target),
            ("selection", self.selection.select),
            ("excluded", self.selection.exclude),
            ("full refresh", self.selection.full_refresh),
            ("upstream refs", f"{self.state_target}/{self.state_timestamp}{favoured}"),
            ("staging smoke", self.smoke),
            (f"changes since {self.target}'s last build", self.changes),
            *(("the release log was altered", line) for line in self.altered),
            ("expires", f"{self.expires_at:%Y-%m-%d %H:%M} UTC"),
            ("seal", self.seal),
        ]
        how = html.paragraph("To decide, open the notebook `approve` and give this release id and seal.")
        return str(html.section(f"Promote to {self.target}?", html.table(("", ""), rows), how))


@dataclass(frozen=True)
class Decision(Record):
    """A person's answer to one sealed request."""

    outcome: Literal["approved", "rejected"]
    """What they decided."""
    release_id: str
    """The release."""
    seal: str
    """The request's seal."""
    actor: str
    """Who decided, as the platform names them."""
    reason: str | None = None
    """Why, or what they remarked."""
    reuses: str | None = None
    """The release whose approval still applies: then nobody was asked again."""

    KINDS: ClassVar[tuple[str, ...]] = ("approved", "rejected")

    @property
    def kind(self) -> str:
        """The event's kind is the outcome."""
        return self.outcome

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        return f"{self.release_id} {self.outcome} by {self.actor}{why}"


def request_approval(
    cd: Cd,
    release: Release,
    *,
    target: str,
    select: str | None = None,
    exclude: str | None = None,
    full_refresh: bool = False,
    cmd: str = "build",
) -> ApprovalRequest:
    """Ask for the promotion of a release. Idempotent: asking again for the same thing returns the same request.

    A release whose very project archive is deployed already, with the same selection and flags, by an approved release
    that was neither rolled back nor has failed, needs no second approval (code rollback); that is recorded as a
    decision that reuses the first. A full refresh always needs one.

    Args:
        cd: the context.
        release: a release with a successful staging build and passed staging smoke tests.
        target: the gated target.
        select: what to build; by default what staging was asked to build.
        exclude: what not to build.
        full_refresh: rebuild incremental models from nothing.
        cmd: "build" or "run".

    Raises:
        ConfigError: another command, since nothing else may change a gated target; or the target defers to nothing.
        ApprovalRequired: there is nothing to approve yet: no build, no smoke report, or a failed one.
        ApprovalSuperseded: a newer release has overtaken this one.
    """
    log = cd.log.read(release)
    refuse_ended(log, target=target)
    staging = cd.config.staging_of(target)
    built = next((b for b in reversed(log.all(Built)) if b.target == staging and b.ok), None)
    if built is None:
        raise ApprovalRequired(f"{staging} has no successful build", where=release, next_step=f"run {staging}_build")
    selection = Selection(
        cmd=deployable(cmd),
        select=select or built.selection.select,
        exclude=exclude or None,
        full_refresh=full_refresh,
        favor_state=cd.config.policies.untagged_changes == "read_staging",
    )
    smoke = passed_smoke(log, staging)
    staged = cd.store.find(staging, release.id)
    parts = sealed_parts(release, staged, smoke=smoke, deploy=deploy_of(target, selection))
    asked = newest_request(log, target)
    if asked is not None and asked.seal == seal_of(parts) and not (expired(asked) and decision_on(log, asked) is None):
        return asked
    now = datetime.now(UTC)
    request = ApprovalRequest(
        release=release,
        target=target,
        state_target=staging,
        state_timestamp=staged.timestamp,
        selection=selection,
        sealed=parts,
        seal=seal_of(parts),
        requested_at=now,
        expires_at=now + cd.config.approval_expires,
        job_identity=cd.user,
        approvers=cd.config.approvers,
        smoke=str(smoke),
        changes=_changes(cd, target, staged.timestamp, staging),
        altered=tuple(map(str, cd.log.tampering().acknowledged)),
    )
    cd.log.append(release, request)
    earlier = _approved_before(cd, log, request)
    if earlier is not None and decision_on(log, request) is None:
        reason = release.reason or "the same project archive is approved and deployed"
        cd.log.append(release, Decision("approved", release.id, request.seal, cd.user, reason, reuses=earlier.id))
    return request


def decision_on(log: LogReading, request: ApprovalRequest) -> Decision | None:
    """The first decision on this seal: two people answering at once get one answer, that of the earlier commit."""
    return next((d for d in log.all(Decision) if d.seal == request.seal), None)


def newest_request(log: LogReading, target: str) -> ApprovalRequest | None:
    """What was asked last about a target, or None."""
    return next((r for r in reversed(log.all(ApprovalRequest)) if r.target == target), None)


def deployable(cmd: str) -> str:
    """The command, if it is one that may change a gated target.

    Raises:
        ConfigError: it is not.
    """
    if cmd not in DEPLOYABLE_COMMANDS:
        words = " or ".join(DEPLOYABLE_COMMANDS)
        raise ConfigError(
            f"a gated target is built by {words}, not by {cmd!r}",
            where="parameter cmd",
            next_step="give what to build as select and exclude, so that it can be approved",
        )
    return cmd


def deploy_of(target: str, selection: Selection) -> dict[str, object]:
    """Target and selection in the form that is sealed."""
    return {"target": target, **asdict(selection)}


def passed_smoke(log: LogReading, staging: str) -> SmokeReport:
    """The staging smoke report, which must have passed, and be of what staging built last.

    Raises:
        ApprovalRequired: there is none, it did not pass, or staging was built again since.
    """
    reports = [r for r in log.all(SmokeReport) if r.target == staging]
    if not reports:
        raise ApprovalRequired(f"{staging} was not smoke-tested", where=log.release, next_step=f"run {staging}_smoke")
    if not reports[-1].ok:
        raise ApprovalRequired(
            f"{staging} did not pass its smoke tests: {reports[-1]}",
            where=log.release,
            next_step="fix it and merge again",
        )
    if log.state.of(staging).build != "smoked":
        raise ApprovalRequired(
            f"{staging} was built again since it was smoke-tested, well or not",
            where=log.release,
            next_step=f"run {staging}_smoke, after {staging}_build where that has failed",
        )
    return reports[-1]


def _changes(cd: Cd, target: str, timestamp: str, staging: str) -> str:
    try:
        before = cd.store.latest(target)
    except DbxCdError:
        return f"first release to {target}"
    return str(cd.store.diff(before, cd.store.get(staging, timestamp)))


def _approved_before(cd: Cd, log: LogReading, request: ApprovalRequest) -> Release | None:
    """The release that is deployed from the very same project archive, built in the very same way, if there is one.

    The same archive with another selection or other flags makes other relations: nobody has agreed to that.
    """
    if request.selection.full_refresh:
        return None
    same = Deployed(request.target, request.sealed["project archive"])
    for release, state in log.history:
        deployed = [Deployed.read(dict(e.payload)) for e in log.of(release.id, kinds=(Deployed.KIND,))]
        here = [d for d in deployed if d.target == request.target]
        if state.of(request.target).is_in_place and here[-1] == same:
            decisions = {d.seal: d.outcome for d in reversed(cd.log.all(release, Decision))}  # the first one counts
            asked = [a for a in cd.log.all(release, ApprovalRequest) if decisions.get(a.seal) == "approved"]
            there = [a for a in asked if a.target == request.target]
            if there and there[-1].deploy == request.deploy:
                return release
    return None


def expired(request: ApprovalRequest) -> bool:
    """Whether nobody has decided in time."""
    return datetime.now(UTC) > request.expires_at


def expiry(request: ApprovalRequest) -> ApprovalExpired:
    """The error that says so."""
    return ApprovalExpired(
        f"nobody decided until {request.expires_at:%Y-%m-%d %H:%M} UTC",
        where=request.release,
        next_step="repair the run from approval_gate, which asks again",
    )
