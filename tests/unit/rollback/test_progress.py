"""How far a restore is: a line for each relation in a log, a bar with its failures written out in a terminal."""

from __future__ import annotations

import io

from dbx_cd.rollback.journal import RestoredRelation
from dbx_cd.rollback.progress import RestoreProgress

DONE = RestoredRelation("prod.s.orders", "restore", "5eal", ok=True, proof="the 2 files")
FAILED = RestoredRelation("prod.s.totals", "recreate_view", "5eal", ok=False, error="no such table")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(stream: io.StringIO) -> str:
    with RestoreProgress(2, stream=stream) as progress:
        progress(DONE)
        progress(FAILED)
    return stream.getvalue()


def test_a_log_gets_a_line_for_each_relation() -> None:
    first, second = shown(io.StringIO()).splitlines()
    assert first.startswith("restore | 1/2 prod.s.orders: restore, the 2 files at ")
    assert second.startswith("restore | 2/2 prod.s.totals: recreate_view, FAILED: no such table at ")


def test_a_terminal_sees_a_bar_and_only_failures_written_out() -> None:
    text = shown(Terminal())
    assert "prod.s.totals: recreate_view, FAILED: no such table\n" in text
    assert "the 2 files" not in text
    assert "1/2" in text
    assert "prod.s.orders" in text
    assert "2/2" in text
