"""Where one release stands in one target: pure transitions, event by event."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

Phase = Literal[
    "opened",
    "built",
    "smoked",
    "waiting",
    "approved",
    "rejected",
    "superseded",
    "deploying",
    "deployed",
    "failed",
    "rolled_back",
]
Build = Literal["built", "smoked", "failed"]
Deployment = Literal["deploying", "deployed", "failed", "rolled_back"]


@dataclass(frozen=True)
class Approval:
    """What was asked of an approver last, and what came of it."""

    seal: str
    """The request's seal."""
    phase: Literal["waiting", "approved", "rejected"]
    """Whether somebody has decided, and how."""
    at: datetime
    """When it was asked or decided, UTC."""
    version: int
    """The commit of that event."""
    actor: str | None = None
    """Who decided."""
    reason: str | None = None
    """Why, or what they remarked."""
    state_target: str = ""
    """The target whose build was asked about; "" in requests that do not say."""


@dataclass(frozen=True)
class TargetState:
    """One release in one target. An open target is built and tested; a gated one is asked for and deployed to."""

    build: Build | None = None
    """Of an open target: how its last build or smoke test ended."""
    artifacts: str = ""
    """The version of its last build's artifacts; "" where that is not known."""
    requests: Mapping[str, Approval] = field(default_factory=dict)
    """Of a gated target: what came of each request, by its seal. The first decision on a seal counts."""
    newest_seal: str | None = None
    """The seal of the last request."""
    deployment: Deployment | None = None
    """Of a gated target: what has happened to it."""
    failed_in: Literal["build", "smoke"] | None = None
    """What failed: a failed build is not made good by a smoke test that passes."""
    failure: str | None = None
    """Why it failed, or was rolled back."""
    at: datetime | None = None
    """When build or deployment was last changed, UTC."""
    changed: int = -1
    """The commit that last changed build or deployment."""
    first_deployed: int = -1
    """The commit that first deployed the release here; -1 before."""
    claimed: int = -1
    """The commit of the claim (`deploying`) since which the target is being changed, or was last: of two claims, the
    earlier one has the target, also when it was killed and claims again."""
    before_claim: TargetState | None = None
    """What was true before the claim: a claim that is withdrawn changes nothing."""
    is_partly_rolled_back: bool = False
    """Whether some of its relations were brought back: then the release is not in the target as it was built."""
    is_undone: bool = False
    """Whether all that it changed here was brought back, ever: then nothing more is built from it here."""

    @property
    def approval(self) -> Approval | None:
        """What was asked last, and what came of it."""
        return None if self.newest_seal is None else self.requests[self.newest_seal]

    @property
    def is_changed(self) -> bool:
        """Whether the target bears what this release did or does to it, well or not, and that was not taken back."""
        return self.deployment not in (None, "rolled_back")

    @property
    def is_in_place(self) -> bool:
        """Whether the target holds this release, whole and good."""
        return self.deployment == "deployed" and not self.is_partly_rolled_back

    @property
    def phase(self) -> Phase:
        """One word for all of it: what is in the target, or what is asked, or how the last build ended."""
        if self._asked_is_newer and self.approval is not None:
            return self.approval.phase
        return self.deployment or self.build or "opened"

    @property
    def since(self) -> datetime | None:
        """Since when that word is true."""
        return self.approval.at if self._asked_is_newer and self.approval is not None else self.at

    @property
    def version(self) -> int:
        """The commit since which that word is true."""
        return self.approval.version if self._asked_is_newer and self.approval is not None else self.changed

    @property
    def reason(self) -> str | None:
        """Why it failed, was rejected or rolled back."""
        return self.approval.reason if self._asked_is_newer and self.approval is not None else self.failure

    @property
    def _asked_is_newer(self) -> bool:
        """A target that has the release, or is being changed, is not taken from it by a question."""
        if self.approval is None or self.deployment in ("deploying", "deployed", "rolled_back"):
            return False
        return self.approval.version > self.changed

    def after(
        self, kind: str, payload: Mapping[str, Any], *, at: datetime, version: int, release_ended: bool
    ) -> TargetState:
        """The state after one event that names this target; unknown kinds change nothing.

        Args:
            kind: the event's kind.
            payload: its record.
            at: its time.
            version: its commit.
            release_ended: whether the release was rejected, superseded or rolled back before; what is asked or built
                in open targets after that counts for nothing. What happens to a gated target is a fact all the same.
        """
        ok, reason = bool(payload.get("ok")), payload.get("summary") or payload.get("reason")

        def deployment(to: Deployment | None, **more: Any) -> TargetState:
            return replace(self, deployment=to, at=at, changed=version, **{"failure": None, "failed_in": None, **more})

        match kind:
            case "smoked" if payload.get("artifacts") and self.artifacts not in ("", payload["artifacts"]):
                return self  # of an older build: the test was running while the target was built again
            case "built" if payload.get("gated"):
                return replace(self, artifacts=payload.get("timestamp") or "")
            case "deploying":
                claimed = self.claimed if self.deployment == "deploying" else version
                return deployment("deploying", claimed=claimed, before_claim=replace(self, before_claim=None))
            case "claim_withdrawn" if self.before_claim is not None and self.deployment == "deploying":
                # Of the deployment alone: what was decided meanwhile stays decided.
                return replace(self.before_claim, requests=self.requests, newest_seal=self.newest_seal)
            case "deployed":
                first = self.first_deployed if self.first_deployed >= 0 else version
                return deployment("deployed", first_deployed=first, before_claim=None, is_partly_rolled_back=False)
            case "failed":
                return deployment("failed", failed_in="build", failure=payload.get("reason"), before_claim=None)
            case "smoked" if self.deployment is not None:
                return self._smoked_gated(ok, reason, at=at, version=version)
        if release_ended:
            return self

        def build(to: Build, **more: Any) -> TargetState:
            return replace(self, build=to, at=at, changed=version, **{"failure": None, "failed_in": None, **more})

        match kind:
            case "built":
                built = build("built") if ok else build("failed", failed_in="build", failure=reason)
                return replace(built, artifacts=payload.get("timestamp") or "")
            case "smoked" if self.build is not None and self.failed_in != "build":
                return build("smoked") if ok else build("failed", failed_in="smoke", failure=reason)
        return self._asked(kind, payload, at=at, version=version)

    def after_restore(self, kind: str, payload: Mapping[str, Any], *, at: datetime, version: int) -> TargetState:
        """The state after one relation was brought back, or a restore ended or stepped back.

        Args:
            kind: `restored_relation`, since a restore may be killed before it can say how it ended; or `rolled_back`.
            payload: its record.
            at: its time.
            version: its commit.
        """
        if payload.get("withdrawn"):
            return self
        before = self.before_claim
        # Should the claim be withdrawn, it is true of what was there before as well.
        if before is not None and before.deployment is not None:
            before = before.after_restore(kind, payload, at=at, version=version)
        if kind == "restored_relation":
            partly = self.is_partly_rolled_back or payload.get("changes", True)
            return replace(self, is_partly_rolled_back=partly, before_claim=before)
        if payload.get("complete", True):
            return replace(
                self, deployment="rolled_back", at=at, changed=version, failed_in=None, failure=payload.get("reason"),
                before_claim=None, is_partly_rolled_back=False, is_undone=True,
            )  # fmt: skip
        partly = replace(
            self,
            is_partly_rolled_back=self.is_partly_rolled_back or payload.get("brought_back", True),
            before_claim=before,
        )
        if self.deployment == "deploying" and payload.get("of_all") and payload.get("ok"):
            reason = payload.get("reason") or "its deploy was killed; it was rolled back but for what was left out"
            return replace(
                partly,
                deployment="failed",
                at=at,
                changed=version,
                failed_in="build",
                failure=reason,
                before_claim=None,
            )
        return partly

    def _smoked_gated(self, ok: bool, reason: str | None, *, at: datetime, version: int) -> TargetState:
        if self.deployment == "deploying" and self.before_claim is not None:
            # Of what was there before the claim, should that be withdrawn.
            return replace(self, before_claim=self.before_claim._smoked_gated(ok, reason, at=at, version=version))
        if self.deployment == "deployed" and not ok:
            return replace(self, deployment="failed", failed_in="smoke", failure=reason, at=at, changed=version)
        # After a deploy the smoke test of production was repaired: the release is good after all. Not so when part of
        # it was brought back: then the checks were of what stood there before.
        if self.deployment == "failed" and self.failed_in == "smoke" and ok and not self.is_partly_rolled_back:
            return replace(self, deployment="deployed", failed_in=None, failure=None, at=at, changed=version)
        return self

    def _asked(self, kind: str, payload: Mapping[str, Any], *, at: datetime, version: int) -> TargetState:
        seal = str(payload.get("seal"))
        known = self.requests.get(seal)
        if kind == "approval_requested":
            decided = known is not None and known.phase != "waiting"
            asked = (
                replace(known, at=at, version=version)
                if known and decided
                else Approval(seal, "waiting", at, version, state_target=payload.get("state_target") or "")
            )
            if self.newest_seal == seal and decided:
                return self
            return replace(self, requests={**self.requests, seal: asked}, newest_seal=seal)
        if kind in ("approved", "rejected") and known is not None and known.phase == "waiting":
            outcome: Literal["approved", "rejected"] = "approved" if kind == "approved" else "rejected"
            answer = replace(
                known, phase=outcome, at=at, version=version, actor=payload.get("actor"), reason=payload.get("reason")
            )
            return replace(self, requests={**self.requests, seal: answer})
        return self


NOWHERE = TargetState()
"""The state of a target that a release was never built into nor asked for."""
