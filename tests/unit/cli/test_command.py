"""How any command ends."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
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


PRINTING = """
import argparse, sys
from dbx_cd.cli.command import run_command

def command(options):
    print("done", flush=options.at_once)
    return 0

parser = argparse.ArgumentParser()
parser.add_argument("--at-once", action="store_true")
parser.set_defaults(command=command)
sys.exit(run_command(parser, None))
"""


@pytest.mark.parametrize("arguments", [[], ["--at-once"]])
@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize(
    ("output", "problem"),
    [("> /dev/full", "[Errno 28] No space left on device"), ("| exec 3<&-", "[Errno 32] Broken pipe")],
    ids=["full disk", "closed pipe"],
)
def test_output_that_cannot_be_written_is_one_line(
    arguments: list[str], buffered: bool, output: str, problem: str
) -> None:
    command = f"(sleep 0.2; exec {sys.executable} - {' '.join(arguments)} <<'END'\n{PRINTING}\nEND\n) {output}"
    ran = subprocess.run(
        ["bash", "-c", f"{command}\nexit ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONUNBUFFERED": "" if buffered else "1"},
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (1, f"the output cannot be written: {problem}\n")


def test_no_output_at_all_is_no_problem() -> None:
    ran = subprocess.run(
        ["bash", "-c", f"{sys.executable} - >&- <<'END'\n{PRINTING}\nEND"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_another_error_of_the_system_is_not_taken_for_that() -> None:
    with pytest.raises(FileNotFoundError):
        ends(raising(FileNotFoundError("it is gone")))
