"""`requirements-dbt.txt`: what dbt's own environment has, resolved once for every Python that a runtime may bring."""

from __future__ import annotations

import logging
import secrets
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from dbx_cd.dbt.requirements_lock import FILE_NAME, RequirementsLock, normalized
from dbx_cd.errors import ConfigError
from dbx_cd.uv_calls import IndexUnreachable, run_uv

IN_NAME = "requirements-dbt.in"
"""What a team wants to have in the environment, beside the lock; without it the ranges that dbx_cd is tested with."""
PYTHONS = ("3.11", "3.12", "3.13")
"""The Pythons of runtimes and of CI that a lock is made for; the first one is where it begins."""

_HEADER = """\
# What dbt runs with, in an environment of its own. Locked for Python {python} and later, on every platform, by
#     {command}
# from {source}. Commit it: a release builds with exactly these packages.
"""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class LockResult:
    """What `lock_dbt` has found or written."""

    path: Path
    """The lock."""
    changed: tuple[str, ...]
    """Each package that is locked otherwise than before, as a line; none where nothing was locked before."""
    written: bool
    """Whether the file was written."""
    packages: int
    """How many packages it names."""
    unasked: bool = False
    """Whether no index could be asked, so that only what is asked for was compared."""

    def __str__(self) -> str:
        what = "written" if self.written else "as it would be written now"
        what = "all that is asked for; the package index cannot be reached" if self.unasked else what
        return f"{self.path}: {self.packages} packages, {what}"


def packaged_lock() -> str:
    """The lock that comes with this version of dbx_cd, of `packaged_ranges`: the one that its tests have run with."""
    return (resources.files("dbx_cd") / "setup" / FILE_NAME).read_text(encoding="utf-8")


def packaged_ranges() -> str:
    """The versions of dbt that dbx_cd is tested with, as a requirements file."""
    return (resources.files("dbx_cd") / "bundle" / "requirements" / "dbt.txt").read_text(encoding="utf-8")


def lock_dbt(
    project: Path, *, requirements: Sequence[str] = (), python: str = PYTHONS[0], upgrade: bool = False,
    check: bool = False,
) -> LockResult:  # fmt: skip
    """Write the lock of a project; what is locked already stays so long as it fits.

    Args:
        project: the folder with `dbt_project.yml`.
        requirements: more that it shall hold to, such as `dbt-core==1.11.16`.
        python: the oldest Python that it is for.
        upgrade: take the newest versions, whatever was locked before.
        check: write nothing.

    Raises:
        ConfigError: there is no project; a requirement is none; or with `check`, the lock is not what would be written.
        SetupError: the packages cannot be resolved, or the index cannot be reached.
    """
    if not (project / "dbt_project.yml").is_file():
        raise ConfigError("no dbt_project.yml", where=project, next_step="give the folder of the dbt project")
    path = project / FILE_NAME
    before = None if upgrade else RequirementsLock.find(project)
    wanted = _wanted(project, requirements)
    if check:
        return _checked(path, before, wanted, python=python)
    text = header(requirements=requirements, python=python, of_a_file=(project / IN_NAME).is_file())
    text += resolved(wanted, python=python, before="" if before is None else before.text, where=path)
    fresh = RequirementsLock.parse(text, path=path)
    changed = () if before is None else tuple(_changes(before, fresh))
    written = before is None or before.text != text
    if written:
        _write(path, text)
    return LockResult(path, changed, written, len(fresh.pins))


def resolved(wanted: str, *, python: str, before: str, where: object) -> str:
    """What a requirements file means today, with hashes, for every platform and a Python or any later one.

    Args:
        wanted: the requirements file.
        python: the oldest Python.
        before: what is locked already, and stays so long as it fits; "" for nothing.
        where: what an error is about.

    Raises:
        SetupError: it cannot be resolved.
    """
    with tempfile.TemporaryDirectory(prefix="dbx_cd-") as folder:
        # By these names, and from this folder: uv writes them into the comments.
        (Path(folder) / IN_NAME).write_text(wanted, encoding="utf-8")
        out = Path(folder) / FILE_NAME
        out.write_text(before, encoding="utf-8")
        run_uv(
            ["pip", "compile", "--quiet", "--universal", "--generate-hashes", "--python-version", python,
             "--no-build", "--no-header", "--no-emit-index-url", "--no-emit-find-links", "--no-python-downloads",
             "--output-file", out.name, IN_NAME],
            doing="locking dbt's packages", cwd=Path(folder), where=where,
        )  # fmt: skip
        return out.read_text(encoding="utf-8")


def unmet(lock: RequirementsLock, wanted: str) -> list[str]:
    """What a requirements file asks for and a lock does not have, a line each; no index is asked.

    Args:
        lock: the lock.
        wanted: the requirements file.
    """
    missing = []
    for requirement in _parsed(wanted):
        pins = [pin for pin in lock.pins if pin.name == normalized(requirement.name)]
        if not pins or not all(requirement.specifier.contains(pin.version, prereleases=True) for pin in pins):
            found = ", ".join(pin.version for pin in pins) or "nothing"
            missing.append(f"{requirement} is asked for, and {found} is locked")
    return missing


def _wanted(project: Path, requirements: Sequence[str]) -> str:
    """The requirements file that is resolved."""
    own = project / IN_NAME
    try:
        text = own.read_text(encoding="utf-8") if own.is_file() else packaged_ranges()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot be read: {exc}", where=own) from exc
    wanted = text.rstrip("\n") + "\n" + "".join(f"{line}\n" for line in requirements)
    names = {normalized(requirement.name) for requirement in _parsed(wanted, where=own if own.is_file() else None)}
    if "dbt-core" not in names and "dbt-databricks" not in names:
        raise ConfigError(
            "neither dbt-core nor dbt-databricks is asked for",
            where=own,
            next_step="name both, such as dbt-core>=1.11,<1.12 and dbt-databricks>=1.11,<1.13",
        )
    return wanted


def _parsed(text: str, *, where: Path | None = None) -> list[Requirement]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        content = f" {line}".split(" #")[0].strip()
        if content:
            try:
                found.append(Requirement(content))
            except InvalidRequirement as exc:
                raise ConfigError(
                    f"line {number} is no requirement: {content!r}",
                    where=where or "requirement",
                    next_step="name a package and its versions, such as dbt-core>=1.11,<1.12, and no option or file",
                ) from exc
            if found[-1].url is not None:
                raise ConfigError(
                    f"line {number} is an address, whose content nobody can lock: {found[-1].name}",
                    where=where or "requirement",
                    next_step="name a version that the package index has",
                )
    return found


def header(*, requirements: Sequence[str] = (), python: str = PYTHONS[0], of_a_file: bool = False) -> str:
    """The lines above a lock, which say how to make it again.

    Args:
        requirements, python: as for `lock_dbt`.
        of_a_file: whether the project has a requirements file of its own.
    """
    words = ["python -m dbx_cd lock-dbt", *(f"--requirement '{one}'" for one in requirements)]
    words += [f"--python-version {python}"] if python != PYTHONS[0] else []
    source = IN_NAME if of_a_file else "the versions that dbx_cd is tested with"
    return _HEADER.format(python=python, command=" ".join(words), source=source)


def _checked(path: Path, before: RequirementsLock | None, wanted: str, *, python: str) -> LockResult:
    """Compare a lock with what is asked for, and where the index can be reached with what would be written now."""
    again = "python -m dbx_cd lock-dbt, and commit it"
    if before is None:
        raise ConfigError("there is no lock", where=path, next_step=again)
    missing = unmet(before, wanted)
    if missing:
        raise ConfigError("; ".join(missing), where=path, next_step=again)
    packages = len(before.pins)
    try:
        now = resolved(wanted, python=python, before=before.text, where=path)
    except IndexUnreachable:
        return LockResult(path, (), written=False, packages=packages, unasked=True)
    changed = list(_changes(before, RequirementsLock.parse(now, path=path)))
    if changed:
        raise ConfigError(f"it is not what would be written now: {'; '.join(changed)}", where=path, next_step=again)
    return LockResult(path, (), written=False, packages=packages)


def _changes(before: RequirementsLock, after: RequirementsLock) -> Iterator[str]:
    old, new = ({(pin.name, pin.marker): (pin.version, pin.hashes) for pin in lock.pins} for lock in (before, after))
    for key in sorted({**old, **new}):
        if old.get(key) != new.get(key):
            a, b = (side[key][0] if key in side else "nothing" for side in (old, new))
            yield f"{key[0]}{f' ({key[1]})' if key[1] else ''} {a} -> {b if a != b else f'{b} with other files'}"


def _write(path: Path, text: str) -> None:
    """The whole file or none."""
    with whole_file(path) as fresh:
        fresh.write_text(text, encoding="utf-8")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file that is written beside its place, and moved there when it is whole.

    Raises:
        ConfigError: it cannot be written.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield fresh
        fresh.replace(path)
    except OSError as exc:
        raise ConfigError(
            f"cannot be written: {exc.strerror or exc}", where=path, next_step="free the disk, or give the right to it"
        ) from exc
    finally:
        fresh.unlink(missing_ok=True)
