"""How any command ends."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from dbx_cd import DbxCdError
from dbx_cd.cli.command import run_command


def ends(command: Callable[[argparse.Namespace], int]) -> int:
    parser = argparse.ArgumentParser()
    parser.set_defaults(command=command)
    return run_command(parser, [])


def raising(error: BaseException) -> Callable[[argparse.Namespace], int]:
    def command(_options: argparse.Namespace) -> int:
        raise error

    return command


def test_exit_code_is_the_command_s_own() -> None:
    assert ends(lambda _: 3) == 3


def test_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(raising(DbxCdError("no such release", next_step="look at the log"))) == 1
    assert capsys.readouterr() == ("", "DbxCdError: no such release. Next: look at the log\n")


def test_interrupt_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("", "interrupted\n")


def test_interrupt_says_what_it_leaves(capsys: pytest.CaptureFixture[str]) -> None:
    interrupt = KeyboardInterrupt()
    interrupt.add_note("run 5 goes on")
    assert ends(raising(interrupt)) == 130
    assert capsys.readouterr() == ("", "interrupted; run 5 goes on\n")
