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
from dataclasses import dataclass, field
from pathlib import Path

# Read by the interpreter or C libraries, which no Python code can watch, or found by going over all variables while
# importing (dbt-common 1.37, networkx 3: DBT_ENV_CUSTOM_ENV_, DBT_ENV_SECRET_, NETWORKX_).
_ALWAYS_COMPARED = ("PYTHON", "LC_", "LANG", "LD_", "MALLOC_", "OMP_", "MKL_", "TZ", "OPENSSL_", "DBT_", "NETWORKX_")

# OpenBLAS (numpy) and jemalloc (pyarrow) start threads while they are imported, unless told not to (measured).
_NO_NATIVE_THREADS = {"OPENBLAS_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"}
_THREADS = Path("/proc/self/task")

Files = Mapping[str, int]


def environment_fingerprint(prefix: Path | None = None) -> str:
    """A digest of an interpreter and of the versions of all packages installed beside it, as they are on disk now.

    Args:
        prefix: the folder of a virtual environment of this Python; by default where this interpreter itself is.
    """
    parts = [sys.version, sys.prefix if prefix is None else str(prefix)]
    for folder in package_folders(prefix):
        with contextlib.suppress(OSError):
            parts += sorted(p.name for p in folder.iterdir() if p.suffix in (".dist-info", ".egg-link", ".pth"))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def package_folders(prefix: Path | None = None) -> list[Path]:
    """Where packages are installed.

    Args:
        prefix: the folder of a virtual environment of this Python; by default where this interpreter itself is.
    """
    if prefix is None:
        found = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    else:
        variables = {name: str(prefix) for name in ("base", "platbase", "installed_base", "installed_platbase")}
        found = [sysconfig.get_path(kind, "venv", vars=variables) for kind in ("purelib", "platlib")]
    return [Path(folder) for folder in sorted(set(found))]


@dataclass
class Imported:
    """What imports did with the environment."""

    before: dict[str, str]
    """All variables as they were."""
    read: set[str] = field(default_factory=set)
    """The names that were looked up, set or not."""
    changed: dict[str, str | None] = field(default_factory=dict)
    """The variables that the imports set; None for those they removed."""

    def differing(self, theirs: Mapping[str, str]) -> list[str]:
        """The variables by which the same imports could go otherwise in another environment."""
        names = self.read | {name for name in (*self.before, *theirs) if name.startswith(_ALWAYS_COMPARED)}
        found = {name for name in names if self.before.get(name) != theirs.get(name)}
        if not all(Path(entry).is_absolute() for entry in theirs.get("PYTHONPATH", "/").split(os.pathsep)):
            found.add("PYTHONPATH")  # it means another folder in every current directory
        return sorted(found)

    def change_environment(self, wanted: Mapping[str, str]) -> None:
        """Make another environment that of this process, as it would be after the same imports."""
        os.environ.clear()
        os.environ.update(wanted)
        for name, value in self.changed.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def recorded_imports() -> Iterator[Imported]:
    """Watch what Python code does with the environment meanwhile.

    Going over all variables is not looking one up: what does so on import is in `_ALWAYS_COMPARED`.
    """
    plain = type(os.environ)
    imported = Imported(dict(os.environ))

    class Recording(plain):  # type: ignore[misc, valid-type]
        def __getitem__(self, name: str) -> str:
            imported.read.add(name)
            return str(super().__getitem__(name))

        def items(self) -> ItemsView[str, str]:
            return self.copy().items()

        def copy(self) -> dict[str, str]:
            return {name: plain.__getitem__(self, name) for name in self}

    os.environ.__class__ = Recording
    try:
        yield imported
    finally:
        os.environ.__class__ = plain
        after = dict(os.environ)
        names = imported.before.keys() | after.keys()
        imported.changed = {n: after.get(n) for n in names if after.get(n) != imported.before.get(n)}


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
