"""The executable blocks of docs/runbook.md."""

from __future__ import annotations

import contextlib
import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

RUNBOOK = Path(__file__).resolve().parents[2] / "docs" / "runbook.md"
_BLOCK = re.compile(r"<!-- run: ([\w-]+)(?:; when: ([^>]*?))? -->\n```(python|sh)\n(.*?)```", re.S)


@dataclass(frozen=True)
class Block:
    """One block; `when` names the situation it is for, "" when it fits any shift."""

    name: str
    when: str
    language: str
    text: str

    def run(self, names: dict[str, Any]) -> str:
        """Run a Python block in a namespace that has `cd` at least; returns what it printed.

        Whoever works by the page has run its block `targets` before.
        """
        if "production" not in names and self.name != "targets":
            BLOCKS["targets"].run(names)
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(self.text, f"runbook: {self.name}", "exec"), names)
        return printed.getvalue()


BLOCKS = {name: Block(name, when, language, text) for name, when, language, text in _BLOCK.findall(RUNBOOK.read_text())}
IN_ORDER = [block for block in BLOCKS.values() if not block.when]
OF_A_SITUATION = [block for block in BLOCKS.values() if block.when]
