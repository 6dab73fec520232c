"""Whether `changed_only` leaves production as a full build would: releases of random edits of generated projects.

After every release the rows of production and of staging are compared with what full builds leave: computed from the
project's parts (`benchmarks.full_build`), and, where that is asked for, also made by releases without the policy in
catalogs' schemas of their own. Releases are rejected, fail halfway and are rolled back, sources get rows, also between
staging's build and production's, and somebody else writes to what was built.

By hand: `python -m benchmarks.edited_releases --edits 100 --seed 1`. What fails is told with its seed.
"""

from __future__ import annotations

import argparse
import copy
import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.compared_rows import Different, differences, expressions
from benchmarks.embedded_releases import CATALOGS, EmbeddedReleases, Sources, reached_by_dbt, relations_built
from benchmarks.full_build import FullBuilds, Key, Relation, Table
from benchmarks.generated_project import ROWS, UNSTABLE, Project
from benchmarks.random_edits import EDITS
from dbx_cd.errors import DbtFailed, DbxCdError
from dbx_cd.local.workspace import EmbeddedWorkspace
from dbx_cd.release.events import Release

MODELS = 12
EDITS_A_PROJECT = 10
ONLY_CHANGED = "changed_only: true"
_STEPS = {"release": 62, "fails": 8, "rejected": 10, "rolled back": 12, "written to": 8}


@dataclass
class EditedReleases:
    """One project, released again and again with `changed_only`.

    Args:
        workspace: with the catalogs of `CATALOGS`, or what `raw` is in.
        folder: where projects and artifacts go.
        seed: what the project and its edits are made of.
        also_full: whether each release is made without `changed_only` as well, and all are compared.
        say: told what was done, a line a step.
        policies: more policies, as YAML in one line; what they leave is known from full releases alone.
        catalog: where sources are.
    """

    workspace: EmbeddedWorkspace
    folder: Path
    seed: int
    also_full: bool = False
    say: Callable[[str], None] = print
    policies: str = ""
    catalog: str = CATALOGS[-1]
    models: int = MODELS
    project: Project = field(init=False)
    _staged: list[Release] = field(default_factory=list)
    _deployed: tuple[list[Release], Project, dict[Key, Relation]] | None = None

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.project = Project.generated(models=self.models, seed=self.seed)
        self.project.raw = f"{self.catalog}.raw_{self.seed}"
        self.sources = Sources(self.workspace, self.project.raw)
        for name in self.project.sources:
            self.sources.land(name)
        self.expected = FullBuilds(self.sources.landed)
        of = {"changed": ONLY_CHANGED, "full": ""} if self.also_full or self.policies else {"changed": ONLY_CHANGED}
        self.ways = [
            EmbeddedReleases(
                self.workspace,
                self.folder / name,
                f"{name}_{self.seed}",
                "{" + ", ".join(filter(None, (own, self.policies))) + "}",
            )
            for name, own in of.items()
        ]

    def begin(self) -> None:
        """The first release, in which everything is new."""
        told = self._release(self.project)
        self.say(f"seed {self.seed}: {told}")

    def step(self, number: int) -> None:
        """The next thing that happens.

        Raises:
            Different: rows differ, or one way fails where the other does not.
        """
        began = time.monotonic()
        kind = self.rng.choices([*_STEPS], [*_STEPS.values()])[0]
        steps = {
            "release": self._edited,
            "fails": self._fails,
            "rejected": self._rejected,
            "rolled back": self._rolled_back,
            "written to": self._written_to,
        }
        told = steps[kind]()
        self.say(f"seed {self.seed}, {number}: {kind}: {told} ({time.monotonic() - began:.0f} s)")

    def _edited(self) -> str:
        after, told = self._edit()
        return f"{told}; {self._release(after, lands=self.rng.random() < 0.15)}"

    def _fails(self) -> str:
        """A table's statement fails in production, then the release is made again without that."""
        after, told = self._edit()
        broken = copy.deepcopy(after)
        tables = [m for m in broken.models.values() if m.materialized == "table" and m.tags and m.name not in UNSTABLE]
        failing = self.rng.choice(tables)
        failing.fails_in_prod = True
        self._stage(broken)
        outcomes = self._in_production(broken, lambda where, release: where.deployed(release))
        if any(not isinstance(outcome, DbtFailed) for outcome in outcomes):
            raise Different(f"{failing.name} was to fail in production: {outcomes}")
        goes_on = after if self.rng.random() < 0.5 else self.project
        built = self._release(goes_on)
        return f"{failing.name} fails with {told}, which {'stays' if goes_on is after else 'goes again'}; {built}"

    def _rejected(self) -> str:
        """Staging has built what does not go on."""
        after, told = self._edit()
        for where, release in zip(self.ways, self._stage(after), strict=True):
            where.rejected(release)
        again, more = self._edit()
        return f"{told}; then {more}; {self._release(again)}"

    def _rolled_back(self) -> str:
        """The last release is taken back, and its code goes, or is released again with another edit."""
        if self._deployed is None:
            return self._edited()
        (releases, before, relations), self._deployed = self._deployed, None
        blocked = {where.rolled_back(release) for where, release in zip(self.ways, releases, strict=True)}
        names = {name.rpartition(".")[2] for found in blocked for name in found}
        if names:
            if any(not found for found in blocked):
                raise Different(f"one way cannot be rolled back: {blocked}")
            return f"refused for {', '.join(sorted(names))}; {self._edited()}"
        kept = {key: relation for key, relation in self.expected.relations.items() if key[0] != "prod"}
        self.expected.relations = kept | {key: r for key, r in relations.items() if key[0] == "prod"}
        self._compare("prod", before, "after the rollback")
        if self.rng.random() < 0.5:
            self.project = before
        after, told = self._edit()
        return f"and {'also ' if self.project is before else ''}{told}; {self._release(after)}"

    def _written_to(self) -> str:
        """Somebody else changes rows of a table that a build of all makes anew."""
        models = self.project.models
        tables = [
            (target, name)
            for (target, name), relation in self.expected.relations.items()
            if isinstance(relation, Table) and name in models and models[name].materialized == "table"
        ]
        target, name = self.rng.choice(tables)
        for where in self.ways:
            where.write_to(target, name)
        self.expected.write_to(target, name)
        after, told = self._edit() if self.rng.random() < 0.5 else (self.project, "no edit")
        return f"{target}.{name}, and {told}; {self._release(after)}"

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
        """Release a project, and compare."""
        self._stage(project)
        if lands:
            self._land()
        built: list[int] = []

        def deploy(where: EmbeddedReleases, release: Release) -> None:
            built.append(relations_built(where.deployed(release)))

        before = dict(self.expected.relations)
        outcomes = self._in_production(project, deploy)
        refused = [outcome for outcome in outcomes if isinstance(outcome, DbxCdError)]
        if refused:
            raise Different(f"seed {self.seed}: {refused[0]}") from refused[0]
        self._compare("stg", project, "in staging")
        self._compare("prod", project, "in production")
        self._deployed = ([r for r in outcomes if isinstance(r, Release)], self.project, before)
        self.project = project
        of = len(expressions(project, only_deployed=True)) + len(UNSTABLE)
        return f"{built[0]} of {of} relations built"

    def _stage(self, project: Project) -> list[Release]:
        """Build staging in every way."""
        for where in self.ways:
            where.write(project)
        self._staged = [where.staged() for where in self.ways]
        self.expected.build(project, "stg")
        return self._staged

    def _in_production(
        self, project: Project, then: Callable[[EmbeddedReleases, Release], object]
    ) -> list[Release | DbxCdError]:
        """Go on with what staging has built, in every way; what each comes to."""
        outcomes: list[Release | DbxCdError] = []
        for where, release in zip(self.ways, self._staged, strict=True):
            try:
                then(where, release)
                outcomes.append(release)
            except DbxCdError as exc:
                outcomes.append(exc)
        self.expected.build(project, "prod")
        return outcomes

    def _compare(self, target: str, project: Project, when: str) -> None:
        relations = expressions(project, only_deployed=target == "prod")
        found = [where.rows(target, relations) for where in self.ways]
        if not self.policies:
            found.append({name: self.expected.rows(target, name) for name in relations})
        changed, *full = found
        if other := [line for whole in full for line in differences(changed, whole)]:
            raise Different(f"seed {self.seed}, {when}: " + "; ".join(other))


def check(
    workspace: EmbeddedWorkspace,
    folder: Path,
    *,
    edits: int,
    seed: int,
    also_full: bool = False,
    policies: str = "",
    catalog: str = CATALOGS[-1],
) -> Iterator[str]:
    """Make edits, some to each project; what went wrong, with its seed."""
    for n in range(0, edits, EDITS_A_PROJECT):
        own = seed + n // EDITS_A_PROJECT
        try:
            releases = EditedReleases(
                workspace, folder / str(own), own, also_full=also_full, policies=policies, catalog=catalog
            )
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
    parser.add_argument("--also-full", action="store_true", help="make each release in full as well")
    parser.add_argument("--policies", default="", help="more policies, such as `untagged_changes: build_in_prod`")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="dbx_cd_edits_") as folder:
        work = Path(folder)
        with EmbeddedWorkspace(work / "state", catalogs=CATALOGS) as workspace, reached_by_dbt(workspace):
            failed = list(
                check(
                    workspace,
                    work,
                    edits=given.edits,
                    seed=given.seed,
                    also_full=given.also_full,
                    policies=given.policies,
                )
            )
    for line in failed:
        print(f"DIFFERENT: {line}", flush=True)
    print(f"{given.edits} edits from seed {given.seed} on: {len(failed)} of the projects are different")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
