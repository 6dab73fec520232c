"""The folder of one environment of dbt's own: made once on this machine's local disk, whole or not at all.

It is filled under another name and then renamed; who is killed meanwhile leaves nothing that is used. What was made is
looked at again before each use, by name, size and time of every file: systems clear their temporary folders by age, a
file at a time (`tmpfiles.d(5)`), and people edit installed packages.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import platform
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from dbx_cd import volume
from dbx_cd.config import variables_set
from dbx_cd.dbt.requirements_lock import RequirementsLock, normalized
from dbx_cd.digest import digest
from dbx_cd.errors import SetupError
from dbx_cd.local_disk import private_folder
from dbx_cd.uv_calls import run_uv
from dbx_cd.warm import alone

ENVIRONMENTS = "DBX_CD_ENVIRONMENTS"
"""The environment variable by which the embedded workspace tells its tasks the folder: each has a TMPDIR of its own."""
RECORD = "dbx_cd_environment.json"
"""Beside what uv has made: what it was when it was made. Written last."""
UNUSED_SECONDS = 14 * 24 * 3600
_FORMAT = 1

_log = logging.getLogger(__name__)


def environment_folder(lock: RequirementsLock, *, key: str, wheelhouse: Path | None) -> Path:
    """The folder of the environment that a lock describes; made where it is not there, or not as it was made.

    Two processes that ask at once make it once.

    Args:
        lock: the lock.
        key: the digest of the lock, for this Python and platform.
        wheelhouse: the folder of wheels to install from, without a network; None for the package index.

    Raises:
        SetupError: it cannot be made.
    """
    root = cache_folder()
    if root is None:
        raise SetupError(
            "dbt's own environment has no place: the folder for it is not this user's alone",
            where=Path(tempfile.gettempdir()),
            next_step="remove the folder dbx_cd-environments-... there, or set TMPDIR to a folder of this user",
        )
    # Another Python of the same version, such as after an upgrade of the machine, has its own.
    folder = root / digest([_FORMAT, key, sys.version, sys.base_prefix])[:20]
    if _is_whole(folder):
        return folder
    with _turn(folder):
        if not _is_whole(folder):  # else somebody else has made it meanwhile
            _make_room(root, folder)
            _make(lock, folder, wheelhouse)
    return folder


def cache_folder() -> Path | None:
    """This user's folder for environments, on local disk; None where it cannot be had."""
    return private_folder("environments", variable=ENVIRONMENTS)


def _make(lock: RequirementsLock, folder: Path, wheelhouse: Path | None) -> None:
    began = time.monotonic()
    _log.warning("making dbt's own environment from %s: once on this machine, seconds to a minute", lock.path)
    fresh = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}.new")
    try:
        fresh.mkdir(mode=0o700)
        _install(lock, fresh, wheelhouse)
        _try(fresh, lock)
        record = {"files": _files(fresh), "lock": str(lock.path), "packages": len(lock.pins)}
        (fresh / RECORD).write_text(json.dumps(record), encoding="utf-8")
        fresh.rename(folder)
    except OSError as exc:
        raise SetupError(
            f"dbt's own environment cannot be made: {exc.strerror or exc}", where=folder,
            next_step="free the disk, or name a folder on another one by TMPDIR",
        ) from exc  # fmt: skip
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    _log.warning("dbt's own environment is made: %d packages in %.0f s", len(lock.pins), time.monotonic() - began)


def _install(lock: RequirementsLock, fresh: Path, wheelhouse: Path | None) -> None:
    doing = "making dbt's own environment"
    # Relocatable: it is renamed when it is whole. Never another Python than this one, and none from the network.
    run_uv(
        ["venv", "--quiet", "--no-project", "--relocatable", "--allow-existing", "--python", sys.executable,
         "--no-python-downloads", str(fresh)],
        doing=doing, cwd=fresh.parent, where=lock.path, index=False,
    )  # fmt: skip
    with _locked_files(lock, wheelhouse, beside=fresh) as (requirements, wheels):
        source = (
            # A cache of uv's own, that nothing is linked from: who edits an installed package edits no cache.
            ["--cache-dir", os.environ.get("UV_CACHE_DIR") or str(fresh.parent / "uv-cache")]
            if wheels is None
            else ["--no-cache", "--offline", "--no-index", "--find-links", str(wheels)]
        )
        # Wheels only: building from source would run code and packages that are not locked.
        run_uv(
            ["pip", "install", "--quiet", "--python", str(fresh / "bin" / "python"), "--require-hashes", "--no-build",
             "--link-mode", "copy", *source, "--requirement", str(requirements)],
            doing=doing, cwd=fresh.parent, where=lock.path if wheels is None else wheelhouse, index=wheels is None,
        )  # fmt: skip


@contextlib.contextmanager
def _locked_files(
    lock: RequirementsLock, wheelhouse: Path | None, *, beside: Path
) -> Iterator[tuple[Path, Path | None]]:
    """The lock as it was read, and the wheels on local disk; None for the package index.

    A Volume has neither locks nor hard links (Databricks documentation), so uv never works there.
    """
    with tempfile.TemporaryDirectory(prefix=f"{beside.name}.", dir=beside.parent, ignore_cleanup_errors=True) as folder:
        requirements = Path(folder) / lock.path.name
        requirements.write_text(lock.text, encoding="utf-8")
        wheels = _wheelhouse(wheelhouse)
        if wheels is None:
            yield requirements, None
            return
        local = Path(folder) / "wheels"
        local.mkdir()
        for name in _needed(lock, volume.files_in(wheels)):
            volume.copy(wheels / name, local / name)
        yield requirements, local


def _wheelhouse(folder: Path | None) -> Path | None:
    """The wheelhouse that counts: elsewhere than on Databricks there may be no Volumes, and then the index does."""
    if folder is None or folder.is_dir():
        return folder
    if variables_set(("DATABRICKS_RUNTIME_VERSION",)):
        raise SetupError(
            "the wheelhouse is not there",
            where=folder,
            next_step="make it: `python -m dbx_cd lock-dbt --wheelhouse DIR`, and READ VOLUME for the job's identity",
        )
    _log.warning("the wheelhouse %s is not on this machine: dbt is installed from the package index", folder)
    return None


def _needed(lock: RequirementsLock, names: list[str]) -> Iterator[str]:
    """The wheels of locked packages that may be for this machine: each takes seconds to copy."""
    wanted = {(pin.name, pin.version) for pin in lock.pins}
    here = (platform.machine().lower(), "any", "universal2")
    for name in names:
        parts = name.removesuffix(".whl").split("-")
        named = name.endswith(".whl") and len(parts) >= 5 and (normalized(parts[0]), parts[1]) in wanted
        if named and parts[-1].lower().endswith(here):
            yield name


def _try(fresh: Path, lock: RequirementsLock) -> None:
    """Import dbt in it, as an invocation will.

    What the first invocation would compile is compiled by that: tasks of the embedded workspace write no compiled
    modules, and each would compile them again.

    Raises:
        SetupError: it cannot be imported.
    """
    left_out = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE")
    done = subprocess.run(
        [str(fresh / "bin" / "python"), "-P", "-s", alone.__file__, "dbx_cd.dbt.warm"], stdin=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name not in left_out}, cwd=fresh,
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode != 0:
        last = next(reversed(done.stderr.strip().splitlines()), f"exit code {done.returncode}")
        raise SetupError(
            f"dbt cannot be imported in its own environment: {last}",
            where=lock.path,
            next_step="lock versions that go together: python -m dbx_cd lock-dbt",
        )


def _is_whole(folder: Path) -> bool:
    """Whether it is as it was made; that it is used is noted, so that it stays."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        whole = (folder / "bin" / "python").exists() and record["files"] == _files(folder)
        os.utime(folder / RECORD)
    except FileNotFoundError:
        return False
    except (OSError, ValueError, LookupError, TypeError):
        whole = False
    if not whole:
        _log.warning("dbt's own environment in %s is not what was made: it is made anew", folder)
    return whole


def _files(folder: Path) -> str:
    """A digest of all that was installed, by names, sizes and times: 35 ms for 9,000 files (measured)."""
    return hashlib.sha256("\n".join(sorted(_described(str(folder), ""))).encode()).hexdigest()


def _described(folder: str, inside: str) -> Iterator[str]:
    """A line for every file; compiled modules come and go."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir(follow_symlinks=False):
                about = entry.stat(follow_symlinks=False)
                if entry.name != RECORD:
                    yield f"{inside}{entry.name} {about.st_size} {about.st_mtime_ns}"
            elif entry.name != "__pycache__":
                yield from _described(entry.path, f"{inside}{entry.name}/")


@contextlib.contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """One process at a time makes an environment; the system ends the hold with the process, however that ends."""
    import fcntl

    with folder.with_name(f"{folder.name}.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _log.warning("another process is making dbt's own environment; it is waited for")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make_room(root: Path, folder: Path) -> None:
    """Remove what is damaged here, what killed processes have left, and environments that nobody uses any more."""
    for path in root.iterdir():
        if path == folder or (path.name.startswith(f"{folder.name}.") and path.is_dir()) or _is_unused(path):
            _remove(path)


def _is_unused(path: Path) -> bool:
    with contextlib.suppress(OSError):
        seen = path / RECORD if (path / RECORD).exists() else path
        return path.is_dir() and path.name != "uv-cache" and seen.stat().st_mtime < time.time() - UNUSED_SECONDS
    return False


def _remove(path: Path) -> None:
    """First by another name: what is half removed is nobody's environment."""
    with contextlib.suppress(OSError):
        aside = path.with_name(f"{path.name.partition('.')[0]}.{secrets.token_hex(4)}.old")
        path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
