"""The files of a checkout: those that its commit has, where git can say so, else those that are there.

A checkout by Databricks shows no `.git`; a developer's and CI's do. Links are followed, and never out of the checkout.
"""

from __future__ import annotations

import configparser
import os
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dbx_cd.errors import ConfigError

_HIDDEN = "is marked assume-unchanged or skip-worktree, so git does not say whether it differs"
_LEFT_OUT = "was left out by a sparse checkout, or is marked so and was deleted"
_STATUS = {"?": "is not committed", "D": "was deleted", "U": "is not merged"}


@dataclass(frozen=True)
class Entry:
    """One name in a checkout."""

    name: str
    """Where it is, seen from the folder that was asked for; links are followed, so it may be elsewhere on disk."""
    path: Path | None
    """The file; None for what git does not track, and for what cannot be had."""
    fault: str = ""
    """What is wrong with it; "" for a file as the commit has it."""
    bad_link: bool = False
    """Whether the fault is that of a link or of a submodule, which concerns more than this one file."""
    way_out: str = ""
    """What to do about the fault, where it is something else than to commit or remove what is named."""


@dataclass(frozen=True)
class Checkout:
    """A folder of files that belong together."""

    root: Path
    """The folder that no link may leave: the repository, or without git the folder that was asked for."""
    names: frozenset[str]
    """What it holds, seen from there: files, links, and submodules that are not checked out."""
    in_git: bool = False
    """Whether git says what it holds."""
    changed: dict[str, str] = field(default_factory=dict)
    """What is not as the commit has it, and how."""

    @classmethod
    def around(cls, folder: Path, *, generated: Collection[str] = ()) -> Checkout:
        """The checkout that a folder is in.

        Args:
            folder: a resolved path.
            generated: names right in the folder that are left out where git cannot say what belongs to it.

        Raises:
            ConfigError: it is in a git work tree, and git does not answer.
        """
        root = _work_tree(folder)
        if root is None:
            return cls.of_files(folder, generated=generated)
        listed = _git(root, "ls-files", "-z", "-v", "--recurse-submodules").split("\0")
        tracked = {line[2:]: line[0] for line in listed if line}
        status = _git(
            root, "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=none"
        )
        changed = {line[3:].rstrip("/"): _how(line[:2]) for line in status.split("\0") if line}
        # `git status` trusts these two marks of a file and does not look at it (git-update-index). A file that a sparse
        # checkout leaves out has one of them.
        marked = (name for name, tag in tracked.items() if tag.islower() or tag == "S")
        changed |= {name: _HIDDEN if os.path.lexists(root / name) else _LEFT_OUT for name in marked}
        return cls(root, frozenset(tracked), True, changed)

    @classmethod
    def of_files(cls, folder: Path, *, generated: Collection[str] = ()) -> Checkout:
        """A folder by what is in it, whatever git may say of it."""
        return cls(folder, frozenset(_all_names(folder, generated)) | _empty_submodules(folder))

    def below(self, folder: Path) -> Iterator[Entry]:
        """Everything below a folder of this checkout, by its name seen from there.

        Args:
            folder: a resolved path in the checkout.
        """
        inside = folder.relative_to(self.root).as_posix()
        yield from self._below("" if inside == "." else f"{inside}/", "", ())

    def _below(self, prefix: str, shown: str, followed: tuple[Path, ...]) -> Iterator[Entry]:
        for name in sorted(self.names | self.changed.keys()):
            if name.startswith(prefix):
                seen = shown + name[len(prefix) :]
                path = self.root / name
                if name in self.changed:
                    is_file = name in self.names and path.is_file() and not path.is_symlink()
                    yield Entry(seen, path if is_file else None, self.changed[name])
                elif path.is_symlink():
                    yield from self._linked(path, seen, followed)
                elif path.is_file():
                    yield Entry(seen, path)
                elif path.is_dir() or not (self.in_git or path.exists()):
                    yield Entry(seen, None, "is a submodule that is not checked out", bad_link=True)

    def _linked(self, link: Path, seen: str, followed: tuple[Path, ...]) -> Iterator[Entry]:
        """What a link leads to, under the link's name."""
        try:
            real = link.resolve(strict=True)
        except FileNotFoundError:
            yield Entry(seen, None, f"is a link to {link.readlink()}, which is not there", bad_link=True)
            return
        except (OSError, RuntimeError):  # Python 3.11 and 3.12 raise RuntimeError for a loop
            yield Entry(seen, None, "is a link that leads to itself", bad_link=True)
            return
        inside = real.relative_to(self.root).as_posix() if real.is_relative_to(self.root) else None
        if inside is None:
            whole = "repository" if self.in_git else "project"
            fault = f"is a link to {link.readlink()}, which leaves the {whole}"
            package = "a package from git" if self.in_git else "a local package in packages.yml"
            way_out = f"commit the files in the place of {seen}, or make what it leads to {package}"
            yield Entry(seen, None, fault, bad_link=True, way_out=way_out)
        elif real.is_dir():
            if link.is_relative_to(real) or real in followed:
                yield Entry(seen, None, f"is a link to {link.readlink()}, which holds the link itself", bad_link=True)
                return
            found = list(self._below("" if inside == "." else f"{inside}/", f"{seen}/", (*followed, real)))
            yield from found or [Entry(seen, None, "is a link to a folder with nothing of the commit", bad_link=True)]
        elif inside in self.changed or inside not in self.names:
            why = self.changed.get(inside, "is not committed")
            yield Entry(seen, None, f"is a link to {link.readlink()}, which {why}", bad_link=True)
        else:
            yield Entry(seen, real)


def _work_tree(folder: Path) -> Path | None:
    """The root of the git work tree that a folder belongs to; None where it belongs to none, or git tracks none of it.

    The latter is a checkout that was put below another repository, as the embedded workspace's may be.
    """
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return None
    try:
        root = _git(folder, "rev-parse", "--show-toplevel").rstrip("\n")
    except ConfigError as exc:
        if "not a git repository" in exc.what:
            return None
        raise
    return Path(root).resolve() if root and _git(folder, "ls-files", "-z", "--", ".") else None


def _how(code: str) -> str:
    return next((how for letter, how in _STATUS.items() if letter in code), "differs from the commit")


def _git(folder: Path, *arguments: str) -> str:
    done = _run(folder, *arguments)
    if done.returncode:
        raise ConfigError(
            f"git does not say which files are the project's: {os.fsdecode(done.stderr).strip()}",
            where=folder,
            next_step="let git read the folder, as by `git config --global --add safe.directory`, and run again",
        )
    return os.fsdecode(done.stdout)


def head_of(folder: Path) -> str | None:
    """The full SHA that the working tree around a folder is at; None in no repository, and in one without a commit.

    Raises:
        ConfigError: git cannot be run.
    """
    if not any((place / ".git").exists() for place in (folder, *folder.parents)):
        return None
    done = _run(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    return done.stdout.decode().strip() if done.returncode == 0 else None


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    # What git was told about another repository, as inside a hook of it, must not count; a lock is of no use here.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, check=False, env=environment
        )  # fmt: skip
    except OSError as exc:
        raise ConfigError(
            f"there is a git repository and git cannot be run: {exc}", where=folder, next_step="install git"
        ) from exc


def _all_names(root: Path, generated: Collection[str]) -> Iterator[str]:
    for folder, subfolders, names in os.walk(root):
        here = Path(folder)
        left_out = {".git", "__pycache__", *(generated if here == root else ())}
        links = [name for name in subfolders if (here / name).is_symlink()]
        subfolders[:] = [name for name in subfolders if name not in left_out and name not in links]
        yield from ((here / name).relative_to(root).as_posix() for name in (*names, *links) if name not in left_out)


def _empty_submodules(folder: Path) -> frozenset[str]:
    """Submodules that `.gitmodules` names here and that hold no file: a checkout without git does not fill them."""
    found = set()
    for root in (folder, *folder.parents):
        modules = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            modules.read_string("\n".join(map(str.strip, (root / ".gitmodules").read_text("utf-8").splitlines())))
        except (OSError, ValueError, configparser.Error):
            continue
        for section in modules.sections():
            path = root / modules.get(section, "path", fallback=".")
            if path.is_relative_to(folder) and path != folder and not (path.is_dir() and any(path.iterdir())):
                found.add(path.relative_to(folder).as_posix())
    return frozenset(found)
