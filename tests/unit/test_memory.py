"""The implementations in memory keep the contract that real Delta keeps (tests/spark/test_contract.py)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from memory.contract import CONTRACT, World
from memory.world import MemoryWorld


@pytest.mark.parametrize("promise", CONTRACT, ids=lambda promise: promise.__name__)
def test_memory_keeps(promise: Callable[[World], None]) -> None:
    promise(MemoryWorld())
