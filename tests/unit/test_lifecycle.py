"""The life of releases under attack: random interleavings of everything that can happen to them, and what must hold.

The real functions run on a log, tables, people and dbt in memory. A process may be killed before or after any event
that it writes, and anything may happen while another one is between two events. At every statement in production, and
after every step, the promises are checked.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import HealthCheck, Phase, note, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from dbx_cd import (
    ApprovalRequest,
    DbxCdError,
    Decision,
    Release,
    ReleaseError,
    RestorePoint,
    approve,
    build_release,
    pending_approvals,
    plan_restore,
    reject,
    restore,
    smoke_after_restore,
)
from dbx_cd.delta.log_table import LogRow
from dbx_cd.relations import RelationName
from dbx_cd.rollback.journal import unfinished
from memory.releases import BOT, OTHER_OWNER, OWNER, Releases, relation

ORDERS = relation("prod", "orders")
MODELS = ("customers", "orders", "payments")


Kill = tuple[int, str] | None
NewTables = Literal["keep", "drop"]


class Killed(BaseException):
    """The process is gone; whatever it would do next, it does not."""


@dataclass
class Process:
    """What runs now: where it is killed, and what happens meanwhile."""

    kill: Kill
    """Before or after which of its events it is killed, counted from 1."""
    meanwhile: Callable[[], None] | None = None
    """Something else, by another process."""
    at: int = 0
    """At which of its looks at the log and events that happens, counted from 1."""
    points: int = 0
    """How many of those there were."""
    written: int = 0
    """How many events it has tried to write."""
    is_dead: bool = False
    """Whether it was killed."""


@dataclass
class Deploy:
    """A deploy that runs now."""

    release: Release
    """The release."""
    target: str
    """The gated target."""
    has_begun: bool = False
    """Whether it has run a statement there."""
    approved: dict[str, str] = field(default_factory=dict)
    """The models that were approved."""


@dataclass(frozen=True)
class Known:
    """What this test knows by itself of one release in one gated target, called production here."""

    is_in_production: bool = False
    """Whether it was deployed and nothing took that back since."""
    smoke_failed: bool = False
    """Whether production's smoke test failed after that."""
    is_partly_back: bool = False
    """Whether a part of it was rolled back."""
    artifacts: str = ""
    """The version of its last build, well or not."""
    before_claim: Known | None = None
    """What was known before its last claim."""

    def after(self, kind: str, payload: Mapping[str, Any]) -> Known:
        """What is true after an event about that target; what a restore did is taken from its own record."""
        if kind == "smoked" and self.artifacts and payload["artifacts"] not in ("", self.artifacts):
            return self
        match kind:
            case "built":
                return replace(self, artifacts=payload["timestamp"])
            case "deploying":
                return replace(self, is_in_production=False, smoke_failed=False, before_claim=self)
            case "claim_withdrawn":
                return self.before_claim or self
            case "deployed":
                return Known(is_in_production=True, artifacts=self.artifacts)
            case "failed":
                return replace(self, is_in_production=False, smoke_failed=False, before_claim=None)
            case "smoked" if self.before_claim is not None:
                return replace(self, before_claim=self.before_claim.after(kind, payload))
            case "smoked" if self.is_in_production and not payload["ok"]:
                return replace(self, is_in_production=False, smoke_failed=True)
            case "smoked" if self.smoke_failed and payload["ok"] and not self.is_partly_back:
                return replace(self, is_in_production=True, smoke_failed=False)
            case "rolled_back" if payload["complete"]:
                return Known(artifacts=self.artifacts)
            case "rolled_back" if not payload["withdrawn"]:
                is_over = payload["of_all"] and payload["ok"]  # a deploy that was killed
                partly = self.is_partly_back or payload["brought_back"]
                before = None if is_over or self.before_claim is None else self.before_claim.after(kind, payload)
                return replace(self, is_partly_back=partly, before_claim=before)
            case "restored_relation" if payload["action"] in ("restore", "recreate_view", "drop", "undrop"):
                before = None if self.before_claim is None else self.before_claim.after(kind, payload)
                return replace(self, is_partly_back=True, before_claim=before)
        return self


PICK = st.sampled_from([0, 0, 1, 1, 2, 3])
MEANWHILE = ("", "", "deploy", "roll back", "reject", "build", "ask", "smoke", "ask again and reject")
KILLS = st.one_of(st.none(), st.none(), st.none(), st.tuples(st.integers(1, 5), st.sampled_from(["before", "after"])))


class Lifecycle(RuleBasedStateMachine):
    """Releases of one project, by several processes and people."""

    GATES: ClassVar[tuple[str, ...]] = ("prod",)
    """The gated targets in their order."""
    SETTINGS: ClassVar[str] = ""
    """More of `dbx_cd.yml`."""
    seen: ClassVar[Counter[str]] = Counter()
    """What has happened in all examples: an attack in which nothing gets far would show nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="dbx_cd-lifecycle-")
        self.world = Releases(Path(self._folder.name), self.SETTINGS)
        self.world.dbt.before_statement = self._statement
        self.world.log_table.before_append = lambda rows: self._event(rows, "before")
        self.world.log_table.after_append = lambda rows: self._event(rows, "after")
        self.world.log_table.after_read = self._point
        self.known: dict[tuple[str, str], Known] = defaultdict(Known)
        """By gated target and release."""
        self.at_claim: dict[tuple[str, str], list[Known]] = {}
        """What was known of the targets before when a release claimed one."""
        self.undone: set[tuple[str, str]] = set()
        """The targets in which all of a release was brought back."""
        self.processes: list[Process] = []
        self.deploys: list[Deploy] = []
        self.runs = 0
        self.versions = 0

    def teardown(self) -> None:
        self._folder.cleanup()

    # What can happen

    @initialize(ships=st.booleans())
    def first(self, ships: bool) -> None:
        self.open(None)
        self.go_all_the_way(0, None, ships)
        assert self.known["prod", self._picked(0).id].is_in_production == ships

    @rule(kill=KILLS)
    def open(self, kill: Kill) -> None:
        self.runs += 1
        self._open(str(self.runs), kill)

    @rule(pick=PICK, kill=KILLS)
    def open_again(self, pick: int, kill: Kill) -> None:
        """The first task of a run is repaired, also of a run that was killed before it had a release."""
        self._open(str(max(1, self.runs - pick)), kill)

    @rule(pick=PICK, fails=st.sampled_from([None, None, None, "stg", "prod"]), kill=KILLS)
    def build(self, pick: int, fails: str | None, kill: Kill) -> None:
        self._build(self._picked(pick), fails, kill)

    @rule(pick=PICK, ok=st.booleans(), where=st.sampled_from(["stg", "prod", "prod"]), kill=KILLS)
    def smoke(self, pick: int, ok: bool, where: str, kill: Kill) -> None:
        self._smoke(self._picked(pick), ok, where, kill)

    @rule(pick=PICK, full_refresh=st.sampled_from([False, False, True]), kill=KILLS)
    def ask(self, pick: int, full_refresh: bool, kill: Kill) -> None:
        self._ask(self._picked(pick), full_refresh=full_refresh, kill=kill)

    @rule(pick=PICK)
    def expire(self, pick: int) -> None:
        """Nobody decides for so long that the newest request is over."""
        request = self._request(self._picked(pick))
        if request is not None:
            late = replace(request, expires_at=datetime.now(UTC) - timedelta(seconds=1))
            self.world.cd().log.append(request.release, late)

    @rule(pick=PICK, who=st.sampled_from([OWNER, OTHER_OWNER]), yes=st.booleans(), kill=KILLS)
    def decide(self, pick: int, who: str, yes: bool, kill: Kill) -> None:
        self._decide(self._picked(pick), who, yes, kill)

    @rule(pick=PICK, fails=st.sampled_from([None, None, "prod"]), ships=st.booleans())
    def go_all_the_way(self, pick: int, fails: str | None, ships: bool) -> None:
        """What a release does on a good day, so that most of the attack is on releases that have come far."""
        release = self._picked(pick)
        self._build(release, fails, None)
        self._smoke(release, True, "stg", None)
        for gate in self.GATES[:-1]:
            self._promote(release, gate)
        self._ask(release)
        self._decide(release, OWNER, True, None)
        if ships:
            self._deploy(release, None)

    @rule(fails=st.sampled_from([None, None, "prod"]), ships=st.booleans())
    def next_release(self, fails: str | None, ships: bool) -> None:
        self.open(None)
        self.go_all_the_way(0, fails, ships)

    @rule(pick=PICK, other=PICK, meanwhile=st.sampled_from(MEANWHILE), at=st.integers(1, 9), kill=KILLS)
    def deploy(self, pick: int, other: int, meanwhile: str, at: int, kill: Kill) -> None:
        self._deploy(self._picked(pick), kill, self._other(meanwhile, self._picked(other)), at)

    @rule(pick=PICK, other=PICK, part=st.sampled_from(["", "", "only", "skip"]),
          new_tables=st.sampled_from(["keep", "drop"]),
          discard=st.booleans(), meanwhile=st.sampled_from(["", "", "deploy", "roll back"]), at=st.integers(1, 8),
          kill=KILLS)  # fmt: skip
    def roll_back(
        self,
        pick: int,
        other: int,
        part: str,
        new_tables: NewTables,
        discard: bool,
        meanwhile: str,
        at: int,
        kill: Kill,
    ) -> None:
        act = self._other(meanwhile, self._picked(other))
        release = self._picked(pick)
        self._roll_back(release, kill, act, at, part=part, new_tables=new_tables, discard=discard)

    @rule(pick=PICK, at=st.integers(2, 4))
    def give_back(self, pick: int, at: int) -> None:
        """A deploy is killed, and all is brought back but one table."""
        release = self._picked(pick)
        self._deploy(release, (at, "before"))
        self._roll_back(release, None, None, 0, part="skip", new_tables="keep", discard=True)

    @rule()
    def somebody_else_writes(self) -> None:
        if ORDERS.key in self.world.tables.relations:
            self.world.tables.insert(ORDERS, "somebody else")

    # What must be true

    @invariant()
    def the_log_says_what_is_true(self) -> None:
        history = self.world.cd().log.history().rows
        releases = [release for release, _ in history]
        assert len({r.id for r in releases}) == len({r.run_id for r in releases}) == len(releases)
        for gate in self.GATES:
            for release, state in history:
                known = self.known[gate, release.id]
                assert (gate in state.deployed_to) == known.is_in_production, (known, state)
                assert (state.of(gate).deployment == "deploying") == (known.before_claim is not None), (known, state)
            good = [r for r in releases if self._is_in_place(gate, r)]
            try:
                last_good = self.world.cd().log.last_good(gate)
            except ReleaseError:
                last_good = None
            assert last_good == (good[0] if good else None), "the newest release in production is the last good one"
            builds = [version for version in self.world.cd().store.list(gate) if version.is_deployable]
            gone = [v for v in builds if (gate, v.release_id) in self.undone]
            self.seen["left_behind"] += bool(gone)
            assert not [v for v in gone if v.is_latest], "latest names what is in place"
        for release, state in history:
            in_place = [gate for gate in self.GATES if self._is_in_place(gate, release)]
            if in_place:
                assert state.phase not in ("superseded", "rolled_back"), f"{release} is in {in_place}"

    @invariant()
    def what_is_pending_can_still_be_decided(self) -> None:
        for request in pending_approvals(self.world.cd()):
            assert not self.world.cd().log.state(request.release).ended
            assert request == self._request(request.release, request.target)

    # How it is done

    def _picked(self, pick: int) -> Release:
        """A release, counted from the newest."""
        history = self.world.cd().log.history().rows
        return history[min(pick, len(history) - 1)][0]

    def _open(self, run_id: str, kill: Kill) -> None:
        opened = None
        with self._process(kill):
            opened = self.world.open(run_id, commit=run_id[0] * 40, requester="ci")
        if opened is not None:
            for older, state in self.world.cd().log.read().before(opened):
                assert not state.undecided, f"{older} is overtaken by {opened}"

    def _build(self, release: Release, fails: str | None, kill: Kill) -> None:
        """The staging build of a checkout that nobody has built yet."""
        self.versions += 1
        texts = dict.fromkeys(MODELS[:2], f"select {self.versions} as id")
        if fails:
            texts["payments"] = f"fails in {fails}"
        for name in MODELS:
            (self.world.project / "models" / f"{name}.sql").unlink(missing_ok=True)
        for name, text in texts.items():
            self.world.model(name, text)
        with self._process(kill):
            self.world.build(release)

    def _smoke(self, release: Release, ok: bool, where: str, kill: Kill) -> None:
        with self._process(kill):
            self.world.smoke(release, ok=ok, target=where)

    def _ask(self, release: Release, *, full_refresh: bool = False, kill: Kill = None, target: str = "prod") -> None:
        with self._process(kill):
            self.world.ask(release, target=target, full_refresh=full_refresh)

    def _promote(self, release: Release, gate: str) -> None:
        """What a release does on a good day in a gated target before production."""
        self._ask(release, target=gate)
        self._decide(release, OWNER, True, None, target=gate)
        self._deploy(release, None, target=gate)
        self._smoke(release, True, gate, None)

    def _decide(self, release: Release, who: str, yes: bool, kill: Kill, *, target: str = "prod") -> None:
        request = self._request(release, target)
        if request is not None:
            with self._process(kill):
                if yes:
                    approve(self.world.cd(who), request, seal=request.seal)
                else:
                    reject(self.world.cd(who), request, reason="no")

    def _deploy(
        self,
        release: Release,
        kill: Kill,
        meanwhile: Callable[[], None] | None = None,
        at: int = 0,
        *,
        target: str = "prod",
    ) -> None:
        self.deploys.append(Deploy(release, target))
        try:
            with self._process(kill, meanwhile, at):
                build_release(self.world.cd(), release, target=target)
                assert self.world.tables.rows(relation(target, "orders")) == [self.deploys[-1].approved["orders"]]
        finally:
            self.deploys.pop()

    def _roll_back(
        self, release: Release, kill: Kill, meanwhile: Callable[[], None] | None, at: int, *,
        part: str, new_tables: NewTables, discard: bool, target: str = "prod",
    ) -> None:  # fmt: skip
        cd = self.world.cd(OWNER)
        if self._is_deploying(release):
            discard = False  # a person says by it that no run of the release is left
        with self._process(kill, meanwhile, at):
            parts = {part: ["orders"]} if part else {}
            named = None if len(self.GATES) == 1 else target
            plan = plan_restore(cd, release, target=named, new_tables=new_tables, **parts)
            result = restore(cd, plan, seal=plan.seal, discard_later_writes=discard)
            smoke_after_restore(cd, release, result)

    def _other(self, action: str, release: Release) -> Callable[[], None] | None:
        """Something that another process does meanwhile; it is not killed."""
        if not action:
            return None
        actions: dict[str, Callable[[], None]] = {
            # Not of the release that is being deployed: Databricks Jobs repairs a run only when it has ended.
            "deploy": lambda: None if self._is_deploying(release) else self._deploy(release, None),
            "roll back": lambda: self._roll_back(release, None, None, 0, part="", new_tables="drop", discard=True),
            "reject": lambda: self._decide(release, OWNER, False, None),
            "build": lambda: self._build(release, None, None),
            "smoke": lambda: self._smoke(release, False, "prod", None),
            "ask": lambda: self._ask(release, full_refresh=True),
            "ask again and reject": lambda: (
                self._ask(release, full_refresh=True),
                self._decide(release, OWNER, False, None),
            ),
        }
        return actions[action]

    @contextmanager
    def _process(self, kill: Kill, meanwhile: Callable[[], None] | None = None, at: int = 0) -> Iterator[None]:
        self.processes.append(Process(kill, meanwhile, at))
        try:
            yield
        except Killed:
            self.seen["killed"] += 1
            note("killed")
        except DbxCdError as refused:
            note(f"refused: {refused}")
        finally:
            self.processes.pop()

    def _event(self, rows: Sequence[LogRow], when: str) -> None:
        if when == "after":
            self.seen.update(row.kind for row in rows)
            for row in rows:
                payload = json.loads(row.payload or "{}")
                for n, gate in enumerate(self.GATES):
                    if (payload.get("target") or gate) == gate:
                        self._known(gate, row, payload, first=self.GATES[:n])
        if not self.processes:
            return
        process = self.processes[-1]
        if process.is_dead:
            raise Killed
        if when == "before":
            process.written += 1
            self._point()
        if process.kill == (process.written, when):
            process.is_dead = True
            raise Killed

    def _known(self, gate: str, row: LogRow, payload: Mapping[str, Any], *, first: Sequence[str]) -> None:
        if row.kind == "smoked" and row.actor != BOT:
            return  # the smoke test after a person's rollback lets nothing on
        key = gate, row.release_id
        before = self.known[key]
        self.known[key] = after = before.after(row.kind, payload)
        if row.kind == "deploying":
            self.at_claim[key] = [self.known[earlier, row.release_id] for earlier in first]
        if row.kind == "rolled_back" and payload["complete"]:
            self.undone.add(key)
        elif row.kind == "rolled_back" and before.before_claim is not None:
            self.seen["given_back"] += after.before_claim is None

    def _point(self) -> None:
        """Between any look at the log and what follows, and before any event, something else may happen."""
        if not self.processes or self.processes[-1].meanwhile is None:
            return
        process = self.processes[-1]
        process.points += 1
        if process.points == process.at:
            act, process.meanwhile = process.meanwhile, None
            self.seen["meanwhile"] += 1
            note("meanwhile:")
            assert act is not None
            act()

    def _statement(self, target: str, _relation: RelationName) -> None:
        """The promises at every statement that changes a gated target."""
        if target not in self.GATES:
            return
        process = self.processes[-1]
        meanwhile, process.meanwhile = process.meanwhile, None  # nothing happens while this looks
        self._check(self.deploys[-1])
        process.meanwhile = meanwhile

    def _check(self, deploy: Deploy) -> None:
        deploy.has_begun = True
        release, target = deploy.release, deploy.target
        cd = self.world.cd()
        log = cd.log.read(release)
        state = log.state.of(target)
        assert state.deployment == "deploying"
        others = [d for d in self.deploys[:-1] if d.has_begun and d.target == target]
        assert not others, "one deployer at a time"
        assert not unfinished(log.events, target=target), "no rollback is under way"
        for known in self.at_claim[target, release.id]:
            assert known.is_in_production and not known.is_partly_back, "it is in place in every target before"  # noqa: PT018
        for gate in self.GATES[: self.GATES.index(target)]:
            assert release.id not in unfinished(log.events, target=gate), "it is not being taken from one before"
        points = [
            e
            for e in log.of(release.id, kinds=(RestorePoint.KIND,))
            if e.version > state.claimed and e.payload["target"] == target
        ]
        assert points, "the restore point is in the log first"
        # Who answers between the deploy's last look, after its claim, and its first statement answers too late.
        claimed = max(e.version for e in log.of(release.id, kinds=("deploying",)) if e.payload["target"] == target)
        then = replace(log, events=tuple(e for e in log.events if e.version < claimed))
        request = next(r for r in reversed(then.all(ApprovalRequest)) if r.target == target)
        decision = next(d for d in then.all(Decision) if d.seal == request.seal)
        assert decision.outcome == "approved", "nothing is built that was not approved"
        rejected = [d for d in then.all(Decision) if d.outcome == "rejected"]
        assert request.seal not in {d.seal for d in rejected}, "what was rejected is not built"
        approved = cd.store.get("stg", request.state_timestamp)
        deploy.approved = {n.name: str(n.raw["raw_code"]) for n in approved.manifest().nodes.values()}
        assert self.world.dbt.models == deploy.approved, "what is built is what was approved"
        built = [
            e.version for e in log.of(release.id, kinds=("built",)) if e.payload["timestamp"] == approved.timestamp
        ]
        smoked = [e for e in log.of(release.id, kinds=("smoked",)) if e.payload["target"] == "stg"]
        tested = [e.version for e in smoked if e.payload["artifacts"] == approved.timestamp]
        asked = [
            e.version for e in log.of(release.id, kinds=("approval_requested",)) if e.payload["seal"] == request.seal
        ]
        assert any(built[0] < v < asked[-1] for v in tested), "what is built was smoke-tested"
        newer = [s.of(target).deployment for _, s in log.after(release)]
        assert not {"deployed", "failed"} & set(newer), "an older release does not overwrite a newer one"

    def _request(self, release: Release, target: str = "prod") -> ApprovalRequest | None:
        asked = self.world.cd().log.all(release, ApprovalRequest)
        return next((request for request in reversed(asked) if request.target == target), None)

    def _is_in_place(self, gate: str, release: Release) -> bool:
        known = self.known[gate, release.id]
        return known.is_in_production and not known.is_partly_back

    def _is_deploying(self, release: Release) -> bool:
        return any(d.release.id == release.id for d in self.deploys)


class TwoGates(Lifecycle):
    """The same with a gated target before production, in which anything may happen as well."""

    GATES = ("uat", "prod")
    SETTINGS = "targets: {stg: {}, uat: {gate: approval, defer_to: stg}, prod: {gate: approval, defer_to: stg}}"
    seen: ClassVar[Counter[str]] = Counter()

    @rule(pick=PICK)
    def promote(self, pick: int) -> None:
        self._promote(self._picked(pick), "uat")

    @rule(pick=PICK, ok=st.booleans(), kill=KILLS)
    def smoke_first(self, pick: int, ok: bool, kill: Kill) -> None:
        self._smoke(self._picked(pick), ok, "uat", kill)

    @rule(pick=PICK, yes=st.booleans(), kill=KILLS)
    def decide_first(self, pick: int, yes: bool, kill: Kill) -> None:
        self._decide(self._picked(pick), OWNER, yes, kill, target="uat")

    @rule(pick=PICK, other=PICK, meanwhile=st.sampled_from(["", "promote", "roll back", "smoke"]), at=st.integers(1, 9),
          kill=KILLS)  # fmt: skip
    def deploy_while_the_first_changes(self, pick: int, other: int, meanwhile: str, at: int, kill: Kill) -> None:
        self._deploy(self._picked(pick), kill, self._in_first(meanwhile, self._picked(other)), at)

    @rule(pick=PICK, other=PICK, meanwhile=st.sampled_from(["", "deploy", "roll back"]), at=st.integers(1, 9),
          kill=KILLS)  # fmt: skip
    def deploy_to_the_first(self, pick: int, other: int, meanwhile: str, at: int, kill: Kill) -> None:
        act = self._other(meanwhile, self._picked(other))
        self._deploy(self._picked(pick), kill, act, at, target="uat")

    @rule(pick=PICK, other=PICK, part=st.sampled_from(["", "", "only", "skip"]), discard=st.booleans(),
          meanwhile=st.sampled_from(["", "", "deploy", "roll back"]), at=st.integers(1, 8), kill=KILLS)  # fmt: skip
    def roll_back_the_first(
        self, pick: int, other: int, part: str, discard: bool, meanwhile: str, at: int, kill: Kill
    ) -> None:
        act = self._other(meanwhile, self._picked(other))
        release = self._picked(pick)
        self._roll_back(release, kill, act, at, part=part, new_tables="drop", discard=discard, target="uat")

    def _in_first(self, action: str, release: Release) -> Callable[[], None] | None:
        actions: dict[str, Callable[[], None]] = {
            "promote": lambda: None if self._is_deploying(release) else self._promote(release, "uat"),
            "roll back": lambda: self._roll_back(
                release, None, None, 0, part="", new_tables="drop", discard=True, target="uat"
            ),
            "smoke": lambda: self._smoke(release, False, "uat", None),
        }
        return actions.get(action)


def attack(
    machine: type[Lifecycle] = Lifecycle, *, examples: int, steps: int, derandomize: bool, shrinks: bool = False
) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            derandomize=derandomize,
            deadline=None,
            database=None,
            print_blob=True,
            phases=[Phase.generate, *([Phase.shrink] if shrinks else [])],
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )


EVERYTHING = (
    "superseded approved rejected deploying claim_withdrawn deployed failed smoked rolled_back restored_relation "
    "killed meanwhile given_back left_behind"
)


def test_no_interleaving_breaks_a_promise() -> None:
    Lifecycle.seen.clear()
    attack(examples=50, steps=25, derandomize=True)
    assert [what for what in EVERYTHING.split() if not Lifecycle.seen[what]] == [], "the attack reaches everything"


def test_no_interleaving_in_two_gated_targets_breaks_a_promise() -> None:
    TwoGates.seen.clear()
    attack(TwoGates, examples=25, steps=25, derandomize=True)
    # The rest takes more examples; `test_no_interleaving_of_many_breaks_a_promise` has them.
    reached = set(EVERYTHING.split()) - {"rejected", "claim_withdrawn"}
    assert [what for what in sorted(reached) if not TwoGates.seen[what]] == [], "the attack reaches this much"


@pytest.mark.deep
@pytest.mark.parametrize("machine", [Lifecycle, TwoGates])
def test_no_interleaving_of_many_breaks_a_promise(machine: type[Lifecycle]) -> None:
    attack(machine, examples=300, steps=40, derandomize=False, shrinks=True)
