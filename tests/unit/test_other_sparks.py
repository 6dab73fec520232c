"""What runs on Spark Connect and on Spark 3.5: nothing is left out in silence, and never too much."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from other_sparks import AT_LEAST, FILES, summary, why_not

ROOT = Path(__file__).parents[2]


def item(*marks: pytest.MarkDecorator, fixtures: tuple[str, ...] = ("spark",)) -> Any:
    found = [mark.mark for mark in marks]
    return SimpleNamespace(nodeid="t", fixturenames=fixtures, iter_markers=lambda _name: iter(found))


OLD = pytest.mark.not_on("spark35", reason="it has no pipes")


@pytest.mark.parametrize(
    ("test", "kind", "reason"),
    [
        (item(), "spark35", None),
        (item(OLD), "spark35", "it has no pipes"),
        (item(OLD), "connect", None),
        (item(OLD), "embedded", None),
        (item(fixtures=("workspace",)), "connect", "needs the embedded workspace itself"),
        (item(fixtures=("workspace",)), "embedded", None),
    ],
)
def test_a_test_is_left_out_for_a_reason(test: Any, kind: str, reason: str | None) -> None:
    assert why_not(test, kind) == reason


@pytest.mark.parametrize(
    "mark", [pytest.mark.not_on("spark3", reason="no such kind"), pytest.mark.not_on("spark35")], ids=["kind", "reason"]
)
def test_a_mark_without_a_known_kind_or_a_reason_is_refused(mark: pytest.MarkDecorator) -> None:
    with pytest.raises(pytest.UsageError, match="and a reason"):
        why_not(item(mark), "connect")


@pytest.mark.parametrize("kind", AT_LEAST)
def test_a_whole_run_of_too_few_tests_fails_and_says_so(kind: str) -> None:
    few = AT_LEAST[kind] - 1
    lines, enough = summary(few, kind=kind, is_whole=True)
    assert not enough
    assert f"only {few} passed" in lines[-1]
    assert summary(few, kind=kind, is_whole=False)[1]
    assert summary(few + 1, kind=kind, is_whole=True)[1]


def test_every_file_that_is_to_run_is_there() -> None:
    assert [name for name in FILES if not (ROOT / "tests" / "spark" / name).is_file()] == []


def test_ci_runs_each() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    assert sorted(jobs["other-sparks"]["strategy"]["matrix"]["target"]) == ["test-connect", "test-spark35"]
    assert sorted(AT_LEAST) == ["connect", "spark35"]
