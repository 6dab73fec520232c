"""Folders on the driver's local disk that go when the process ends."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path


def temporary_folder() -> Path:
    """A new folder for what must outlive the call that makes it, such as artifacts that a caller reads.

    Every notebook has a Python process of its own, which ends with its task; a cluster that many jobs share lives on,
    and with it all that is left on its disk.
    """
    folder = Path(tempfile.mkdtemp(prefix="dbx_cd-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
