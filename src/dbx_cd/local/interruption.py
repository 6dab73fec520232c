"""Ctrl-C, being asked to end, an output that nobody reads: a command ends what it has begun, and says so in a line."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class Interruption:
    """Whether the command was interrupted."""

    has_come: bool = False
    """From then on only what the command itself says at its end is news."""
    reason: str | None = None
    """Why, where nobody has asked for it."""

    def show(self, text: str) -> None:
        """Print a line, from any thread. Where that cannot be, as after `| head`, the command is interrupted."""
        if self.has_come:  # what tasks say while they are ended is in their logs
            return
        try:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        except (OSError, ValueError) as exc:
            self.reason = f"its output cannot be written: {exc}"
            # What is left in the buffer would be tried again at the end of the process (Python, signal: SIGPIPE).
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            os.kill(os.getpid(), signal.SIGINT)

    def come(self, *_: object) -> None:
        """Take the first signal; what comes while the command ends does not cut that short.

        Raises:
            KeyboardInterrupt: it is the first.
        """
        if not self.has_come:
            self.has_come = True
            # Py4j logs a traceback for each call that is interrupted, and so do threads whose JVM is going.
            logging.disable(logging.CRITICAL)
            interrupt = KeyboardInterrupt()
            if self.reason is not None:
                interrupt.add_note(self.reason)
            raise interrupt


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Have SIGINT and SIGTERM end what is done inside as Ctrl-C does."""
    interruption = Interruption()
    before = {number: signal.signal(number, interruption.come) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interruption
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        logging.disable(logging.NOTSET)
