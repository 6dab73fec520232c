"""Read-only checkouts of a local git repository at one commit, as a job's git source gets them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

from dbx_cd.errors import DbxCdError

ANY_URL = "*"
"""Key in ``repositories`` whose repository serves every URL that is not listed itself."""


class CheckoutFailed(DbxCdError):
    """The git source of a run cannot be checked out."""


@dataclass(frozen=True)
class Checkout:
    """A commit's files in a folder that nobody may write to."""

    commit: str
    path: Path


class GitCheckouts:
    """Checkouts below one folder, one for each commit, shared by all runs.

    Args:
        root: folder for the checkouts.
        repositories: local repository for each ``git_url``; the key ``"*"`` serves every other URL. A ``git_url``
            that is itself a local path or a ``file://`` URL needs no entry.
    """

    def __init__(self, root: Path, repositories: Mapping[str, Path]) -> None:
        self._root = root
        self._repositories = dict(repositories)

    def checkout(self, git_source: Mapping[str, Any]) -> Checkout:
        """Check out the commit that ``git_source`` names, or reuse the checkout of an earlier run.

        Raises:
            CheckoutFailed: unknown URL, branch, tag or commit.
        """
        repository = self._repository(git_source["git_url"])
        commit = self._commit(repository, git_source)
        path = self._root / commit
        if not path.exists():
            self._create(repository, commit, path)
        return Checkout(commit, path)

    def _repository(self, url: str) -> Path:
        local = Path(unquote(urlparse(url).path)) if url.startswith("file://") else Path(url)
        repository = self._repositories.get(url)
        if repository is None and local.is_absolute() and local.is_dir():
            repository = local
        repository = repository or self._repositories.get(ANY_URL)
        if repository is None:
            raise CheckoutFailed(
                "No local repository stands for this git_url",
                where=url,
                next_step="start the workspace with a repository for it",
            )
        return repository

    def _commit(self, repository: Path, git_source: Mapping[str, Any]) -> str:
        kind, name = next(
            (field.removeprefix("git_"), git_source[field])
            for field in ("git_commit", "git_tag", "git_branch")
            if git_source.get(field)
        )
        revision = {"commit": name, "tag": f"refs/tags/{name}", "branch": f"refs/heads/{name}"}[kind]
        found = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if found.returncode:
            raise CheckoutFailed(
                f"RESOURCE_DOES_NOT_EXIST: no {kind} '{name}' in the repository",
                where=repository,
                next_step=f"commit and, if it is another repository, fetch the {kind}",
            )
        return found.stdout.strip()

    def _create(self, repository: Path, commit: str, path: Path) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{commit[:12]}-", dir=self._root))
        files = temporary / "files"
        files.mkdir()
        # An index of its own leaves the repository untouched, and unlike `git archive` ignores export-ignore.
        environment = {"GIT_INDEX_FILE": str(temporary / "index"), "GIT_WORK_TREE": str(files)}
        try:
            for command in (("read-tree", commit), ("checkout-index", "--all", f"--prefix={files}{os.sep}")):
                done = _git(repository, *command, environment=environment)
                if done.returncode:
                    raise CheckoutFailed(f"git {command[0]} failed: {done.stderr.strip()}", where=repository)
            make_read_only(files)
            publish_directory(files, path)
        finally:
            make_writable(temporary)
            shutil.rmtree(temporary, ignore_errors=True)


def publish_directory(source: Path, destination: Path) -> None:
    """Move a finished folder to its final name; if another run was faster, keep that one."""
    source.chmod(0o755)  # renaming a folder into another parent rewrites its own ".."
    try:
        source.rename(destination)
    except OSError:
        if not destination.is_dir():
            raise
    else:
        destination.chmod(0o555)


def make_read_only(root: Path) -> None:
    """Take away every write permission below ``root``: on the platform a job's checkout can be read-only."""
    for folder, _, names in os.walk(root, topdown=False):
        for name in names:
            file = Path(folder, name)
            if not file.is_symlink():
                file.chmod(file.stat().st_mode & ~0o222)
        Path(folder).chmod(0o555)


def make_writable(root: Path) -> None:
    """Give the owner write permission on every folder below ``root``, so that it can be removed."""
    for folder, _, _ in os.walk(root):
        Path(folder).chmod(0o755)


def _git(
    repository: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", str(repository), *arguments],
        env={**inherited, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )
