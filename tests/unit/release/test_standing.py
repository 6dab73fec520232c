"""What does not follow the commit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dbx_cd import CdConfig, ConfigError, ReleaseLog
from dbx_cd.config import TargetConfig
from dbx_cd.release.authorship import Identities
from dbx_cd.release.events import Deploying
from dbx_cd.release.standing import Standing, log_standing, require_targets, settle
from memory.log_table import MemoryLogTable
from memory.releases import APPROVERS, BOT, DEVELOPER, Releases

JOB = Standing(
    source="the job's definition",
    artifacts_root="/Volumes/ops/dbt_meta/artifacts",
    release_log="ops.dbt_meta.release_log",
    approvers="data_owners",
    gates=("prod",),
    is_in_order=True,
    staging="stg",
)


def committed(folder: Path, text: str = "") -> CdConfig:
    """The settings as a commit has them."""
    (folder / "dbx_cd.yml").write_text(text)
    return CdConfig.load(folder)


def test_a_commit_that_names_another_log_is_told_and_not_obeyed(tmp_path: Path) -> None:
    config = settle(committed(tmp_path, "release_log: ops.mine.log\n"), JOB)
    assert config.release_log == "ops.dbt_meta.release_log"
    assert config.overruled == (
        "release_log is ops.mine.log in dbx_cd.yml; ops.dbt_meta.release_log counts, by the job's definition",
    )


@pytest.mark.parametrize(
    ("text", "name", "counts"),
    [
        ("approvers: everybody\n", "approvers", "data_owners"),
        ("artifacts_root: /Volumes/mine/x/y\n", "artifacts_root", "/Volumes/ops/dbt_meta/artifacts"),
    ],
)
def test_a_commit_changes_neither_approvers_nor_artifacts(tmp_path: Path, text: str, name: str, counts: str) -> None:
    config = settle(committed(tmp_path, text), JOB)
    assert getattr(config, name) == counts
    assert len(config.overruled) == 1
    assert name in config.overruled[0]


def test_a_commit_does_not_move_dbt_away_from_the_warehouse_of_the_job(tmp_path: Path) -> None:
    config = settle(committed(tmp_path, "compute: cluster\n"), replace(JOB, compute="warehouse", warehouse_id="w1"))
    assert (config.compute, config.warehouse_id) == ("warehouse", "w1")
    assert config.overruled == ("compute is cluster in dbx_cd.yml; warehouse counts, by the job's definition",)


def test_where_dbt_connects_is_the_commit_s_while_the_job_says_nothing(tmp_path: Path) -> None:
    config = settle(committed(tmp_path, "compute: cluster\n"), JOB)
    assert (config.compute, config.warehouse_id, config.overruled) == ("cluster", None, ())


@pytest.mark.parametrize("targets", ["{stg: {}, prod: {}}", "{stg: {}}", "{stg: {}, prod: {defer_to: stg}}"])
def test_a_commit_cannot_take_a_gate_away(tmp_path: Path, targets: str) -> None:
    config = settle(committed(tmp_path, f"targets: {targets}\n"), JOB)
    assert config.targets["prod"] == TargetConfig(gate="approval", defer_to="stg")
    assert config.overruled == ("prod has no gate in dbx_cd.yml; it is gated, by the job's definition",)


def test_a_commit_may_gate_more(tmp_path: Path) -> None:
    text = "targets: {stg: {}, uat: {gate: approval, defer_to: stg}, prod: {gate: approval, defer_to: uat}}\n"
    config = settle(committed(tmp_path, text), JOB)
    assert set(config.gates) == {"uat", "prod"}
    assert config.targets["prod"].defer_to == "uat"


def test_the_order_of_the_gates_is_the_job_s(tmp_path: Path) -> None:
    two = Standing("the job's definition", gates=("uat", "prod"), is_in_order=True, staging="stg")
    gated = "{gate: approval, defer_to: stg}"
    config = settle(committed(tmp_path, f"targets: {{stg: {{}}, prod: {gated}, uat: {gated}}}\n"), two)
    assert config.gates == ("uat", "prod")
    assert config.overruled == ("the gates come in the order prod, uat in dbx_cd.yml; uat, prod counts",)


def test_a_gate_of_earlier_days_comes_before_none_and_is_no_difference(tmp_path: Path) -> None:
    log = Standing("the release log", gates=("uat", "prod"), staging="stg")
    text = "targets: {stg: {}, prod: {gate: approval, defer_to: stg}}\n"
    for sources in ((log,), (JOB, log)):
        config = settle(committed(tmp_path, text), *sources)
        assert (config.gates, config.overruled) == (("prod", "uat"), ())


def test_what_a_commit_does_not_say_is_no_difference(tmp_path: Path) -> None:
    config = settle(committed(tmp_path), JOB)
    assert config.approvers == "data_owners"
    assert config.overruled == ()


def test_what_nobody_says_is_the_commit_s(tmp_path: Path) -> None:
    config = settle(committed(tmp_path, "approvers: owners\npolicies: {auto_rollback: any}\n"), Standing("the log"))
    assert (config.approvers, config.policies.auto_rollback, config.overruled) == ("owners", "any", ())


def test_the_first_that_says_something_counts(tmp_path: Path) -> None:
    config = settle(committed(tmp_path), JOB, Standing("the log", approvers="others", gates=("eu",), staging="stg"))
    assert config.approvers == "data_owners"
    assert config.gates == ("prod", "eu")


def test_a_gate_without_anything_before_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="prod is gated, and nothing says which target is built and tested before it"):
        settle(committed(tmp_path, "targets: {stg: {}}\n"), Standing("the job's definition", gates=("prod",)))


def test_the_log_keeps_gate_and_approvers_of_what_was_asked_before(tmp_path: Path) -> None:
    releases = Releases(tmp_path / "releases")
    releases.ask(releases.staged())
    known = log_standing(releases.cd().log.read())
    assert (known.gates, known.approvers, known.staging) == (("prod",), APPROVERS, "stg")
    config = settle(committed(tmp_path, "targets: {stg: {}, prod: {}}\napprovers: everybody\n"), known)
    assert (config.gates, config.approvers) == (("prod",), APPROVERS)
    assert len(config.overruled) == 2


def test_an_empty_log_says_nothing() -> None:
    assert log_standing(ReleaseLog.on(MemoryLogTable()).read()) == Standing("the release log")


def test_a_job_that_builds_a_target_past_no_gate_is_right_about_it(tmp_path: Path) -> None:
    job = Standing("the job", gates=("prod",), open_targets=("uat",), is_in_order=True, staging="uat")
    log = Standing("the release log", gates=("uat", "prod"), staging="stg")
    config = settle(committed(tmp_path, "targets: {uat: {}, prod: {gate: approval, defer_to: uat}}\n"), job, log)
    assert config.gates == ("prod",)


def test_what_somebody_else_wrote_makes_no_gate(tmp_path: Path) -> None:
    releases = Releases(tmp_path / "releases")
    release = releases.staged()
    releases.cd(DEVELOPER).log.append(release, Deploying("stg"))
    assert log_standing(releases.cd().log.examined(workflow=Identities(BOT, BOT))[0]).gates == ()


PACKAGED = replace(JOB, open_targets=("stg",))
OWN = replace(JOB, gates=("uat", "production"), open_targets=("qa",), staging="qa")
QA = "{qa: {}, uat: {gate: approval, defer_to: qa}, production: {gate: approval, defer_to: qa}}"


@pytest.mark.parametrize(
    ("definition", "targets", "write"),
    [
        (PACKAGED, QA, "targets: {stg: {}, prod: {gate: approval, defer_to: stg}}"),
        (OWN, None, f"targets: {QA}"),
        (OWN, "{qa: {}, prod: {gate: approval, defer_to: qa}}", f"targets: {QA}"),
    ],
    ids=["a project of its own names with the packaged job", "no settings", "one name of two"],
)
def test_a_job_for_targets_of_other_names_is_told_at_once_with_what_to_write(
    tmp_path: Path, definition: Standing, targets: str | None, write: str
) -> None:
    config = committed(tmp_path, f"targets: {targets}\n") if targets else CdConfig.load(tmp_path)
    with pytest.raises(ConfigError, match=r"the job builds .*, and the project's targets are ") as raised:
        require_targets(config, definition)
    assert f"`{write}`" in (raised.value.next_step or "")
    assert "commit it" in (raised.value.next_step or "")
    is_there = targets is not None
    assert ("by default: no dbx_cd.yml with `targets` is committed" in raised.value.what) is not is_there
    assert raised.value.where == str(tmp_path / "dbx_cd.yml" if is_there else tmp_path)
    written = committed(tmp_path, f"{write}\n")
    require_targets(written, definition)
    assert set(written.targets) == {*definition.open_targets, *definition.gates}


@pytest.mark.parametrize(
    ("definition", "targets"),
    [
        (PACKAGED, "{stg: {}, prod: {}}"),
        (PACKAGED, "{stg: {}}"),
        (PACKAGED, "{stg: {}, dev: {}, uat: {gate: approval, defer_to: stg}, prod: {gate: approval, defer_to: stg}}"),
        (OWN, QA),
        (JOB, "{stg: {}, prod: {gate: approval, defer_to: stg}}"),
    ],
    ids=["no gate", "a gate left out", "more than the job builds", "the same", "a job that builds nothing open"],
)
def test_what_a_commit_has_more_or_less_is_no_matter_of_names(
    tmp_path: Path, definition: Standing, targets: str
) -> None:
    require_targets(committed(tmp_path, f"targets: {targets}\n"), definition)
