"""A folder with the wheels of a lock, for drivers without a network."""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from dbx_cd import volume
from dbx_cd.dbt.requirements_lock import FILE_NAME, RequirementsLock
from dbx_cd.errors import ConfigError, SetupError
from dbx_cd.uv_calls import run_uv

DRIVERS = tuple((python, machine) for python in ("3.11", "3.12") for machine in ("x86_64", "aarch64"))
"""The Pythons and machines of drivers: runtimes 15.4 LTS (3.11), 16.4 and 17.3 LTS (3.12), with Intel or Arm nodes
(Databricks release notes)."""
# manylinux_2_X means glibc 2.X or later (PEP 600); the runtimes from 15.4 on are Ubuntu 22.04 or later, which has 2.35.
_GLIBC = range(5, 36)
_DOING = "filling the wheelhouse"


def fill_wheelhouse(lock: RequirementsLock, folder: Path, *, say: Callable[[str], None]) -> int:
    """Download the wheels that the drivers of runtimes need of a lock, each checked by its hash.

    They are downloaded on local disk and then copied, each whole and in one go, as a Volume wants it. What is in the
    folder already stays.

    Args:
        lock: the lock.
        folder: the wheelhouse, made where it is missing; it may be on a Volume.
        say: takes a line for each kind of driver.

    Returns:
        How many files were copied.

    Raises:
        ConfigError: the folder cannot be used.
        SetupError: a package has no wheel for a driver, or the index cannot be reached.
    """
    if folder.exists() and not folder.is_dir():
        raise ConfigError("this is a file", where=folder, next_step="give a folder")
    with tempfile.TemporaryDirectory(prefix="dbx_cd-", ignore_cleanup_errors=True) as scratch:
        wheels = Path(scratch) / "wheels"
        wheels.mkdir()
        for python, machine in DRIVERS:
            say(f"Python {python}, {machine}")
            _download(_for_driver(lock, python, machine, Path(scratch)), python, machine, into=wheels)
        volume.make_folder(folder)
        present = {name: folder / name for name in volume.files_in(folder)}
        new = [path for path in sorted(wheels.iterdir()) if not _is_same(path, present.get(path.name))]
        for path in new:
            volume.copy(path, folder / path.name)
        return len(new)


def _is_same(fresh: Path, present: Path | None) -> bool:
    return present is not None and hashlib.sha256(fresh.read_bytes()).hexdigest() == volume.digest(present)[0]


def _for_driver(lock: RequirementsLock, python: str, machine: str, scratch: Path) -> Path:
    """What of a lock is for one Python and machine: pip judges markers by the Python that runs it (pip issue 11664)."""
    source, chosen = scratch / FILE_NAME, scratch / f"{python}-{machine}.txt"
    source.write_text(lock.text, encoding="utf-8")
    run_uv(
        ["pip", "compile", "--quiet", "--no-deps", "--generate-hashes", "--no-build", "--no-header", "--no-annotate",
         "--no-emit-index-url", "--no-python-downloads", "--python-version", python,
         "--python-platform", f"{machine}-manylinux_2_35", "--output-file", chosen.name, source.name],
        doing=_DOING, cwd=scratch, where=lock.path,
    )  # fmt: skip
    return chosen


def _download(requirements: Path, python: str, machine: str, *, into: Path) -> None:
    platforms = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC] + [f"manylinux2014_{machine}"]
    platforms += [f"manylinux1_{machine}", f"manylinux2010_{machine}"] if machine == "x86_64" else []
    done = subprocess.run(
        [*_pip(), "download", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps",
         "--only-binary", ":all:", "--implementation", "cp", "--python-version", python,
         *_repeated("--abi", (f"cp{python.replace('.', '')}", "abi3", "none")),
         *_repeated("--platform", platforms), "--dest", str(into), "--requirement", str(requirements)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", cwd=into, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        why = next((line for line in lines if line.startswith("ERROR:")), lines[-1] if lines else "pip gave no reason")
        raise SetupError(
            f"{_DOING} for Python {python} on {machine} failed: {why.removeprefix('ERROR: ')}",
            where=into,
            next_step="lock versions that have wheels for all drivers, by requirements-dbt.in; or let this machine "
            "reach the package index",
        )


def _pip() -> list[str]:
    """uv has no `download` (its issue 3163), and pip is not in every environment: then uv brings it."""
    if importlib.util.find_spec("pip") is not None:
        return [sys.executable, "-P", "-m", "pip"]
    import uv

    return [str(uv.find_uv_bin()), "tool", "run", "--quiet", "pip"]


def _repeated(option: str, values: object) -> Iterator[str]:
    for value in values:  # type: ignore[attr-defined]
        yield from (option, value)
