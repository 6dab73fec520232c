"""Ways to get into production what was not approved, by people who hold some of the rights and not all of them.

Each prepares a scene and returns the last step of the attack. None may change production, and each is refused with a
message of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from databricks.sdk.service.jobs import JobSettings

from dbx_cd import (
    ApprovalNotAllowed,
    ApprovalRequired,
    ApprovalStale,
    ApprovalSuperseded,
    ChecksumMismatch,
    ConfigError,
    DbxCdError,
    Decision,
    Release,
    ReleaseLog,
    SetupError,
    approve,
    build_release,
    reject,
    request_approval,
)
from dbx_cd.approval.alteration import acknowledge_alteration
from dbx_cd.approval.request import ApprovalRequest
from dbx_cd.local.job_bundle import load_job
from dbx_cd.records import Record
from dbx_cd.relations import RelationName
from dbx_cd.release.job import JobDefinition
from dbx_cd.release.standing import settle
from dbx_cd.rollback.journal import RestoreResult
from memory.releases import BOT, DEVELOPER, OWNER, Releases, smoke_of

REPOSITORY = Path(__file__).parents[2]
Step = Callable[[], object]


@dataclass(frozen=True)
class Attack:
    """One of them."""

    by: str
    """The right that it takes."""
    prepare: Callable[[Releases], Step]
    """Sets the scene; returns the last step."""
    error: type[DbxCdError]
    """How it is refused."""
    message: str
    """What the refusal says, as a pattern."""

    @property
    def name(self) -> str:
        """For people."""
        return self.prepare.__name__.replace("_", " ")


ATTACKS: list[Attack] = []


def attack(by: str, error: type[DbxCdError], message: str) -> Callable[[Callable[[Releases], Step]], None]:
    """Register one."""

    def register(prepare: Callable[[Releases], Step]) -> None:
        ATTACKS.append(Attack(by, prepare, error, message))

    return register


def production(releases: Releases) -> Mapping[str, object]:
    """Every relation of production, with its version or text."""
    return {
        key: getattr(relation, "text", None) or len(getattr(relation, "commits", ()))
        for key, relation in releases.tables.relations.items()
        if not key.startswith("stg.")
    }


def build(releases: Releases, release: Release, **more: object) -> Step:
    """Production's build task."""
    return lambda: build_release(releases.cd(), release, target="prod", **more)  # type: ignore[arg-type]


def append(releases: Releases, release: Release, *records: Record, actor: str = DEVELOPER) -> None:
    """Rows that a developer with MODIFY on the log's table appends by hand."""
    releases.log_table.user = DEVELOPER
    ReleaseLog.on(releases.log_table, actor=actor).append_all(release, records)
    releases.log_table.user = None


def as_the_job_says(releases: Releases) -> JobDefinition:
    """The definition of the Workflow's job."""
    return JobDefinition.of(job(releases))


def job(releases: Releases) -> JobSettings:
    return load_job(
        REPOSITORY, variables={"artifacts_root": str(releases.root), "release_log": "ops.memory.release_log"}
    )


def said_yes(request: ApprovalRequest, actor: str, **more: str) -> Decision:
    return Decision("approved", request.release.id, request.seal, actor, **more)


MERGE, RUN, REPAIR, WRITE = "may merge", "may start a run", "may repair a run", "may write where the log lives"


@attack(MERGE, ApprovalRequired, "nobody has been asked to approve")
def a_commit_declares_production_an_open_target(releases: Releases) -> Step:
    release = releases.staged()
    releases.settings = "targets: {stg: {}, prod: {}}\n"
    cd = releases.cd()
    settled = settle(cd.config, as_the_job_says(releases).standing)
    return lambda: build_release(replace(cd, config=settled), release, target="prod", project_dir=releases.project)


@attack(MERGE, ApprovalNotAllowed, f"{DEVELOPER} is not in the group dbx_cd_approvers")
def a_commit_names_its_author_s_group_as_approvers(releases: Releases) -> Step:
    release = releases.staged()
    releases.settings = "approvers: developers\n"
    cd = releases.cd()
    settled = settle(cd.config, as_the_job_says(releases).standing)
    request = request_approval(replace(cd, config=settled), release, target="prod")
    return lambda: approve(releases.cd(DEVELOPER), request, seal=request.seal)


@attack(MERGE, ConfigError, "the key 'prod' is there twice")
def a_commit_has_a_second_entry_for_production_further_down(releases: Releases) -> Step:
    releases.staged()
    releases.settings = "targets:\n  stg: {}\n  prod: {gate: approval, defer_to: stg}\n  prod: {}\n"
    return releases.cd


@attack(MERGE, ApprovalStale, "changed: artifacts, project archive")
def another_model_is_built_to_staging_after_the_approval(releases: Releases) -> Step:
    release = releases.approved()
    releases.model("orders", "select 2 as id")
    releases.build(release)
    releases.smoke(release)
    return build(releases, release)


@attack(MERGE, ConfigError, "stg would write what a gated target holds.*which is prod's model orders")
def a_macro_sends_staging_s_models_to_production(releases: Releases) -> Step:
    releases.deployed("1")
    release = releases.open("2", commit="b" * 40)
    releases.dbt.named = lambda _target, name: RelationName("prod", "shop", name)
    return lambda: releases.build(release)


@attack(MERGE, ConfigError, "sandbox would write what a gated target holds")
def a_commit_declares_an_open_target_beside_production_with_its_names(releases: Releases) -> Step:
    releases.deployed("1")
    release = releases.open("2", commit="b" * 40)
    releases.settings = "targets: {stg: {}, sandbox: {}, prod: {gate: approval, defer_to: stg}}\n"
    releases.dbt.named = lambda _target, name: RelationName("prod", "shop", name)
    project = releases.project
    return lambda: build_release(releases.cd(), release, target="sandbox", select="tag:deploy", project_dir=project)


@attack(MERGE, ConfigError, "`token` holds a secret in clear")
def a_commit_brings_a_login_of_its_own_in_clear(releases: Releases) -> Step:
    release = releases.open()
    profile = "tiny:\n  outputs:\n    stg:\n      type: databricks\n      token: dapi0123456789\n"
    (releases.project / "profiles.yml").write_text(profile)
    return lambda: releases.build(release)


@attack(MERGE, ApprovalRequired, "uat comes before prod")
def a_release_skips_the_gate_before_production(releases: Releases) -> Step:
    gated = "{gate: approval, defer_to: stg}"
    releases.settings = f"targets: {{stg: {{}}, uat: {gated}, prod: {gated}}}\n"
    release = releases.staged()
    return lambda: request_approval(releases.cd(), release, target="prod")


@attack(RUN, ConfigError, "which dbt would take for a flag")
def a_run_hides_a_flag_among_the_models(releases: Releases) -> Step:
    release = releases.staged()
    return lambda: releases.ask(release, select="tag:deploy --full-refresh")


@attack(RUN, ApprovalRequired, "only guardrails were run")
def a_run_tests_staging_by_its_guardrails_alone(releases: Releases) -> Step:
    release = releases.open()
    releases.build(release)
    releases.smoke(release, tiny=True)
    return lambda: releases.ask(release)


@attack(REPAIR, ApprovalRequired, "the smoke report is of the build stg/")
def staging_is_built_again_while_its_smoke_test_runs(releases: Releases) -> Step:
    release = releases.open()
    releases.build(release)
    tested = releases.cd().store.find("stg", release.id).timestamp
    releases.model("orders", "select 2 as id")
    releases.build(release)
    releases.cd().log.append(release, replace(smoke_of(release), artifacts=tested))
    return lambda: releases.ask(release)


@attack(REPAIR, SetupError, "dbt-core 1.11.99")
def the_cluster_has_another_dbt_by_now(releases: Releases) -> Step:
    release = releases.approved()
    releases.dbt.dbt_version = "1.11.99"
    return build(releases, release)


@attack(RUN, ConfigError, "this run overrides the parameter artifacts_root")
def a_run_brings_artifacts_of_its_own(releases: Releases) -> Step:
    return overriding(releases, artifacts_root="/tmp/mine")


@attack(RUN, ConfigError, "this run overrides the parameter profiles_dir")
def a_run_brings_a_profile_whose_staging_is_production(releases: Releases) -> Step:
    return overriding(releases, profiles_dir="/tmp/mine")


@attack(RUN, ConfigError, "this run overrides the parameter project_dir")
def a_run_builds_another_project_of_the_repository(releases: Releases) -> Step:
    return overriding(releases, project_dir="sandbox")


@attack(RUN, ConfigError, "this run overrides the parameter release_log")
def a_run_brings_a_log_in_which_all_is_approved(releases: Releases) -> Step:
    return overriding(releases, release_log="ops.mine.log")


def overriding(releases: Releases, **delivered: str) -> Step:
    definition = as_the_job_says(releases)
    return lambda: definition.require_not_overridden(delivered, defaults={}, run_id="1")


@attack(RUN, ConfigError, "a release is built by build or run")
def a_run_hands_over_a_command_with_flags(releases: Releases) -> Step:
    return build(releases, releases.approved(), cmd="build --select everything --full-refresh")


@attack(RUN, ApprovalStale, "parameters are not those that were approved: select")
def a_run_selects_more_than_was_approved(releases: Releases) -> Step:
    return build(releases, releases.approved(), select="tag:deploy tag:more")


@attack(RUN, ApprovalStale, "parameters are not those that were approved: full_refresh")
def a_run_rebuilds_incremental_models(releases: Releases) -> Step:
    return build(releases, releases.approved(), full_refresh=True)


@attack(RUN, ApprovalNotAllowed, "asked for this release")
def who_started_the_run_approves_in_other_letters(releases: Releases) -> Step:
    request = releases.ask(releases.staged(requester=OWNER.upper()))
    return lambda: approve(releases.cd(OWNER), request, seal=request.seal)


@attack(RUN, ApprovalNotAllowed, "is the job's own identity")
def a_task_of_the_run_approves(releases: Releases) -> Step:
    request = releases.ask(releases.staged())
    return lambda: approve(releases.cd(BOT), request, seal=request.seal)


@attack(REPAIR, ApprovalRequired, "waiting for approval")
def production_s_build_is_repaired_past_the_gate(releases: Releases) -> Step:
    release = releases.staged()
    releases.ask(release)
    return build(releases, release)


@attack(REPAIR, ApprovalRequired, "did not pass its smoke tests")
def the_gate_is_repaired_past_a_failed_smoke_test(releases: Releases) -> Step:
    release = releases.staged(ok=False)
    return lambda: request_approval(releases.cd(), release, target="prod")


@attack(REPAIR, ApprovalSuperseded, "was overtaken by")
def an_older_approved_release_is_repaired_after_a_newer_one(releases: Releases) -> Step:
    older = releases.approved("1")
    releases.model("orders", "select 2 as id")
    releases.deployed("2", commit="b" * 40)
    return build(releases, older)


@attack(REPAIR, ApprovalRequired, "was rejected by")
def a_rejected_release_is_repaired(releases: Releases) -> Step:
    release = releases.staged()
    reject(releases.cd(OWNER), releases.ask(release), reason="wrong numbers")
    return build(releases, release)


@attack(REPAIR, ApprovalRequired, "was rolled back")
def a_release_that_was_rolled_back_is_repaired(releases: Releases) -> Step:
    from dbx_cd import plan_restore, restore

    release = releases.deployed()
    plan = plan_restore(releases.cd(), release)
    restore(releases.cd(), plan, seal=plan.seal, reason="bad")
    return build(releases, release)


@attack(WRITE, ApprovalSuperseded, f"lets no older release in: .* by {DEVELOPER}")
def a_row_says_that_the_newer_release_was_rolled_back(releases: Releases) -> Step:
    older = releases.approved("1")
    releases.model("orders", "select 2 as id")
    newer = releases.deployed("2", commit="b" * 40)
    append(releases, newer, RestoreResult(newer.id, "s", (), True, newer.opened_at, 0.0))
    return build(releases, older)


@attack(WRITE, ApprovalRequired, f"in another's name: approved, as {OWNER}")
def a_row_says_that_the_owner_has_approved(releases: Releases) -> Step:
    release = releases.staged()
    append(releases, release, said_yes(releases.ask(release), OWNER), actor=OWNER)
    return build(releases, release)


@attack(WRITE, ApprovalStale, f"written by {DEVELOPER}")
def a_row_of_one_s_own_holds_the_owner_s_approval(releases: Releases) -> Step:
    release = releases.staged()
    append(releases, release, said_yes(releases.ask(release), OWNER))
    return build(releases, release)


@attack(WRITE, ApprovalStale, f"the approval does not count: {DEVELOPER} is not in the group")
def a_row_says_that_its_writer_has_approved(releases: Releases) -> Step:
    release = releases.staged()
    append(releases, release, said_yes(releases.ask(release), DEVELOPER))
    return build(releases, release)


@attack(WRITE, ApprovalStale, "nothing lends it any more")
def a_row_says_that_an_earlier_approval_still_applies(releases: Releases) -> Step:
    older = releases.deployed("1")
    releases.model("orders", "select 2 as id")
    release = releases.staged("2", commit="b" * 40)
    request = releases.ask(release)
    releases.log_table.names_users = False  # a platform that does not say who commits
    ReleaseLog.on(releases.log_table, actor=BOT).append(release, said_yes(request, BOT, reuses=older.id))
    return build(releases, release)


@attack(WRITE, ApprovalRequired, f"does not count: smoked by {DEVELOPER}")
def a_row_says_that_the_smoke_test_has_passed(releases: Releases) -> Step:
    release = releases.staged(ok=False)
    tested = releases.cd().store.find("stg", release.id).timestamp
    append(releases, release, replace(smoke_of(release), artifacts=tested))
    return lambda: releases.ask(release)


@attack(WRITE, ApprovalRequired, f"approval_requested by {DEVELOPER}")
def a_row_asks_for_everything_in_the_workflow_s_place(releases: Releases) -> Step:
    release = releases.staged()
    request = releases.ask(release)
    everything = replace(request, selection=replace(request.selection, select=None))
    append(releases, release, everything, said_yes(everything, OWNER))
    return build(releases, release)


@attack(WRITE, ApprovalRequired, "the release log was altered: .* DELETE")
def the_rejection_is_deleted(releases: Releases) -> Step:
    release = releases.staged()
    request = releases.ask(release)
    reject(releases.cd(OWNER), request, reason="wrong numbers")
    releases.log_table.user = DEVELOPER
    releases.log_table.alter("DELETE", predicate="kind = 'rejected'")
    releases.log_table.forget("rejected")
    releases.log_table.user = None
    return build(releases, release)


@attack(WRITE, ApprovalRequired, "CREATE TABLE AS SELECT")
def the_log_is_made_again_by_a_query(releases: Releases) -> Step:
    release = releases.approved()
    releases.log_table.created_by("CREATE TABLE AS SELECT")
    return build(releases, release)


@attack(WRITE, ApprovalRequired, "in place of the log that the Volume remembers")
def the_log_is_dropped_and_made_anew_with_rows_of_one_s_choice(releases: Releases) -> Step:
    release = releases.approved()
    releases.remember_log(releases.log_table.id)
    rows: Sequence[object] = [row for _, row in releases.log_table.rows()]
    releases.log_table.made_anew(rows)  # type: ignore[arg-type]
    return build(releases, release)


@attack(WRITE, ApprovalNotAllowed, "altered the log")
def who_altered_the_log_acknowledges_it(releases: Releases) -> Step:
    releases.approved()
    releases.log_table.user = OWNER
    releases.log_table.alter("UPDATE")
    releases.log_table.user = None
    seal = releases.cd().log.tampering().seal
    return lambda: acknowledge_alteration(releases.cd(OWNER), seal=seal, reason="never mind")


@attack(WRITE, ApprovalStale, "the seal is not that of the newest request")
def an_approver_is_handed_the_seal_of_an_older_request(releases: Releases) -> Step:
    release = releases.staged()
    older = releases.ask(release)
    releases.ask(release, full_refresh=True)
    return lambda: approve(releases.cd(OWNER), older, seal=older.seal)


@attack("may write to the Volume", ChecksumMismatch, "is not what was published")
def the_project_archive_is_replaced_on_the_volume(releases: Releases) -> Step:
    release = releases.approved()
    staged = releases.cd().store.find("stg", release.id)
    (staged.path / "project.tar.gz").write_bytes(b"something else")
    return build(releases, release)
