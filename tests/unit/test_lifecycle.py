"""The life of releases under attack: random interleavings of everything that can happen to them, and what must hold.

The real functions run on a log, tables, people and dbt in memory. A process may be killed before or after any event
that it writes, and anything may happen while another one is between two events. At every statement in production, and
after every step, the promises are checked.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, note, settings, strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

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
from memory.releases import OTHER_OWNER, OWNER, Releases, relation, smoke_of

ORDERS = relation("prod", "orders")
MODELS = ("customers", "orders", "payments")


class Killed(BaseException):
    """The process is gone; whatever it would do next, it does not."""


@dataclass
class Process:
    """What runs now: where it is killed, and what happens meanwhile."""

    kill: tuple[int, str] | None
    """Before or after which of its events it is killed, counted from 1."""
    meanwhile: Callable[[], None] | None = None
    """Something else, by another process."""
    at: int = 0
    """Before which of its events that happens, counted from 1."""
    written: int = 0
    """How many events it has tried to write."""
    is_dead: bool = False
    """Whether it was killed."""


@dataclass
class Deploy:
    """A deploy that runs now."""

    release: Release
    """The release."""
    has_begun: bool = False
    """Whether it has run a statement in production."""
    approved: dict[str, str] = field(default_factory=dict)
    """The models that were approved."""


@dataclass
class Known:
    """What this test knows of one release by itself, from what its actions returned."""

    release: Release
    """The release."""
    is_in_production: bool = False
    """Whether it was deployed and nothing took that back since."""
    smoke_failed: bool = False
    """Whether production's smoke test failed after that."""
    is_partly_back: bool = False
    """Whether a part of it was rolled back."""


PEOPLE = (OWNER, OTHER_OWNER)
MEANWHILE = ("", "", "deploy", "roll back", "reject", "build")
KILLS = st.one_of(st.none(), st.none(), st.none(), st.tuples(st.integers(1, 5), st.sampled_from(["before", "after"])))


class Lifecycle(RuleBasedStateMachine):
    """Releases of one project, by several processes and people."""

    releases = Bundle("releases")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory(prefix="dbx_cd-lifecycle-")
        self.world = Releases(Path(self._folder.name))
        self.world.dbt.before_statement = self._statement
        self.world.log_table.before_append = lambda rows: self._event(rows, "before")
        self.world.log_table.after_append = lambda rows: self._event(rows, "after")
        self.known: dict[str, Known] = {}
        self.processes: list[Process] = []
        self.deploys: list[Deploy] = []
        self.runs = 0
        self.versions = 0

    def teardown(self) -> None:
        self._folder.cleanup()

    # What can happen

    @rule(target=releases, kill=KILLS)
    def open(self, kill: tuple[int, str] | None) -> Release | None:
        self.runs += 1
        return self._open(str(self.runs), kill)

    @rule(target=releases, run=st.integers(1, 4), kill=KILLS)
    def open_again(self, run: int, kill: tuple[int, str] | None) -> Release | None:
        return self._open(str(min(run, self.runs)), kill) if self.runs else None

    @rule(release=releases, fails=st.sampled_from([None, None, None, "stg", "prod"]), kill=KILLS)
    def build(self, release: Release | None, fails: str | None, kill: tuple[int, str] | None) -> None:
        if release is None:
            return
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

    @rule(release=releases, ok=st.booleans(), where=st.sampled_from(["stg", "prod"]), kill=KILLS)
    def smoke(self, release: Release | None, ok: bool, where: str, kill: tuple[int, str] | None) -> None:
        if release is None:
            return
        before = len(self.world.log_table.rows())
        with self._process(kill):
            self.world.cd().log.append(release, smoke_of(release, ok=ok, target=where))
        known = self.known[release.id]
        if where == "prod" and len(self.world.log_table.rows()) > before:
            if known.is_in_production and not ok:
                known.is_in_production, known.smoke_failed = False, True
            elif known.smoke_failed and ok and not known.is_partly_back:
                known.is_in_production, known.smoke_failed = True, False

    @rule(release=releases, full_refresh=st.sampled_from([False, False, True]), kill=KILLS)
    def ask(self, release: Release | None, full_refresh: bool, kill: tuple[int, str] | None) -> None:
        if release is not None:
            with self._process(kill):
                self.world.ask(release, full_refresh=full_refresh)

    @rule(release=releases)
    def expire(self, release: Release | None) -> None:
        """Nobody decides for so long that the newest request is over."""
        request = self._request(release)
        if request is not None:
            late = replace(request, expires_at=datetime.now(UTC) - timedelta(seconds=1))
            self.world.cd().log.append(request.release, late)

    @rule(
        release=releases,
        who=st.sampled_from([OWNER, OTHER_OWNER]),
        yes=st.sampled_from([True, True, False]),
        kill=KILLS,
    )
    def decide(self, release: Release | None, who: str, yes: bool, kill: tuple[int, str] | None) -> None:
        request = self._request(release)
        if request is None:
            return
        with self._process(kill):
            if yes:
                approve(self.world.cd(who), request, seal=request.seal)
            else:
                reject(self.world.cd(who), request, reason="no")

    @rule(release=releases, fails=st.sampled_from([None, None, "prod"]), ships=st.booleans())
    def go_all_the_way(self, release: Release | None, fails: str | None, ships: bool) -> None:
        """What a release does on a good day, so that most of the attack is on releases that have come far."""
        self.build(release, fails, None)
        self.smoke(release, True, "stg", None)
        self.ask(release, False, None)
        self.decide(release, OWNER, True, None)
        if ships and release is not None:
            self._deploy(release, None)

    @rule(release=releases, other=releases, meanwhile=st.sampled_from(MEANWHILE), at=st.integers(1, 6), kill=KILLS)
    def deploy(
        self, release: Release | None, other: Release | None, meanwhile: str, at: int, kill: tuple[int, str] | None
    ) -> None:
        if release is None:
            return
        act = self._other(meanwhile, other)
        self._deploy(release, kill, act, at)

    @rule(release=releases, other=releases, part=st.booleans(), new_tables=st.sampled_from(["keep", "drop"]),
          discard=st.booleans(), meanwhile=st.sampled_from(["", "", "deploy", "roll back"]), at=st.integers(1, 4),
          kill=KILLS)  # fmt: skip
    def roll_back(
        self, release: Release | None, other: Release | None, part: bool, new_tables: str, discard: bool,
        meanwhile: str, at: int, kill: tuple[int, str] | None,
    ) -> None:  # fmt: skip
        if release is not None:
            act = self._other(meanwhile, other)
            self._roll_back(release, kill, act, at, part=part, new_tables=new_tables, discard=discard)

    @rule()
    def somebody_else_writes(self) -> None:
        if ORDERS.key in self.world.tables.relations:
            self.world.tables.insert(ORDERS, "somebody else")

    # What must be true

    @invariant()
    def last_good_is_the_newest_release_in_production(self) -> None:
        good = [k.release for k in self.known.values() if k.is_in_production and not k.is_partly_back]
        newest = max(good, key=self._order, default=None)
        try:
            found = self.world.cd().log.last_good("prod")
        except ReleaseError:
            found = None
        assert found == newest

    @invariant()
    def the_log_says_what_is_in_production(self) -> None:
        for known in self.known.values():
            state = self.world.cd().log.state(known.release)
            assert ("prod" in state.deployed_to) == known.is_in_production, (known, state)

    @invariant()
    def ids_and_runs_are_one_to_one(self) -> None:
        found = [r for r, _ in self.world.cd().log.history()]
        assert len({r.id for r in found}) == len({r.run_id for r in found}) == len(found)

    @invariant()
    def what_is_pending_can_still_be_decided(self) -> None:
        for request in pending_approvals(self.world.cd()):
            state = self.world.cd().log.state(request.release)
            assert not state.ended
            assert request.seal == self._request(request.release).seal  # type: ignore[union-attr]

    # How it is done

    def _open(self, run_id: str, kill: tuple[int, str] | None) -> Release | None:
        opened = None
        with self._process(kill):
            opened = self.world.open(run_id, commit=run_id * 40, requester="ci")
        for release, _ in self.world.cd().log.history():
            self.known.setdefault(release.id, Known(release))
        if opened is not None:
            for older, state in self.world.cd().log.read().before(opened):
                assert not state.undecided, f"{older} is overtaken by {opened}"
        return opened

    def _deploy(
        self, release: Release, kill: tuple[int, str] | None, meanwhile: Callable[[], None] | None = None, at: int = 0
    ) -> None:
        known = self.known[release.id]
        self.deploys.append(Deploy(release))
        before = self._kinds(release)
        try:
            with self._process(kill, meanwhile, at):
                build_release(self.world.cd(), release, target="prod")
        finally:
            deploy = self.deploys.pop()
        new = self._kinds(release)[len(before) :]
        if deploy.has_begun or "failed" in new:
            known.is_in_production = known.smoke_failed = False
        if "deployed" in new:
            known.is_in_production, known.smoke_failed, known.is_partly_back = True, False, False
            assert self.world.tables.rows(ORDERS) == [deploy.approved["orders"]]
        elif "deploying" in new and "claim_withdrawn" not in new:
            known.is_in_production = known.smoke_failed = False

    def _roll_back(
        self, release: Release, kill: tuple[int, str] | None, meanwhile: Callable[[], None] | None, at: int, *,
        part: bool, new_tables: str, discard: bool,
    ) -> None:  # fmt: skip
        known, cd = self.known[release.id], self.world.cd(OWNER)
        if any(d.release.id == release.id for d in self.deploys):
            discard = False  # a person says by it that no run of the release is left
        before = len(self._kinds(release))
        with self._process(kill, meanwhile, at):
            plan = plan_restore(cd, release, only=["orders"] if part else None, new_tables=new_tables)  # type: ignore[arg-type]
            result = restore(cd, plan, seal=plan.seal, discard_later_writes=discard)
            smoke_after_restore(cd, release, result)
        ended = [e for e in cd.log.events(release.id)[before:] if e.kind == "rolled_back"]
        for event in ended:
            if event.payload["complete"]:
                known.is_in_production = known.smoke_failed = known.is_partly_back = False
            elif not event.payload["withdrawn"]:
                known.is_partly_back = True

    def _other(self, action: str, release: Release | None) -> Callable[[], None] | None:
        """Something that another process does meanwhile; it is not killed."""
        if not action or release is None or self.processes:
            return None
        actions: dict[str, Callable[[], None]] = {
            "deploy": lambda: self._deploy(release, None),
            "roll back": lambda: self._roll_back(release, None, None, 0, part=False, new_tables="drop", discard=True),
            "reject": lambda: self.decide(release, OWNER, False, None),
            "build": lambda: self.build(release, None, None),
        }
        return actions[action]

    @contextmanager
    def _process(
        self, kill: tuple[int, str] | None, meanwhile: Callable[[], None] | None = None, at: int = 0
    ) -> Iterator[None]:
        self.processes.append(Process(kill, meanwhile, at))
        try:
            yield
        except Killed:
            note("killed")
        except DbxCdError as refused:
            note(f"refused: {refused}")
        finally:
            self.processes.pop()

    def _event(self, rows: Sequence[LogRow], when: str) -> None:
        if not self.processes:
            return
        process = self.processes[-1]
        if process.is_dead:
            raise Killed
        process.written += when == "before"
        if when == "before" and process.meanwhile is not None and process.written == process.at:
            act, process.meanwhile = process.meanwhile, None
            note(f"meanwhile, before {rows[0].kind}:")
            act()
        if process.kill == (process.written, when):
            process.is_dead = True
            raise Killed

    def _statement(self, target: str, _relation: RelationName) -> None:
        """The promises at every statement that changes production."""
        if target != "prod":
            return
        deploy = self.deploys[-1]
        deploy.has_begun = True
        release = deploy.release
        cd = self.world.cd()
        log = cd.log.read(release)
        state = log.state.of("prod")
        assert state.deployment == "deploying"
        assert not [d for d in self.deploys[:-1] if d.has_begun], "one deployer at a time"
        assert not unfinished(log.events), "no rollback is under way"
        points = [e for e in log.of(release.id, kinds=(RestorePoint.KIND,)) if e.version > state.claimed]
        assert points, "the restore point is in the log first"
        request = next(r for r in reversed(log.all(ApprovalRequest)) if r.target == "prod")
        decision = next(d for d in log.all(Decision) if d.seal == request.seal)
        assert decision.outcome == "approved", "nothing is built that was not approved"
        approved = cd.store.get("stg", request.state_timestamp)
        deploy.approved = {n.name: str(n.raw["raw_code"]) for n in approved.manifest().nodes.values()}
        assert self.world.dbt.models == deploy.approved, "what is built is what was approved"
        newer = [s.of("prod").deployment for _, s in log.after(release)]
        assert not {"deployed", "failed"} & set(newer), "an older release does not overwrite a newer one"

    def _request(self, release: Release | None) -> ApprovalRequest | None:
        return None if release is None else self.world.cd().log.last(release, ApprovalRequest)

    def _kinds(self, release: Release) -> list[str]:
        return [e.kind for e in self.world.cd().log.events(release.id)]

    def _order(self, release: Release) -> int:
        return [r.id for r, _ in self.world.cd().log.history()][::-1].index(release.id)


def attack(*, examples: int, steps: int, derandomize: bool, shrinks: bool = False) -> None:
    run_state_machine_as_test(
        Lifecycle,
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


def test_no_interleaving_breaks_a_promise() -> None:
    attack(examples=60, steps=30, derandomize=True)


@pytest.mark.deep
def test_no_interleaving_of_many_breaks_a_promise() -> None:
    attack(examples=1000, steps=50, derandomize=False, shrinks=True)
