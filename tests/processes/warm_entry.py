"""What a warm parent imports in the tests of `dbx_cd.warm`: one environment variable, and small things to do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

READ_ON_IMPORT = os.environ.get("WARM_ENTRY_READS")
if "WARM_ENTRY_SETS" in os.environ:
    os.environ["SET_ON_IMPORT"] = "yes"
    del os.environ["REMOVED_ON_IMPORT"]
PARENT = os.getpid()


def preload() -> None:
    """Everything is imported already."""


def run(argv: Sequence[str]) -> None:
    """Do what the first argument says."""
    match argv:
        case ["tell"]:
            told = {
                "environment": dict(os.environ), "cwd": str(Path.cwd()), "argv": sys.argv[1:], "pid": os.getpid(),
                "session": os.getsid(0), "forked": os.getpid() != PARENT, "input": sys.stdin.read(),
                "descriptors": sorted(int(d.name) for d in Path("/proc/self/fd").iterdir()),
            }  # fmt: skip
            print(json.dumps(told))
        case ["exit", code]:
            sys.exit(int(code))
        case ["raise"]:
            raise LookupError("as asked")
        case ["leave", seconds]:
            subprocess.Popen(["sleep", seconds])
            sys.exit(3)
        case ["wait"]:
            print("waiting", flush=True)
            time.sleep(60)
        case ["clean up"]:
            try:
                print("waiting", flush=True)
                time.sleep(60)
            except KeyboardInterrupt:
                print("cleaned up", flush=True)
                sys.exit(3)
        case ["hang"]:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            print("waiting", flush=True)
            time.sleep(60)
        case _:
            raise ValueError(argv)
