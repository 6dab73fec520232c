"""The dbt invocations whose files and events are kept as fixtures.

Each is made by dbt itself on the embedded workspace, from a project in `tests/fixtures/recorded_dbt/projects`.
`recorded_dbt.make` runs them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scenario:
    """One dbt invocation, in a schema that is empty but for what `before` made."""

    project: str
    """The folder of the project."""
    command: tuple[str, ...]
    """dbt's words and flags, without those that every invocation gets."""
    before: tuple[tuple[str, ...], ...] = ()
    """Invocations that come first and are not kept."""
    ended_by: str = ""
    """The signal that dbt gets when the model `order_totals` runs, such as `SIGKILL`; "" when it ends by itself."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables that it gets besides."""
    token: str = ""
    """What it has in place of the workspace's token."""
    keeps_log: bool = False
    """Whether the lines of `dbt.log` that are about nodes, or say why dbt gave up, are kept as well."""
    keeps_times: bool = False
    """Whether moments, durations and threads are kept as they were, and no events: with several threads those come in
    no certain order."""


def _vars(**given: str) -> tuple[str, ...]:
    return ("--vars", json.dumps(given))


_SLOW = ("build", "--select", "orders", "order_totals", *_vars(fault="slow"))
_BUILT = (("build",),)
_AFTER = _vars(code="after")
_TIMED = Scenario("timed", ("build", "--threads", "3"), keeps_times=True)
_NOBODY = "http://127.0.0.1:9/"
_LANDED = (("run-operation", "land"),)
_THREE_DAYS = ("--event-time-start", "2026-01-01", "--event-time-end", "2026-01-04")


def _fresh(*selected: str) -> Scenario:
    return Scenario("freshness", ("source", "freshness", "--select", *selected), _LANDED)


SCENARIOS: Mapping[str, Scenario] = {
    "build": Scenario("plain", ("build",)),
    "build_nothing_selected": Scenario("plain", ("build", "--select", "tag:nothing")),
    "build_node_failed": Scenario("plain", ("build", *_vars(fault="column"))),
    "build_test_failed": Scenario("plain", ("build", *_vars(fault="duplicates"))),
    "build_test_warned": Scenario("plain", ("build", *_vars(fault="warning"))),
    "build_not_compiled": Scenario("plain", ("build", *_vars(fault="macro"))),
    "build_unknown_target": Scenario("plain", ("build", "--target", "nowhere")),
    "build_fail_fast": Scenario("plain", ("build", "--fail-fast", *_vars(fault="column"))),
    "build_interrupted": Scenario("plain", _SLOW, ended_by="SIGINT"),
    "build_killed": Scenario("plain", _SLOW, ended_by="SIGKILL"),
    "ls": Scenario("plain", ("ls", "--output", "json", "--output-keys", "unique_id")),
    "docs": Scenario("plain", ("docs", "generate"), (("build",),)),
    "hooks": Scenario("hooks", ("build",)),
    "hooks_start_failed": Scenario("hooks", ("build", *_vars(fault="start"))),
    "hooks_end_failed": Scenario("hooks", ("build", *_vars(fault="end"))),
    "hooks_start_macro_failed": Scenario("hooks", ("build", *_vars(fault="macro of start")), keeps_log=True),
    "hooks_end_macro_failed": Scenario("hooks", ("build", *_vars(fault="macro of end")), keeps_log=True),
    "hooks_end_raises": Scenario("raising", ("build",)),
    "hooks_of_model_failed": Scenario("hooks", ("build", *_vars(fault="post_hook"))),
    "freshness": Scenario("freshness", ("source", "freshness"), _LANDED),
    "freshness_fresh": _fresh("source:landing.fresh"),
    "freshness_warned": _fresh("source:landing.late"),
    "freshness_missing_table": _fresh("source:landing.missing"),
    "freshness_wrong_field": _fresh("source:landing.wrong_field"),
    "freshness_empty_table": _fresh("source:landing.empty"),
    "freshness_from_catalog": _fresh("source:catalog"),
    "freshness_nothing_selected": _fresh("tag:nothing"),
    "freshness_some": _fresh("source:landing.stale", "source:landing.missing"),
    "freshness_refused": Scenario("freshness", ("source", "freshness"), token="of-nobody"),
    "freshness_refused_at_once": Scenario(  # dbt asks first for the schemas of models, if there are any
        "freshness", ("source", "freshness", *_vars(models="one")), token="of-nobody"
    ),
    "freshness_not_parsed": Scenario("freshness", ("source", "freshness", *_vars(fault="parse"))),
    "microbatch": Scenario("microbatch", ("build", *_THREE_DAYS)),
    "microbatch_first_failed": Scenario("microbatch", ("build", *_THREE_DAYS, *_vars(fault="first"))),
    "microbatch_middle_failed": Scenario("microbatch", ("build", *_THREE_DAYS, *_vars(fault="middle"))),
    "microbatch_later_failed": Scenario(
        "microbatch", ("build", *_THREE_DAYS, *_vars(fault="middle")), (("build", *_THREE_DAYS),)
    ),
    "microbatch_all_failed": Scenario(
        "microbatch", ("build", *_THREE_DAYS, *_vars(fault="all")), (("build", *_THREE_DAYS),)
    ),
    "microbatch_not_compiled": Scenario("microbatch", ("build", *_THREE_DAYS, *_vars(fault="uncompiled"))),
    "versions": Scenario("versions", ("build",)),
    "versions_before": Scenario("versions", ("build", *_vars(latest="1"))),
    "versions_before_in_prod": Scenario("versions", ("build", "--target", "prod", *_vars(latest="1"))),
    "model_emptied": Scenario("emptied", ("build", *_vars(file="empty")), (("seed",), ("build",))),
    "compared": Scenario("compared", ("docs", "generate"), _BUILT),
    "compared_in_prod": Scenario(
        "compared", ("docs", "generate", "--target", "prod"), (("build", "--target", "prod"),)
    ),
    "compared_after": Scenario("compared", ("docs", "generate", *_AFTER), (("build", *_AFTER),)),
    **{f"timed_{number}": _TIMED for number in range(1, 6)},
    "lossy_before": Scenario("lossy", ("parse", "--target", "prod")),
    "lossy": Scenario("lossy", ("parse", "--target", "prod", *_vars(release="second"))),
    "lossy_staged": Scenario("lossy", ("parse", *_vars(release="second"))),
    "two_packages": Scenario("two_packages", ("build",), (("deps",),)),
    "deps": Scenario("two_packages", ("deps",)),
    "deps_local_missing": Scenario("missing_package", ("deps",)),
    "deps_git_missing": Scenario("unreachable_package", ("deps",)),
    "deps_hub_unreachable": Scenario("hub_package", ("deps",), environment={"DBT_PACKAGE_HUB_URL": _NOBODY}),
    "build_without_deps": Scenario("two_packages", ("build",)),
}
