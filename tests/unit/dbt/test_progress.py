from __future__ import annotations

import io
import json
import re
from types import SimpleNamespace
from typing import Any

import pytest

from dbx_cd.dbt.events import DbtEvent
from dbx_cd.dbt.progress import DbtProgress, NodeCounter, NodeNames
from recorded_dbt import recorded_dbt


def line(name: str, node: str | None = None, *, level: str = "info", message: str = "", **data: Any) -> str:
    """One line of dbt's structured log, with the fields that dbt-core 1.11 writes."""
    about = {"node_info": {"node_name": node, "unique_id": f"model.shop.{node}"}} if node else {}
    return json.dumps({"info": {"name": name, "level": level, "msg": message}, "data": {**about, **data}}) + "\n"


def start(node: str, total: int = 3) -> DbtEvent:
    return DbtEvent.parse(line("LogStartLine", node, index=1, total=total))


def end(node: str, total: int = 3, status: str = "success", level: str = "info", message: str = "") -> DbtEvent:
    return DbtEvent.parse(
        line("LogModelResult", node, index=1, total=total, status=status, level=level, message=message)
    )


def test_event_is_read_from_a_line() -> None:
    event = DbtEvent.parse(line("LogModelResult", "orders", level="error", message="it broke", total=2))
    assert (event.name, event.level, event.message, event.node) == ("LogModelResult", "error", "it broke", "orders")


@pytest.mark.parametrize(
    "text", ["a warning of Python", "", "{", "[1]", "null", "3", '"text"', '{"info": 1}', "{}", "[" * 99999]
)
def test_line_that_is_no_event_is_kept_as_output(text: str) -> None:
    event = DbtEvent.parse(text + "\n")
    assert (event.name, event.level, event.message, event.node) == ("Output", "info", text, None)


@pytest.mark.parametrize("name", ["LogModelResult", "LogTestResult", "LogSeedResult", "LogSnapshotResult"])
def test_result_line_ends_its_node(name: str) -> None:
    event = DbtEvent.parse(line(name, "orders", index=1, total=2, status="success"))
    assert (event.starts_node, event.ends_node) == (False, True)


def test_start_line_starts_its_node() -> None:
    assert (start("orders").starts_node, start("orders").ends_node) == (True, False)


@pytest.mark.parametrize("total", ["x", [3], None, {}])
def test_a_total_that_is_no_number_ends_no_node(total: object) -> None:
    assert not DbtEvent.parse(line("LogModelResult", "orders", total=total)).ends_node


@pytest.mark.parametrize("name", ["LogHookStartLine", "CompiledNode"])
def test_other_events_about_a_node_neither_start_nor_end_it(name: str) -> None:
    more = {"total": 3} if name == "LogHookStartLine" else {}
    event = DbtEvent.parse(line(name, "orders", **more))
    assert (event.starts_node, event.ends_node) == (False, False)


def test_counter_knows_done_total_and_what_runs_now() -> None:
    counter = NodeCounter()
    for event in (start("a"), start("b"), end("a"), start("c")):
        counter.take(event)
    assert (counter.done, counter.total, counter.now) == (1, 3, "b, c")


def test_counter_names_nodes_that_failed() -> None:
    counter = NodeCounter()
    for event in (start("a"), end("a", level="error", status="error"), start("b"), end("b")):
        counter.take(event)
    assert (counter.failed, counter.done) == (["a"], 2)


def test_skipped_node_counts_as_done_without_having_started() -> None:
    counter = NodeCounter()
    counter.take(DbtEvent.parse(line("SkippingDetails", "a", index=1, total=2, status="skipped")))
    assert (counter.done, counter.total) == (1, 2)


def test_counter_ignores_lines_about_no_node() -> None:
    counter = NodeCounter()
    counter.take(DbtEvent.parse("some output"))
    counter.take(DbtEvent.parse(line("MainReportVersion", total=9)))
    assert (counter.done, counter.total, counter.now) == (0, 0, "")


def test_counter_never_counts_more_than_there_are() -> None:
    counter = NodeCounter()
    for _ in range(3):
        counter.take(end("a", total=1))
    assert (counter.done, counter.total) == (1, 1)


def test_many_running_nodes_are_cut_to_the_longest_running() -> None:
    counter = NodeCounter()
    for name in "abcde":
        counter.take(start(name))
    assert counter.now == "a, b, c +2"


def shown(*events: DbtEvent) -> list[str]:
    """The lines that a log file gets."""
    stream = io.StringIO()
    with DbtProgress("dbt build (stg)", stream=stream) as progress:
        for event in events:
            progress.take(event)
    return stream.getvalue().splitlines()


def test_log_file_gets_one_line_for_every_node_that_ends() -> None:
    lines = shown(start("a"), start("b"), end("b"), end("a"))
    assert [text.rsplit(" at ", 1)[0] for text in lines] == [
        "dbt build (stg) | 1/3 b: success",
        "dbt build (stg) | 2/3 a: success",
    ]


def test_a_node_that_is_skipped_is_called_skipped() -> None:
    events = map(DbtEvent.parse, recorded_dbt("build_node_failed").lines)
    lines = shown(*events)
    assert [text.split(" | ")[1].rsplit(" at ", 1)[0] for text in lines if "busy_sites" in text] == [
        "8/8 busy_sites: skipped"
    ]


def test_failures_and_warnings_are_written_out() -> None:
    warning = DbtEvent.parse(line("Deprecation", level="warn", message="this is deprecated"))
    lines = shown(warning, start("a"), end("a", level="error", status="error", message="no such column"))
    assert lines[0] == "dbt build (stg) | this is deprecated"
    assert lines[1] == "dbt build (stg) | no such column"
    assert lines[2].startswith("dbt build (stg) | 1/3 a: error at ")


def test_log_file_is_spared_ordinary_messages() -> None:
    assert shown(DbtEvent.parse(line("MainReportVersion", message="Running with dbt")), DbtEvent.parse("output")) == []


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_sees_a_line_with_nodes_done_total_and_current() -> None:
    stream = Terminal()
    with DbtProgress("dbt build (stg)", stream=stream) as progress:
        progress.take(start("a"))
        progress.take(end("a"))
        progress.take(start("b"))
    moving = stream.getvalue()
    assert "dbt build (stg)" in moving
    assert "1/3" in moving
    assert "b" in moving.split("1/3")[-2] + moving.split("1/3")[-1]


def test_test_result_which_gives_its_total_as_num_models_is_counted() -> None:
    counter = NodeCounter()
    counter.take(DbtEvent.parse(line("LogTestResult", "unique_orders", index=1, num_models=4, status="pass")))
    assert (counter.done, counter.total) == (1, 4)


def ended(scenario: str) -> list[str]:
    """The names in the lines of the nodes that ended, in a recorded invocation."""
    lines = shown(*map(DbtEvent.parse, recorded_dbt(scenario).lines))
    return [text.split(" | ")[1].split(" ", 1)[1].split(": ")[0] for text in lines if re.search(r"\| \d+/\d+ ", text)]


def test_versions_of_a_model_are_told_apart() -> None:
    assert {"customers.v1", "customers.v2", "customers.v3", "regions"} <= set(ended("versions"))


def test_models_of_one_name_in_two_packages_are_told_apart() -> None:
    names = ended("two_packages")
    assert len(names) == len(set(names))
    assert sorted(name for name in names if "orders" in name) in (
        ["finance.orders", "orders"],
        ["orders", "two_packages.orders"],
    )


def test_what_runs_now_has_both_nodes_of_one_name() -> None:
    counter = NodeCounter()
    finance = line("LogStartLine", "orders", index=2, total=3).replace("model.shop", "model.finance")
    for event in (start("orders"), DbtEvent.parse(finance)):
        counter.take(event)
    assert counter.now == "orders, finance.orders"


def test_a_warning_is_shown_without_dbts_own_number() -> None:
    lines = shown(*map(DbtEvent.parse, recorded_dbt("build_test_warned").lines))
    assert any(text.startswith("dbt build (stg) | WARN ") for text in lines)
    assert not [text for text in lines if re.search(r"\d+ of \d+ ", text)]


def test_three_nodes_of_one_name_have_three_names() -> None:
    names = NodeNames()
    ids = ("model.shop.orders", "snapshot.shop.orders", "seed.shop.orders")
    events = [DbtEvent("LogStartLine", "info", "", {"node_info": {"unique_id": i, "node_name": "orders"}}) for i in ids]
    assert [names.of(event) for event in (*events, *events)] == ["orders", "shop.orders", "seed.shop.orders"] * 2


def test_a_message_that_counts_something_else_is_shown_as_it_is() -> None:
    stream = io.StringIO()
    with DbtProgress("build", stream=stream) as progress:
        progress.take(DbtEvent("JinjaLogWarning", "warn", "12 of 13 rows are wrong", {}))
    assert "12 of 13 rows are wrong" in stream.getvalue()


def test_a_stream_that_can_only_be_written_to_is_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    """What some consoles and loggers put in the place of standard error."""
    written: list[str] = []
    stream = SimpleNamespace(write=written.append, flush=lambda: None, isatty=lambda: False)
    monkeypatch.setattr("sys.stderr", stream)
    with DbtProgress("build") as progress:
        progress.take(DbtEvent("MainEncounteredError", "error", "no such variable", {}))
    assert written == ["build | no such variable\n"]
