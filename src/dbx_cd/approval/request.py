"""What is asked of an approver: a request that says, and seals, exactly what would be built."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Literal

from dbx_cd import html
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.dbt.selection import Selection
from dbx_cd.errors import ApprovalExpired, ApprovalRequired
from dbx_cd.people import same_person
from dbx_cd.plan.agreed_plan import sealed_plans
from dbx_cd.plan.deploy_plan import DeployPlan
from dbx_cd.records import Record
from dbx_cd.release.events import Built, Release, WithSelection
from dbx_cd.release.reading import LogReading
from dbx_cd.release.state import Event
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
    mind: tuple[str, ...] = ()
    """What the commit says about releases that does not count, or that was otherwise in the build in place, and what
    will fail after the deploy, a line each."""
    ignored: tuple[str, ...] = ()
    """Decisions on the same that did not count, a line each."""
    plan: str = ""
    """What the deploy will do, in one line; "" in requests of wheels that made no plan."""
    losses: tuple[str, ...] = ()
    """What the target loses by it, a line each."""
    consent: tuple[str, ...] = ()
    """The losses that whoever approves has to agree to by name."""
    staging_identity: str | None = None
    """Who built staging, where that is not who asked: they may not decide either."""
    environment: str = ""
    """The Python environment that dbt ran in for staging, and has to run in here; "" where that is not recorded."""

    @property
    def deploy(self) -> dict[str, object]:
        """Target and selection of the build that is asked for: what the seal's part "selection and flags" covers."""
        return deploy_of(self.target, self.selection)

    @property
    def built_as(self) -> str:
        """As whom the two targets are built, and what that means."""
        staging = self.staging_identity or self.job_identity
        if same_person(staging, self.job_identity):
            return (
                f"one identity, {staging}: a macro of any merged commit can write {self.target} in the build of "
                f"{self.state_target}, before anybody has approved it"
            )
        return f"{self.state_target} by {staging}, {self.target} by {self.job_identity}"

    def __str__(self) -> str:
        mind = f"; MIND: {'; '.join(self.mind)}" if self.mind else ""
        until = f"{self.expires_at:%Y-%m-%d %H:%M} UTC"
        return f"{self.release} to {self.target}, sealed {self.seal[:12]}, expires {until}{mind}"

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
            ("deploy plan", self.plan or None),
            ("built as", self.built_as),
            ("dbt environment", self.environment or None),
            *((f"{self.target} loses", line) for line in self.losses),
            *(("needs consent by name", name) for name in self.consent),
            *(("the release log was altered", line) for line in self.altered),
            *(("a decision that did not count", line) for line in self.ignored),
            ("expires", f"{self.expires_at:%Y-%m-%d %H:%M} UTC"),
            ("seal", self.seal),
        ]
        names = ", with these names as consent" if self.consent else ""
        how = html.paragraph(f"To decide, open the notebook `approve` and give this release id and seal{names}.")
        loud = [html.paragraph(html.badge("warn"), " ", line) for line in self.mind]
        return str(html.section(f"Promote to {self.target}?", *loud, html.table(("", ""), rows), how))


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
    consent: tuple[str, ...] = ()
    """The losses that they agreed to, by name."""
    reuses: str | None = None
    """The release whose approval still applies: then nobody was asked again."""

    KINDS: ClassVar[tuple[str, ...]] = ("approved", "rejected")

    @property
    def kind(self) -> str:
        """The event's kind is the outcome."""
        return self.outcome

    def __str__(self) -> str:
        why = f": {self.reason}" if self.reason else ""
        lost = f", with consent to {'; '.join(self.consent)}" if self.consent else ""
        return f"{self.release_id} {self.outcome} by {self.actor}{lost}{why}"


def decision_on(log: LogReading, request: ApprovalRequest) -> Decision | None:
    """The first decision on this seal: two people answering at once get one answer, that of the earlier commit."""
    return next((d for d in log.all(Decision) if d.seal == request.seal), None)


def newest_request(log: LogReading, target: str) -> ApprovalRequest | None:
    """What was asked last about a target, or None."""
    return next((r for r in reversed(log.all(ApprovalRequest)) if r.target == target), None)


def plan_of(log: LogReading, request: ApprovalRequest) -> DeployPlan | None:
    """The deploy plan that a request seals; None where none of the log is it, or it seals none."""
    plans = sealed_plans(log, request.target, request.sealed)
    return next((plan for plan in plans if plan.asked == request.selection), None)


def deploy_of(target: str, selection: Selection) -> dict[str, object]:
    """Target and selection in the form that is sealed."""
    return {"target": target} | selection.sealed()


def smoke_of(log: LogReading, staged: ArtifactVersion) -> SmokeReport | None:
    """The newest smoke report of exactly these artifacts; one of an older build says nothing about them."""
    event = _smoked(log, staged)
    return None if event is None else SmokeReport.read(dict(event.payload))


def smoke_record(log: LogReading, staged: ArtifactVersion) -> dict[str, object] | None:
    """That report in the form that is sealed: as it was written."""
    event = _smoked(log, staged)
    return None if event is None else event.record


def _smoked(log: LogReading, staged: ArtifactVersion) -> Event | None:
    assert log.release is not None, "this reading is of no release"
    about = {"target": staged.target, "artifacts": staged.timestamp}
    events = reversed(log.of(log.release.id, kinds=(SmokeReport.KIND,)))
    return next((e for e in events if about.items() <= e.payload.items()), None)


def passed_smoke(log: LogReading, staged: ArtifactVersion) -> SmokeReport:
    """The smoke report of the staged artifacts, which must be whole, have passed, and be of what was built last.

    Args:
        log: what is known of the release.
        staged: the artifacts that are asked for.

    Raises:
        ApprovalRequired: there is none, it did not pass, it is of other artifacts or of a part of the checks, or
            staging was built again since.
    """
    staging, release = staged.target, log.release
    assert release is not None, "this reading is of no release"
    again = f"run the smoke test of {staging}"
    reports = [r for r in log.all(SmokeReport) if r.target == staging]
    if not reports:
        raise ApprovalRequired(f"{staging} was not smoke-tested", where=release, next_step=again)
    newest = next(b for b in reversed(log.all(Built)) if b.target == staging)
    if not newest.ok or newest.timestamp != staged.timestamp:
        raise ApprovalRequired(
            f"{staging} was built again since it was smoke-tested, well or not",
            where=release,
            next_step=f"{again}, after the task that builds {staging} where that has failed",
        )
    report = smoke_of(log, staged)
    if report is None:
        other = f"the build {staging}/{reports[-1].artifacts}" if reports[-1].artifacts else "no known build"
        raise ApprovalRequired(
            f"the smoke report is of {other}, and {staging}/{staged.timestamp} is asked for",
            where=release,
            next_step=again,
        )
    if not report.ok or report.untested:
        raise ApprovalRequired(
            f"{staging} did not pass its smoke tests: {report}", where=release, next_step="fix it and merge again"
        )
    if (report.release_id, report.commit) != (release.id, release.commit):
        raise ApprovalRequired(
            f"the smoke report is of release {report.release_id}, commit {report.commit[:12]}, not of {release}",
            where=release,
            next_step=again,
        )
    if report.tiny or report.narrowed:
        part = "only guardrails were run" if report.tiny else f"only a part was run, {report.narrowed}"
        raise ApprovalRequired(
            f"{staging} was not smoke-tested as a whole: {part}", where=release, next_step=f"{again} without that"
        )
    return report


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
