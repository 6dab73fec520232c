"""Whether `changed_only` leaves production as a full build would: releases of random edits, each made twice.

Two productions get the same releases of the same project and read the same sources. One builds only what changed, the
other all of `tag:deploy`; after every release their rows are compared, and those of staging too. Releases are rejected,
fail halfway and are rolled back, and sources get rows, also between staging's build and production's.

By hand: `python -m benchmarks.edited_releases --edits 100 --seed 1`. What fails is told with its seed.
"""

from __future__ import annotations

import argparse
import copy
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.embedded_releases import CATALOGS, EmbeddedReleases, Sources, reached_by_dbt
from benchmarks.generated_project import ROWS, UNSTABLE, Project
from benchmarks.random_edits import EDITS
from dbx_cd.errors import DbtFailed, DbxCdError
from dbx_cd.local.workspace import EmbeddedWorkspace
from dbx_cd.release.events import Release

MODELS = 12
EDITS_A_PROJECT = 10
ONLY_CHANGED = "changed_only: true"
_COLUMNS = ("id", "v")
_KEPT = (*_COLUMNS, "changed_at", "dbt_valid_from", "dbt_valid_to", "dbt_scd_id")
_STEPS = {"release": 70, "fails": 8, "rejected": 10, "rolled back": 12}


class Different(AssertionError):
    """What only changed is built of is not what a full build leaves."""


@dataclass
class EditedReleases:
    """One project, released again and again with `changed_only` and without.

    Args:
        workspace: with the catalogs of `CATALOGS`, or what `raw` is in.
        folder: where projects and artifacts go.
        seed: what the project and its edits are made of.
        say: told what was done, a line a step.
        policies: more policies, as YAML in one line.
        catalog: where sources are.
    """

    workspace: EmbeddedWorkspace
    folder: Path
    seed: int
    say: Callable[[str], None] = print
    policies: str = ""
    catalog: str = CATALOGS[-1]
    models: int = MODELS
    project: Project = field(init=False)
    _deployed: list[tuple[tuple[Release, Release], Project]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.project = Project.generated(models=self.models, seed=self.seed)
        self.project.raw = f"{self.catalog}.raw_{self.seed}"
        self.sources = Sources(self.workspace, self.project.raw)
        for name in self.project.sources:
            self.sources.land(name)
        self.changed, self.full = (
            EmbeddedReleases(
                self.workspace,
                self.folder / name,
                f"{name}_{self.seed}",
                "{" + ", ".join(filter(None, (own, self.policies))) + "}",
            )
            for name, own in (("changed", ONLY_CHANGED), ("full", ""))
        )

    def begin(self) -> None:
        """The first release, in which everything is new."""
        self._must(self._deploy(self.project)[0])
        self._take(self.project)
        self.say(f"seed {self.seed}: {len(self.project.models)} models are deployed")

    def step(self, number: int) -> None:
        """The next thing that happens.

        Raises:
            Different: rows differ, or one way fails where the other does not.
        """
        began = time.monotonic()
        kind = self.rng.choices([*_STEPS], [*_STEPS.values()])[0]
        told = {"release": self._edited, "fails": self._fails, "rejected": self._rejected}.get(
            kind, self._rolled_back
        )()
        self.say(f"seed {self.seed}, {number}: {kind}: {told} ({time.monotonic() - began:.0f} s)")

    def _edited(self) -> str:
        after, told = self._edit()
        built = self._release(after, lands=self.rng.random() < 0.15)
        return f"{told}; {built}"

    def _fails(self) -> str:
        """A table's statement fails in production, then the release is made again without that."""
        after, told = self._edit()
        broken = copy.deepcopy(after)
        tables = [m for m in broken.models.values() if m.materialized == "table" and m.tags and m.name not in UNSTABLE]
        failing = self.rng.choice(tables)
        failing.fails_in_prod = True
        outcomes = self._both(broken, lambda where, release: where.deployed(release))
        if any(not isinstance(outcome, DbtFailed) for outcome in outcomes):
            # A view over it may be all that reads it: then nothing is asked of it.
            raise Different(f"{failing.name} was to fail in production: {outcomes}")
        goes_on = after if self.rng.random() < 0.5 else self.project
        built = self._release(goes_on)
        return f"{failing.name} fails with {told}, which {'stays' if goes_on is after else 'goes again'}; {built}"

    def _rejected(self) -> str:
        """Staging has built what does not go on."""
        after, told = self._edit()
        self._must(self._both(after, lambda where, release: where.rejected(release)))
        again, more = self._edit()
        return f"{told}; then {more}; {self._release(again)}"

    def _rolled_back(self) -> str:
        """The last release is taken back, and its code goes, or is released again with another edit."""
        if not self._deployed:
            return self._edited()
        releases, before = self._deployed.pop()
        for where, release in zip((self.changed, self.full), releases, strict=True):
            where.rolled_back(release)
        self._compare("prod", before, "after the rollback")
        self._deployed.clear()
        if self.rng.random() < 0.5:
            self.project = before
        after, told = self._edit()
        return f"and {'also ' if self.project is before else ''}{told}; {self._release(after)}"

    def _edit(self) -> tuple[Project, str]:
        after = copy.deepcopy(self.project)
        names = self.rng.choices([*EDITS], k=self.rng.choice((1, 1, 1, 2)))
        told = [EDITS[name](after, self.rng) for name in names]
        if self.rng.random() < 0.2:
            told.append(self._land())
        return after, ", ".join(told)

    def _land(self) -> str:
        """New rows in a source, or another value of an old one."""
        name = self.rng.choice(self.project.sources)
        if self.rng.random() < 0.5:
            self.sources.change(name, self.rng.randrange(1, ROWS), self.rng.randrange(10_000))
            return f"a row of {name} changes"
        self.sources.land(name, count=3)
        return f"{name} gets rows"

    def _release(self, project: Project, *, lands: bool = False) -> str:
        """Release a project in both ways, and compare."""
        outcomes, built = self._deploy(project, lands=lands)
        refused = [outcome for outcome in outcomes if isinstance(outcome, DbxCdError)]
        if refused:
            if len(refused) == 1 or type(refused[0]) is not type(refused[1]):
                raise Different(f"one way is refused: {outcomes}")
            return f"refused in both ways: {refused[0]}"
        self._take(project)
        return f"{built[0]} of {built[1]} relations built"

    def _deploy(self, project: Project, *, lands: bool = False) -> tuple[list[Release | DbxCdError], list[int]]:
        """Deploy a project in both ways; what each comes to, and how many relations it builds in production."""
        built: list[int] = []

        def deploy(where: EmbeddedReleases, release: Release) -> None:
            if lands and where is self.changed:
                self._land()
            made = where.deployed(release)
            built.append(sum(n.unique_id.startswith(("model.", "seed.", "snapshot.")) for n in made.run.nodes))

        return self._both(project, deploy), built

    def _take(self, project: Project) -> None:
        """A project was deployed: compare, and go on from there."""
        self._compare("stg", project, "in staging")
        self._compare("prod", project, "in production")
        releases = tuple(where.cd().log.read().history[0][0] for where in (self.changed, self.full))
        self._deployed = [((releases[0], releases[1]), self.project)]
        self.project = project

    def _both(
        self, project: Project, then: Callable[[EmbeddedReleases, Release], object]
    ) -> list[Release | DbxCdError]:
        """Build staging in both ways, then go on in both; what each comes to."""
        outcomes: list[Release | DbxCdError] = []
        for where in (self.changed, self.full):
            where.write(project)
            try:
                outcomes.append(where.staged())
            except DbxCdError as exc:
                outcomes.append(exc)
        for n, where in enumerate((self.changed, self.full)):
            outcome = outcomes[n]
            if isinstance(outcome, Release):
                try:
                    then(where, outcome)
                except DbxCdError as exc:
                    outcomes[n] = exc
        return outcomes

    @staticmethod
    def _must(outcomes: Sequence[Release | DbxCdError]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, DbxCdError):
                raise Different(f"{outcome}") from outcome

    def _compare(self, target: str, project: Project, when: str) -> None:
        relations = _relations(project, only_deployed=target == "prod")
        changed, full = (where.rows(target, relations) for where in (self.changed, self.full))
        other = [
            f"{name}: {_difference(changed[name], full[name])}" for name in relations if changed[name] != full[name]
        ]
        if other:
            raise Different(f"seed {self.seed}, {when}: " + "; ".join(other))


def _relations(project: Project, *, only_deployed: bool) -> Mapping[str, Sequence[str]]:
    """The relations of a project that are compared, with their columns."""
    models = [
        m.name
        for m in project.models.values()
        if m.materialized != "ephemeral" and m.name not in UNSTABLE and (m.tags or not only_deployed)
    ]
    return {**dict.fromkeys((*models, *project.seeds), _COLUMNS), **dict.fromkeys(project.snapshots, _KEPT)}


def _difference(changed: list[tuple[object, ...]] | None, full: list[tuple[object, ...]] | None) -> str:
    if changed is None or full is None:
        return "is not there" if changed is None else "is there, and a full build has none"
    missing = [row for row in full if row not in changed]
    more = [row for row in changed if row not in full]
    return f"{len(missing)} rows missing, such as {missing[:2]}, and {len(more)} too many, such as {more[:2]}"


def check(
    workspace: EmbeddedWorkspace,
    folder: Path,
    *,
    edits: int,
    seed: int,
    policies: str = "",
    catalog: str = CATALOGS[-1],
) -> Iterator[str]:
    """Make edits, some to each project; what went wrong, with its seed."""
    for n in range(0, edits, EDITS_A_PROJECT):
        own = seed + n // EDITS_A_PROJECT
        try:
            releases = EditedReleases(workspace, folder / str(own), own, policies=policies, catalog=catalog)
            releases.begin()
            for number in range(1, min(EDITS_A_PROJECT, edits - n) + 1):
                releases.step(number)
        except Different as exc:
            yield f"seed {own}: {exc}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Make edits; 1 if something was different."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edits", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1, help="of the first project; each has ten edits")
    parser.add_argument("--policies", default="", help="more policies, such as `untagged_changes: build_in_prod`")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="dbx_cd_edits_") as folder:
        work = Path(folder)
        with EmbeddedWorkspace(work / "state", catalogs=CATALOGS) as workspace, reached_by_dbt(workspace):
            failed = list(check(workspace, work, edits=given.edits, seed=given.seed, policies=given.policies))
    for line in failed:
        print(f"DIFFERENT: {line}", flush=True)
    print(f"{given.edits} edits from seed {given.seed} on: {len(failed)} of the projects are different")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
