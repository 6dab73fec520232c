"""Smoke tests: load what is to be checked, run it on a build, and say what was found.

Nothing stops at the first failure, and nothing that did not run counts as passed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dbx_cd.artifacts.built_inputs import kept_by
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.dbt.freshness import SourceFreshness
from dbx_cd.dbt.lookup import require_model
from dbx_cd.errors import DbxCdError, SuiteError
from dbx_cd.smoke import data
from dbx_cd.smoke.baseline import Baseline, NoBaseline, baseline_from
from dbx_cd.smoke.build import Build
from dbx_cd.smoke.checks import Check
from dbx_cd.smoke.contracts import DOMAIN as CONTRACTS, contracts_from_manifest, owner_of, selected_ids
from dbx_cd.smoke.execute import execute
from dbx_cd.smoke.folder import suites_in
from dbx_cd.smoke.metrics import with_bounds
from dbx_cd.smoke.plan import Planned, Planner
from dbx_cd.smoke.report import CheckResult, SmokeReport, Status, in_order
from dbx_cd.smoke.suite import SmokeSuite

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

from dbx_cd.artifacts.version import ArtifactVersion

_log = logging.getLogger(__name__)

__all__ = ["NoBaseline", "SmokeReport", "contracts_from_manifest", "load_suites", "run_smoke"]

# What is known of sources: found already, or a function that finds it out. None: nothing is known.
Freshness = Sequence[SourceFreshness] | Callable[[], Sequence[SourceFreshness] | None] | None

_FRESHNESS: dict[str, Status] = {"pass": "pass", "warn": "warn", "error": "fail", "runtime error": "broken"}


def load_suites(
    smoke_dir: str | Path,
    artifacts: ArtifactVersion,
    *,
    select: str | Iterable[str] | None = None,
    domains: str | Iterable[str] | None = None,
) -> list[SmokeSuite]:
    """The contracts of a build and every `smoke/*.yml`, in the order of the file names.

    A check that is malformed stays in its suite and is reported as broken, so that the others still run; so is a file
    that as a whole is not a suite, and a folder without suites.

    Args:
        smoke_dir: the folder of suite files. Only the default one, `smoke` beside `dbt_project.yml`, may be missing,
            where the project's settings do not name it: then the contracts are all there is.
        artifacts: the artifacts of the build under test.
        select: keep only checks of these models: names, unique ids or `tag:<tag>`, one text or a list. Assertions name
            no single model and stay, and so does a check of a model that the project does not have.
        domains: keep only these suites, by their `domain`; the contracts are the domain `contracts`. One text with
            blanks or a list.

    Raises:
        SuiteError: a selector matches nothing, or there is no such domain.
    """
    select, domains = (x if x is None or isinstance(x, str) else list(x) for x in (select, domains))
    manifest = artifacts.manifest()
    suites = suites_in(Path(smoke_dir))
    ids = selected_ids(manifest, select)
    if ids is not None:
        suites = [SmokeSuite(s.domain, tuple(_about(s, manifest, ids)), s.owner) for s in suites]
    chosen = _of_domains([contracts_from_manifest(manifest, select=select), *suites], domains)
    narrowed = "; ".join(_narrowed("select", select) + _narrowed("domains", domains))
    for suite in chosen:
        _log.info("suite %s: %d checks", suite.domain, len(suite))
    return [replace(suite, narrowed=narrowed) for suite in chosen]


def _narrowed(name: str, words: str | Iterable[str] | None) -> list[str]:
    found = words.split() if isinstance(words, str) else list(words or ())
    return [f"{name} {' '.join(found)}"] if found else []


def _about(suite: SmokeSuite, manifest: Manifest, ids: Collection[str]) -> Iterator[Check]:
    """The checks but for those that are known to be about other models; a name that means no one model stays."""
    for check in suite:
        try:
            if check.model and require_model(manifest, check.model).unique_id not in ids:
                continue
        except DbxCdError as exc:
            # The check is reported as broken with the same reason when it is planned.
            _log.debug("%s stays, whatever is selected: %s", check.name, exc)
        yield check


def _of_domains(suites: list[SmokeSuite], domains: str | Iterable[str] | None) -> list[SmokeSuite]:
    wanted = domains.split() if isinstance(domains, str) else list(domains or ())
    known = sorted({suite.domain for suite in suites})
    for domain in wanted:
        if domain not in known:
            raise SuiteError(f"there is no domain {domain!r}", next_step=f"choose of {', '.join(known)}")
    return [suite for suite in suites if suite.domain in wanted] if wanted else suites


def run_smoke(
    suites: Sequence[SmokeSuite],
    *,
    spark: SparkSession,
    artifacts: ArtifactVersion,
    baseline: ArtifactVersion | Baseline | NoBaseline | None = None,
    freshness: Freshness = None,
    tiny: bool = False,
    recheck: bool = False,
    docs_dir: Path | None = None,
    check: bool = True,
) -> SmokeReport:
    """Run the suites on a build.

    Args:
        suites: what `load_suites` returned, or suites of your own.
        spark: a classic or Spark Connect session that sees the build's catalogs.
        artifacts: the artifacts of the build under test; relations come from its manifest.
        baseline: what comparisons look back at, from `baseline_for`.
        freshness: what `dbt source freshness` found, or a function that runs it and returns that; a function is called
            in a thread, while the checks run. None leaves sources out of the report.
        tiny: contracts and guardrails only; a domain without a guardrail is reported.
        recheck: execute contracts too that dbt build has checked in this release.
        docs_dir: a folder for Great Expectations' Data Docs: one page for each table or query that it has judged, and
            an index named like the folder.
        check: raise unless the report is ok.

    Returns:
        One result for every check, problems first.

    Raises:
        SmokeFailed: a check failed or broke, or none has judged what was built; carries the report.
        ArtifactError: the artifacts hold no readable manifest or run results.
        Exception: whatever a function given for `freshness` raises.
    """
    started = time.perf_counter()
    _log.info("smoke of %s begins: %d suites%s", artifacts, len(suites), ", tiny" if tiny else "")
    with _meanwhile(freshness) as found:
        build = Build(artifacts.manifest(), artifacts.run_results(), kept_by(artifacts))
        planner = Planner(build, recheck, exists=partial(data.exists, spark), data_type=_data_type(spark))
        results, planned = _planned(suites, planner, tiny=tiny)
        bounded = with_bounds(planned, spark=spark, baseline=baseline_from(baseline))
        results += [p for p in bounded if isinstance(p, CheckResult)]
        results += execute(spark, [p for p in bounded if isinstance(p, Planned)], docs_dir=docs_dir)
        results += [_fresh(source, build.manifest) for source in found() or ()]
    report = SmokeReport(
        target=artifacts.target,
        artifacts=artifacts.timestamp,
        commit=artifacts.commit,
        release_id=artifacts.release_id,
        tiny=tiny,
        seconds=time.perf_counter() - started,
        checks=in_order(results),
        narrowed=next((suite.narrowed for suite in suites if suite.narrowed), ""),
    )
    _log.info("%s, in %.1f s", report, report.seconds)
    for result in report.checks:
        if result.status == "broken":
            _log.warning("%s", result)
    if check:
        report.raise_if_failed()
    return report


@contextmanager
def _meanwhile(freshness: Freshness) -> Iterator[Callable[[], Sequence[SourceFreshness] | None]]:
    """Begin to ask how fresh the sources are; gives what waits for the answer."""
    if not callable(freshness):
        yield lambda: freshness
        return
    with ThreadPoolExecutor(1, thread_name_prefix="freshness") as pool:
        yield pool.submit(freshness).result


def _planned(suites: Sequence[SmokeSuite], planner: Planner, *, tiny: bool) -> tuple[list[CheckResult], list[Planned]]:
    """What is known of checks without executing them, and what is to be executed."""
    results: list[CheckResult] = []
    planned: list[Planned] = []
    for suite in suites:
        checks, notes = _tiny(suite) if tiny else (suite.checks, [])
        results += notes
        for one in checks:
            plan = planner.plan(one, suite.domain)
            if isinstance(plan, CheckResult):
                results.append(plan)
            else:
                planned.append(plan)
    return results, planned


def _tiny(suite: SmokeSuite) -> tuple[tuple[Check, ...], list[CheckResult]]:
    if suite.domain == CONTRACTS:
        return suite.checks, []
    kept = tuple(c for c in suite if c.guardrail or c.KIND == "suite")
    if len(kept) == len(suite) or any(c.guardrail for c in kept):
        return kept, []
    note = CheckResult(
        name="guardrail",
        kind="suite",
        status="warn",
        domain=suite.domain,
        where=suite.checks[0].where.partition(":")[0],
        owner=suite.owner,
        reason="no check of this domain is marked `guardrail: true`: nothing of it is tested after the deploy",
        due=False,
    )
    return kept, [note]


def _fresh(source: SourceFreshness, manifest: Manifest) -> CheckResult:
    declared = manifest.nodes.get(source.unique_id)
    status = _FRESHNESS.get(source.status, "broken")
    return CheckResult(
        name=f"freshness of {source.name}",
        kind="freshness",
        status=status,
        domain="freshness",
        where=declared.path if declared is not None else "dbt source freshness",
        owner=owner_of(declared),
        model=source.name,
        observed=source.observed,
        expected=source.criteria or None,
        reason=source.remark,
    )


def _data_type(spark: SparkSession) -> Callable[[str], str]:
    """Spark's own spelling of a data type, such as `bigint` for `long`."""
    known: dict[str, str] = {}

    def spelled(text: str) -> str:
        if text not in known:
            try:
                known[text] = data.query(spark, f"select cast(null as {text}) as c").schema[0].dataType.simpleString()
            except Exception as exc:
                raise SuiteError(f"the data type {text!r} of the contract is not one of Spark's") from exc
        return known[text]

    return spelled
