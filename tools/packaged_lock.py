"""Writes the lock of dbt's environment that the wheel brings, of requirements/dbt.txt: a part of `make lock`.

What requirements/dev.lock has stays so, as far as it fits: that is what the tests run with.
"""

from __future__ import annotations

from pathlib import Path

from dbx_cd.dbt.requirements_lock import FILE_NAME
from dbx_cd.setup.lock_dbt import PYTHONS, header, packaged_ranges, resolved

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "src" / "dbx_cd" / "setup" / FILE_NAME

tested = (ROOT / "requirements" / "dev.lock").read_text(encoding="utf-8")
text = resolved(packaged_ranges(), python=PYTHONS[0], before=tested, where=LOCK)
LOCK.write_text(header() + text, encoding="utf-8")
