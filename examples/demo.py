"""`make demo`: five releases of the shop, of which one is undone and two are stopped, on the embedded workspace.

Every fact printed here is read from the tables, the release log or the artifacts; where one is not as told, the demo
stops with an error.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from dbx_cd import ApprovalRequest, DeployPlan, html
from dbx_cd.local.project import LocalProject
from dbx_cd.local.run import LocalWorkflow, follow, results_of
from dbx_cd.local.session_user import act_as
from dbx_cd.local.workspace import DEVELOPER, OWNER, EmbeddedWorkspace
from dbx_cd.release.events import Release
from dbx_cd.smoke.report import SmokeReport

HERE = Path(__file__).resolve().parent
STATE = HERE.parent / ".dbx_cd" / "demo"
MART = "prod.shop.daily_revenue"


class StoryError(Exception):
    """Something is not as the story tells it."""


def expect(fact: str, holds: bool) -> None:
    """Print a fact that was checked; stop when it does not hold."""
    if not holds:
        raise StoryError(f"not true: {fact}")
    print(f"    ✓ {fact}", flush=True)


@contextmanager
def chapter(title: str) -> Iterator[None]:
    """One part of the story, with its time in seconds."""
    print(f"\n{title}", flush=True)
    started = time.monotonic()
    yield
    print(f"    ({time.monotonic() - started:.0f} s)", flush=True)


class Shop:
    """The example in a git repository of its own, where each change is a commit on `main`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(HERE / "shop", folder, ignore=shutil.ignore_patterns("target", "logs", "dbt_packages"))
        self._git("init", "--quiet", "--initial-branch", "main")
        self._git("config", "user.name", "demo")
        self._git("config", "user.email", "demo@example.org")

    def merge(self, message: str, *, patch: str | None = None, reverse: bool = False) -> str:
        """Commit a change, given as a patch of the example; returns the SHA."""
        if patch:
            self._git("apply", *(["--reverse"] if reverse else []), f"demo/{patch}.patch")
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", message)
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StoryError(f"git {arguments[0]}: {done.stderr.strip()}")
        return done.stdout.strip()


class Production:
    """Looks at the tables of `prod.shop`."""

    def __init__(self, spark: SparkSession) -> None:
        self._spark = spark

    def tables(self) -> list[str]:
        """The relations there, views too."""
        rows = self._spark.sql(
            "SELECT table_name FROM prod.information_schema.tables WHERE table_schema = 'shop' ORDER BY 1"
        ).collect()
        return [row[0] for row in rows]

    def contents(self) -> dict[str, tuple[int, int]]:
        """Row count and an order-independent hash of all rows, by table."""
        each = []
        for name in self.tables():
            columns = ", ".join(f"`{column}`" for column in self._spark.table(f"prod.shop.{name}").columns)
            digest = f"sum(CAST(xxhash64({columns}) AS DECIMAL(38, 0)))"
            each.append(f"SELECT '{name}', count(*), {digest} FROM prod.shop.{name}")
        rows = self._spark.sql(" UNION ALL ".join(each)).collect()
        return {name: (int(count), int(digest or 0)) for name, count, digest in rows}

    def number(self, query: str) -> float:
        """The single number a query returns."""
        return float(self._spark.sql(query).collect()[0][0] or 0)


def release(
    workflow: LocalWorkflow, commit: str, *, reason: str, approve: bool = True
) -> tuple[Release, dict[str, str]]:
    """Run the Workflow at a commit; returns the release and each task's result."""
    started = workflow.release(commit, reason=reason)
    if approve:
        ended = follow(workflow, started, approve_as=OWNER, say=lambda text: print(f"    {text}", flush=True))
    else:
        ended = workflow.wait(started)
    results = results_of(ended)
    if results.get("auto_rollback") == "EXCLUDED":
        del results["auto_rollback"]
    print("    " + ", ".join(f"{key} {result}" for key, result in results.items()), flush=True)
    return workflow.cd.log.for_run(str(started.run_id)), results


def roll_back(workflow: LocalWorkflow, undone: Release, *options: str) -> str:
    """What an SRE types, as the runbook says it; returns what was printed."""
    typed = ["rollback", undone.id, *options]
    print(f"    $ python -m dbx_cd {' '.join(typed)}", flush=True)
    connection = workflow.workspace.connection
    done = subprocess.run(
        [sys.executable, "-m", "dbx_cd", *typed, "--job", str(workflow.job_id)],
        env={**os.environ, "DATABRICKS_HOST": connection.host, "DATABRICKS_TOKEN": connection.tokens[OWNER]},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise StoryError(f"the rollback failed: {done.stderr.strip()}")
    print("".join(f"    {line}\n" for line in done.stdout.splitlines()), end="", flush=True)
    return done.stdout


def main() -> int:
    """Tell the story; the exit code says whether it came true."""
    shutil.rmtree(STATE, ignore_errors=True)
    shop = Shop(STATE / "repository")
    first = shop.merge("the shop")
    started = time.monotonic()
    project = LocalProject.find(shop.folder)
    print("Starting the embedded workspace: Spark, Delta, SQL endpoint, Jobs", flush=True)
    with EmbeddedWorkspace(STATE / "workspace", catalogs=project.catalogs) as workspace:
        story(LocalWorkflow(workspace, project), shop, first)
    print(f"\nThe story took {time.monotonic() - started:.0f} s.", flush=True)
    return 0


def story(workflow: LocalWorkflow, shop: Shop, first: str) -> None:
    """The six chapters."""
    # Looked at with the rights of somebody who may read, and no others.
    cd, spark = workflow.cd, act_as(workflow.workspace.spark, DEVELOPER)
    production = Production(spark)

    with chapter("(a) The first release goes to production"):
        _, results = release(workflow, first, reason="first release")
        expect("every task succeeded", set(results.values()) == {"SUCCESS"})
        rows = production.contents()
        expect(f"prod.shop holds {len(rows)} relations, {sum(n for n, _ in rows.values())} rows", bool(rows))
        expect("no day has negative revenue", production.number(f"SELECT min(revenue) FROM {MART}") >= 0)

    with chapter("(b) A release with a bug that dbt's own tests do not see"):
        bad = shop.merge("returned orders count negative", patch="buggy_release")
        two, results = release(workflow, bad, reason="a bug", approve=False)
        negative = production.number("SELECT count(*) FROM stg.shop.daily_revenue WHERE revenue < 0")
        report = cd.log.last(two, SmokeReport)
        expect("dbt build succeeded in staging, its tests included", results["stg_build"] == "SUCCESS")
        expect(f"staging now has {negative:.0f} rows of negative revenue", negative > 0)
        failed = ", ".join(f"{c.model}.{c.name}" for c in report.failed) if report else ""
        expect(f"the staging smoke test stopped it: {failed}", results["stg_smoke"] == "FAILED" and bool(failed))
        expect("prod_build did not run", results["prod_build"] not in ("SUCCESS", "FAILED"))
        expect("production is unchanged to the row", production.contents() == rows)

    with chapter("(c) A view that would read staging for good is refused before anybody is asked"):
        shop.merge("revert", patch="buggy_release", reverse=True)
        leaky = shop.merge("open orders, as a view", patch="leaky_release")
        leak, results = release(workflow, leaky, reason="open orders", approve=False)
        plan = cd.log.last(leak, DeployPlan)
        expect("dbt build and the smoke test of staging succeeded", results["stg_smoke"] == "SUCCESS")
        expect("the gate refused it", results["approval_gate"] == "FAILED" and plan is not None and not plan.ok)
        expect(
            f"its plan names the leak: {plan.leaks[0]}",
            [leak.refers_to for leak in plan.leaks] == ["stg.staging.stg_orders"],
        )
        expect("nobody was asked", cd.log.last(leak, ApprovalRequest) is None)
        expect("production is unchanged to the row", production.contents() == rows)

    with chapter("(d) A good change goes through approval to production"):
        shop.merge("revert", patch="leaky_release", reverse=True)
        good = shop.merge("average order amount", patch="good_release")
        three, results = release(workflow, good, reason="a new column")
        expect("every task succeeded", set(results.values()) == {"SUCCESS"})
        plan = cd.log.last(three, DeployPlan)
        expect(f"the plan named the new column: {plan.columns[0]}", "+ average_order_amount" in plan.columns[0])
        expect(f"the dashboard that shows it: {plan.exposures[0]}", "weekly_sales_dashboard" in plan.exposures[0])
        staged = sorted(r.relation for r in plan.resolutions if r.place == "state")
        expect(f"what it would read from staging: {', '.join(staged)}", "stg.staging.stg_orders" in staged)
        expect("and that nothing would be lost, and nothing refer to staging", not plan.losses and not plan.leaks)
        decided = cd.log.state(three).actor
        expect(f"approved by {decided}", decided == OWNER)
        expect("prod has the new column", "average_order_amount" in spark.table(MART).columns)
        compiled = {
            n.name: str(n.raw.get("compiled_code")) for n in cd.store.find("prod", three.id).manifest().nodes.values()
        }
        expect(
            "prod's orders was built from stg.staging.stg_orders, as --defer says",
            "`stg`.`staging`.`stg_orders`" in compiled["orders"],
        )
        expect(
            "prod's daily_revenue was built from prod.shop.orders",
            "`prod`.`shop`.`orders`" in compiled["daily_revenue"],
        )

    with chapter("(e) An SRE rolls the data back to the restore point"):
        planned = roll_back(workflow, three, "--plan")
        expect("the plan changed nothing", production.contents() != rows)
        seal = planned.split("seal: ")[1].split()[0]
        roll_back(workflow, three, "--seal", seal, "--reason", "nobody likes the new column")
        expect("the rows of production equal those before the release", production.contents() == rows)
        expect("the release log says so", cd.log.state(three).phase == "rolled_back")

    with chapter("(f) Code rollback: the Workflow runs again at the earlier commit"):
        commit = cd.log.last_good("prod").commit
        expect("the last good commit is the first one", commit == first)
        again, results = release(workflow, commit, reason="roll the code back", approve=False)
        expect("every task succeeded, without a second approval", set(results.values()) == {"SUCCESS"})
        expect("the rows of production equal those of the first release", production.contents() == rows)

    history = cd.log.history()
    print(f"\nReleases, newest first:\n{history}")
    page = html.page("The story of the shop", html.trusted(history.to_html()))
    print(f"\nSummary: {cd.store.attach(again.id, 'demo.html', str(page))}")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StoryError as error:
        print(f"\nThe story did not come true: {error}", file=sys.stderr)
        sys.exit(1)
