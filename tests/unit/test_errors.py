from __future__ import annotations

import inspect
import traceback
from dataclasses import dataclass

import pytest

from dbx_cd import (
    ApprovalRequired,
    ApprovalStale,
    ArtifactError,
    ArtifactNotFound,
    ConfigError,
    DbtFailed,
    DbxCdError,
    RestoreFailed,
    SmokeFailed,
    SqlFailed,
    Verdict,
    WorkflowError,
    errors,
)
from dbx_cd.records import Record


@dataclass(frozen=True)
class Outcome(Record):
    told: str


CLASSES = [
    c
    for _, c in inspect.getmembers(errors, inspect.isclass)
    if c.__module__ == "dbx_cd.errors" and issubclass(c, Exception)
]


def test_message_says_what_where_and_the_next_step() -> None:
    error = DbxCdError("the file is missing", where="a/b.yml", next_step="write it")
    assert str(error) == "the file is missing (a/b.yml). Next: write it"
    assert (error.what, error.where, error.next_step) == ("the file is missing", "a/b.yml", "write it")


def test_message_without_place_and_next_step_is_the_clause_alone() -> None:
    assert str(DbxCdError("it broke")) == "it broke"


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_one_of_the_root(error: type[Exception]) -> None:
    assert issubclass(error, DbxCdError)


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_is_public(error: type[Exception]) -> None:
    import dbx_cd

    assert error.__name__ in dbx_cd.__all__


def test_missing_artifacts_are_caught_as_artifact_errors() -> None:
    assert issubclass(ArtifactNotFound, ArtifactError)


def test_every_reason_against_building_production_is_caught_as_one() -> None:
    reasons = {c.__name__ for c in ApprovalRequired.__subclasses__()}
    assert reasons >= {f"Approval{why}" for why in ("Pending", "Rejected", "Expired", "Superseded", "Stale")}


@pytest.mark.parametrize("error", [DbtFailed, RestoreFailed])
def test_failure_carries_its_result(error) -> None:
    assert error("it broke", result=Outcome("x")).result == Outcome("x")


def test_failed_smoke_carries_its_report() -> None:
    assert SmokeFailed("it broke", report=Outcome("x")).report == Outcome("x")


def test_stale_approval_names_what_changed() -> None:
    assert ApprovalStale("it changed", changed=["commit", "artifacts"]).changed == ("commit", "artifacts")


VERDICTS = (ApprovalRequired, DbtFailed, RestoreFailed)


@pytest.mark.parametrize("error", VERDICTS)
def test_a_notebook_shows_a_verdict_without_its_stack(error: type[Verdict]) -> None:
    """By the protocol of IPython's documentation, as its kernel was seen to show it."""
    try:
        raise error("waiting for approval", where="sealed 5ea1", next_step="open the notebook approve")
    except Verdict as exc:
        shown = exc._render_traceback_()
    assert shown == [f"{error.__name__}: waiting for approval (sealed 5ea1)", "Next: open the notebook approve"]


def test_the_stack_of_a_verdict_is_in_the_log_for_whoever_looks_for_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", logger="dbx_cd.errors")
    with pytest.raises(ApprovalRequired) as raised:
        raise ApprovalRequired("no")
    raised.value._render_traceback_()
    assert "test_the_stack_of_a_verdict_is_in_the_log" in caplog.text


def test_outside_of_notebooks_a_verdict_has_its_stack() -> None:
    with pytest.raises(ApprovalRequired) as raised:
        raise ApprovalRequired("no")
    assert "test_errors.py" in "".join(traceback.format_exception(raised.value))


def test_a_fault_keeps_its_stack_in_notebooks() -> None:
    faults = [ConfigError, ArtifactError, WorkflowError, SqlFailed]
    assert [fault for fault in faults if hasattr(fault, "_render_traceback_")] == []


def test_a_message_that_ends_with_a_question_gets_no_full_stop() -> None:
    assert str(DbxCdError("no `a`; did you mean `b`?", next_step="fix it")) == "no `a`; did you mean `b`? Next: fix it"
    assert str(DbxCdError("no `a`", next_step="fix it")) == "no `a`. Next: fix it"
