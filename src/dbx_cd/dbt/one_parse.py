"""Several `dbt ls` of one project in one process with one parse: what runs in it, by dbt's own programmatic interface.

It is started as a script, or called in a fork of a warm parent, and imports nothing of dbx_cd, which an interpreter
that starts dbt need not find. Each list is written as a line of its own, in the shape of dbt's events: a macro that
prints writes an event of dbt's, never such a line. What is listed comes from what dbt's runner returns, not from its
events: of later invocations in one process dbt has lost log lines (dbt-core issue 8608).
"""

from __future__ import annotations

import gc
import json
import signal
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

ONE_PARSE = "--dbx-cd-one-parse"
"""The first argument of such an invocation; dbt has no such flag. The arguments of the parse follow."""
LIST = "--dbx-cd-list="
"""Begins the arguments of one list, with its name."""
MAY_FAIL = "--dbx-cd-may-fail="
"""The same for a list that the others do not depend on."""
LISTED = "DbxCdListed"
"""The name of the event that says one list."""

# What dbt says of a list is in its log. A list of nothing and a contract that breaks are answers, also where the
# project makes errors of warnings.
_QUIETLY = ("--log-level", "none", "--no-write-json")


def main(argv: Sequence[str]) -> int:
    """Parse, and list what is asked for.

    Args:
        argv: the arguments of the parse, then those of each list.

    Returns:
        The exit code, as dbt's own: 1 where it failed, 2 where it could not do it.
    """
    (_, parse), *lists = _parts(argv)
    parsed = _invoke(parse)
    if not parsed.success:
        return _code(parsed)
    gc.freeze()  # the manifest stays to the end, and looking at it again is a third of the time of a list (measured)
    flags, parameters = _answers()
    for head, args in lists:
        optional, _, name = head.partition("=")
        listed = _invoke([*args, *_QUIETLY, *flags], manifest=parsed.result, **parameters)
        if listed.success:
            _say(name, listed=[json.loads(line)["unique_id"] for line in listed.result or ()])
        elif f"{optional}=" == MAY_FAIL and isinstance(listed.exception, Exception):
            _say(name, refused=str(listed.exception))
        else:
            return _code(listed)
    return 0


def _parts(argv: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """What each part begins with, and its arguments; the first begins with nothing."""
    head, args = "", list[str]()
    for word in argv:
        if word.startswith((LIST, MAY_FAIL)):
            yield head, args
            head, args = word, []
        else:
            args.append(word)
    yield head, args


def _answers() -> tuple[tuple[str, ...], dict[str, bool]]:
    """The flags and parameters by which warnings stay what they are, as the project has set it for the parse."""
    from dbt import flags

    if getattr(flags.get_flags(), "WARN_ERROR", False):  # type: ignore[no-untyped-call]
        # Set in dbt_project.yml or the environment: no flag of the command line takes it back, and none goes with it.
        return (), {"warn_error": False}
    return ("--warn-error-options", "{}"), {}


def _invoke(args: Sequence[str], *, manifest: Any = None, **parameters: Any) -> Any:
    from dbt.cli.main import dbtRunner

    return dbtRunner(manifest=manifest).invoke(list(args), **parameters)


def _say(name: str, **data: Any) -> None:
    info = {"name": LISTED, "level": "debug", "msg": name}
    _write(json.dumps({"info": info, "data": {"query": name, **data}}))


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _code(result: Any) -> int:
    """The exit code of what failed; why is said in plain words too, for what dbt has written no event of."""
    if result.exception is None:
        return 1
    _write(str(result.exception) or repr(result.exception))
    return 2


def _interrupted(*_: object) -> None:
    """As in `dbx_cd.dbt.process`: a second interrupt would end dbt before it has ended by itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGINT, _interrupted)
    sys.exit(main(sys.argv[2:]))
