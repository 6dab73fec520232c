"""How any command ends: done, failed in one line, or used wrongly."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, TextIO, cast

from dbx_cd.errors import DbxCdError


def run_command(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Parse and run the command that the parser has set.

    Returns:
        Its exit code; 1 for an error of dbx_cd, which is one line, or where its output could not be written, as after
        `| head` or to a full disk, and 130 for Ctrl-C, as shells have it, with what it leaves.
    """
    options = parser.parse_args(arguments)
    output = _Output(sys.stdout)
    try:
        with contextlib.redirect_stdout(cast("TextIO", output)):
            code = _ended(options)
            output.flush()
    except OSError as exc:
        if output.problem is not exc:
            raise
        print(f"the output cannot be written: {exc}", file=sys.stderr)
        # Python would try once more at the end of the process, and say so in its own way (Python, signal: SIGPIPE).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _ended(options: argparse.Namespace) -> int:
    try:
        return int(options.command(options))
    except DbxCdError as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as exc:
        print("; ".join(["interrupted", *getattr(exc, "__notes__", ())]), file=sys.stderr)
        return 130


class _Output:
    """Standard output that knows whether an error is its own. There may be none, as after `>&-`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.problem: OSError | None = None

    def write(self, text: str) -> int:
        """Write, as a stream does."""
        return int(self._try(lambda: self._stream.write(text))) if self._stream is not None else len(text)

    def flush(self) -> None:
        """Flush, as a stream does."""
        if self._stream is not None:
            self._try(self._stream.flush)

    def _try(self, step: Callable[[], Any]) -> Any:
        try:
            return step()
        except OSError as exc:
            self.problem = exc
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
