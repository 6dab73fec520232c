"""After a gated build: does anything of the target refer to what it was built from in staging?"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from dbx_cd.dbt.outcome import InvocationOutcome
from dbx_cd.dbt.run import DbtRun
from dbx_cd.plan.leaks import Leak, StagingNames, find_leaks
from dbx_cd.plan.refusals import leak_rule, refused_leaks
from dbx_cd.relations import RelationName
from dbx_cd.release.context import Cd

_log = logging.getLogger(__name__)


def guarded(
    cd: Cd,
    run: DbtRun,
    relations: Sequence[RelationName],
    *,
    staging: StagingNames,
    functions: Sequence[RelationName] = (),
) -> tuple[DbtRun, tuple[Leak, ...]]:
    """Prove from the catalog that nothing refers to staging, or say what does; by policy the build has failed then.

    Args:
        cd: the context.
        run: what dbt did.
        relations: what the build may have changed, and the views over it.
        staging: what counts as staging's.
        functions: the functions that it has made.

    Returns:
        The run, which is a failed one where something leaks that must not, also in its artifacts; and what leaks.

    Raises:
        SqlFailed: the catalog cannot be asked.
    """
    if not run.ok:
        return run, ()
    policies = cd.config.policies
    found = find_leaks(cd.tables, relations, staging=staging, functions=functions)
    leaks = tuple(leak for leak in found if leak_rule(leak, policies) != "allow")
    errors = tuple(
        f"built, but {leak} (policies.staging_leak): roll the release back, and let {run.target} build what is read"
        for leak in refused_leaks(leaks, policies)
    )
    for leak in leaks:
        _log.warning("%s", leak)
    if not errors:
        return run, leaks
    failed = replace(run, ok=False, errors=(*run.errors, *errors))
    InvocationOutcome(run.command, run.target, False, 0, run.hooks, failed.errors).write(run.files_dir)
    return failed, leaks
