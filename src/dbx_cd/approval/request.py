"""What is asked of an approver: a request that says, and seals, exactly what would be built."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Literal

from dbx_cd import html
from dbx_cd.approval.seal import seal_of, sealed_parts
from dbx_cd.errors import (
    ApprovalExpired,
    ApprovalRejected,
    ApprovalRequired,
    ApprovalSuperseded,
    DbxCdError,
)
from dbx_cd.records import Record
from dbx_cd.release.context import Cd
from dbx_cd.release.events import Built, Deployed, Release
from dbx_cd.release.reading import LogReading
from dbx_cd.smoke.report import SmokeReport


@dataclass(frozen=True)
class ApprovalRequest(Record):
    """What a data owner is asked to promote. `sealed` names the parts that the approval is bound to."""

    KIND: ClassVar[str] = "approval_requested"

    release: Release
    target: str
    state_target: str
    state_timestamp: str
    select: str | None
    exclude: str | None
    full_refresh: bool
    favor_state: bool
    sealed: dict[str, str]
    seal: str
    requested_at: datetime
    expires_at: datetime
    job_identity: str
    approvers: str
    smoke: str
    changes: str

    @property
    def deploy(self) -> dict[str, object]:
        """Selection and flags of the build that is asked for."""
        return _deploy(self.target, self.select, self.exclude, self.full_refresh, self.favor_state)

    def __str__(self) -> str:
        return f"{self.release} to {self.target}, sealed {self.seal[:12]}, expires {self.expires_at:%Y-%m-%d %H:%M} UTC"

    def to_html(self) -> str:
        """What is asked, and how to answer."""
        rows = [
            ("release", self.release.id),
            ("commit", self.release.commit),
            ("requested by", self.release.requester),
            ("reason", self.release.reason),
            ("target", self.target),
            ("selection", self.select),
            ("excluded", self.exclude),
            ("full refresh", self.full_refresh),
            ("upstream refs", f"{self.state_target}/{self.state_timestamp}" + (", favoured" * self.favor_state)),
            ("staging smoke", self.smoke),
            (f"changes since {self.target}'s last build", self.changes),
            ("expires", f"{self.expires_at:%Y-%m-%d %H:%M} UTC"),
            ("seal", self.seal),
        ]
        how = html.paragraph("To decide, open the notebook `approve` and give this release id and seal.")
        return str(html.section(f"Promote to {self.target}?", html.table(("", ""), rows), how))


@dataclass(frozen=True)
class Decision(Record):
    """A person's answer to one sealed request; `reuses` names the release whose approval still holds."""

    outcome: Literal["approved", "rejected"]
    release_id: str
    seal: str
    actor: str
    reason: str | None = None
    reuses: str | None = None

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

    Raises:
        ApprovalRequired: there is nothing to approve yet: no build, no smoke report, or a failed one.
        ApprovalSuperseded: a newer release has overtaken this one.
    """
    log = cd.log.read(release)
    refuse_ended(log)
    staging = _state_target(cd, target)
    built = next((b for b in reversed(log.all(Built)) if b.target == staging and b.ok), None)
    if built is None:
        raise ApprovalRequired(f"{staging} has no successful build", where=release, next_step=f"run {staging}_build")
    favor_state = cd.config.policies.untagged_changes == "read_staging"
    deploy = _deploy(target, select or built.select, exclude or None, full_refresh, favor_state)
    smoke = passed_smoke(log, staging)
    staged = cd.store.find(staging, release.id)
    parts = sealed_parts(release, staged, smoke=smoke, deploy=deploy)
    asked = log.last(ApprovalRequest)
    if asked is not None and asked.seal == seal_of(parts) and not (expired(asked) and decision_on(log, asked) is None):
        return asked
    now = datetime.now(UTC)
    request = ApprovalRequest(
        release=release,
        target=target,
        state_target=staging,
        state_timestamp=staged.timestamp,
        select=select or built.select,
        exclude=exclude or None,
        full_refresh=full_refresh,
        favor_state=favor_state,
        sealed=parts,
        seal=seal_of(parts),
        requested_at=now,
        expires_at=now + cd.config.approval_expires,
        job_identity=cd.user,
        approvers=cd.config.approvers,
        smoke=str(smoke),
        changes=_changes(cd, target, staged.timestamp, staging),
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


def refuse_ended(log: LogReading) -> None:
    """Refuse a release that was rejected, rolled back or overtaken.

    A newer release overtakes an undecided one when it is opened, and an approved one when it is deployed: building
    the older one then would take production back without anybody having asked for it.
    """
    release, state = log.release, log.state
    assert release is not None
    if state.phase == "rejected":
        raise ApprovalRejected(
            f"{release} was rejected by {state.actor}: {state.reason}", next_step="mend it and merge again"
        )
    if state.phase == "superseded":
        raise ApprovalSuperseded(f"{release} was overtaken by {state.superseded_by}", next_step="approve that one")
    if state.phase == "rolled_back":
        raise ApprovalRequired(f"{release} was rolled back", next_step="trigger the Workflow for a new release")
    for other, other_state in log.history:
        if other.id == release.id:
            break
        if other_state.deployed_to or other_state.deploying_to:
            raise ApprovalSuperseded(
                f"{release} was overtaken by {other.id}, which is deployed",
                next_step="to go back to this commit on purpose, trigger the Workflow at it",
            )


def _deploy(
    target: str, select: str | None, exclude: str | None, full_refresh: bool, favor_state: bool
) -> dict[str, object]:
    return {
        "target": target,
        "select": select,
        "exclude": exclude,
        "full_refresh": full_refresh,
        "favor_state": favor_state,
    }


def _state_target(cd: Cd, target: str) -> str:
    settings = cd.config.target(target)
    if settings.defer_to is None:
        raise DbxCdError(
            f"target {target!r} defers to nothing, so there is no staging build to approve",
            where="dbx_cd.yml",
            next_step=f"set targets.{target}.defer_to",
        )
    return settings.defer_to


def passed_smoke(log: LogReading, staging: str) -> SmokeReport:
    """The staging smoke report, which must have passed."""
    reports = [r for r in log.all(SmokeReport) if r.target == staging]
    if not reports:
        raise ApprovalRequired(f"{staging} was not smoke-tested", where=log.release, next_step=f"run {staging}_smoke")
    if not reports[-1].ok:
        raise ApprovalRequired(
            f"{staging} did not pass its smoke tests: {reports[-1]}",
            where=log.release,
            next_step="mend and merge again",
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
    if request.full_refresh:
        return None
    same = Deployed(request.target, request.sealed["project archive"])
    for release, state in log.history:
        deployed = log.of(release.id, kinds=(Deployed.KIND,)) if state.phase == "deployed" else []
        if deployed and Deployed.read(dict(deployed[-1].payload)) == same:
            decisions = {d.seal: d.outcome for d in reversed(cd.log.all(release, Decision))}  # the first one counts
            asked = [a for a in cd.log.all(release, ApprovalRequest) if decisions.get(a.seal) == "approved"]
            if asked and asked[-1].deploy == request.deploy:
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
