"""What `import dbx_cd` costs, against starting Python alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

from benchmarks.measure import Ratio, side_by_side

LIMIT_SECONDS = 0.5


def measure() -> Iterator[Ratio]:
    """Measure it; the aim is on the difference, which has to stay below `LIMIT_SECONDS`."""
    yield side_by_side(
        f"python -c 'import dbx_cd' / python -c pass (difference to stay below {LIMIT_SECONDS} s)",
        lambda: _python("import dbx_cd"),
        lambda: _python("pass"),
        rounds=7,
    )


def _python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True)
