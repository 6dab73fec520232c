"""Where each ref that leaves the selection resolves: to production, to staging, or nowhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = Literal["target", "state", "nowhere"]


@dataclass(frozen=True)
class Resolution:
    """Where the refs to one node that is not selected resolve."""

    parent: str
    """The unique id of the node that is read."""
    place: Place
    """`target` is what is built into, `state` what it defers to; `nowhere`: neither has it."""
    relation: str
    """The relation that is read, plain and dotted; of `nowhere` the one that would be."""
    readers: tuple[str, ...]
    """The unique ids of the selected nodes that read it, also through ephemeral models; of hooks as well."""
    reason: str
    """Why there, for people."""
    changed: bool = False
    """Whether its own code, or that of something it reads and that does not ship either, is not what production has."""
