"""Whether a fork of this process is like a process that its client would start itself.

A fork has the parent's interpreter, packages and whatever they read of the environment while they were imported. It may
stand for a fresh process only where all of that would be the same there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import sysconfig
import threading
from collections.abc import ItemsView, Iterator, Mapping
from pathlib import Path

# Read by the interpreter or C libraries, which no Python code can watch, or found by going over all variables while
# importing (dbt-common 1.37, networkx 3: DBT_ENV_CUSTOM_ENV_, DBT_ENV_SECRET_, NETWORKX_).
_ALWAYS_COMPARED = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "OMP_", "MKL_", "TZ", "OPENSSL_", "DBT_", "NETWORKX_")

# OpenBLAS (numpy) and jemalloc (pyarrow) start threads while they are imported, unless told not to (measured).
_NO_NATIVE_THREADS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
_THREADS = Path("/proc/self/task")

Files = Mapping[str, int]


def environment_fingerprint() -> str:
    """A digest of the interpreter and of the versions of all packages installed beside it, as they are on disk now."""
    parts = [sys.version, sys.prefix]
    for folder in sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}):
        with contextlib.suppress(OSError):
            parts += sorted(p.name for p in Path(folder).iterdir() if p.suffix in (".dist-info", ".egg-link", ".pth"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


@contextlib.contextmanager
def recorded_reads() -> Iterator[set[str]]:
    """Collect the names of the variables that Python code looks up meanwhile, set or not.

    Going over all variables is not looking one up: what does so on import is in `_ALWAYS_COMPARED`.
    """
    names: set[str] = set()
    plain = type(os.environ)

    class Recording(plain):  # type: ignore[misc, valid-type]
        def __getitem__(self, name: str) -> str:
            names.add(name)
            return str(super().__getitem__(name))

        def items(self) -> ItemsView[str, str]:
            return self.copy().items()

        def copy(self) -> dict[str, str]:
            return {name: plain.__getitem__(self, name) for name in self}

    os.environ.__class__ = Recording
    try:
        yield names
    finally:
        os.environ.__class__ = plain


@contextlib.contextmanager
def no_native_threads() -> Iterator[None]:
    """Have libraries that are imported meanwhile start no threads: only a process of one thread forks safely."""
    before = {name: os.environ.get(name) for name in _NO_NATIVE_THREADS}
    os.environ.update(_NO_NATIVE_THREADS)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def thread_count() -> int:
    """How many threads this process has: native ones too where the system tells (Linux, proc(5))."""
    return len(list(_THREADS.iterdir())) if _THREADS.is_dir() else threading.active_count()


def differing(mine: Mapping[str, str], theirs: Mapping[str, str], *, read: set[str]) -> list[str]:
    """The variables by which imports could have gone otherwise.

    Args:
        mine: the environment in which the imports were made.
        theirs: the environment of the client.
        read: the names that the imports looked up.
    """
    names = read | {name for name in (*mine, *theirs) if name.startswith(_ALWAYS_COMPARED)}
    return sorted(name for name in names if mine.get(name) != theirs.get(name))


def loaded_files() -> Files:
    """The source files of all imported modules, with the times (ns) at which they were last changed."""
    found = {}
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if isinstance(path, str):
            with contextlib.suppress(OSError):
                found[path] = Path(path).stat().st_mtime_ns
    return found


def changed_files(files: Files) -> list[str]:
    """Those that are no longer what was imported."""

    def now(path: str) -> int | None:
        try:
            return Path(path).stat().st_mtime_ns
        except OSError:
            return None

    return [path for path, then in files.items() if now(path) != then]
