"""How any command ends: done, failed in one line, or used wrongly."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from dbx_cd.errors import DbxCdError


def run_command(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> int:
    """Parse and run the command that the parser has set.

    Returns:
        Its exit code; 1 for an error of dbx_cd, which is one line, and 130 for Ctrl-C, as shells have it, with
        what it leaves.
    """
    options = parser.parse_args(arguments)
    try:
        return int(options.command(options))
    except DbxCdError as exc:
        print(f"{type(exc).__name__}: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as exc:
        print("; ".join(["interrupted", *getattr(exc, "__notes__", ())]), file=sys.stderr)
        return 130
