"""Projects in git repositories of a test's own."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

FILES = {"dbt_project.yml": "name: shop\n", "models/orders.sql": "select 1", "models/größe.sql": "select 'ü' as größe"}


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody; returns what it printed."""
    settings = ["-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "protocol.file.allow=always"]
    done = subprocess.run(
        ["git", "-C", str(folder), *settings, *arguments], check=True, capture_output=True, text=True
    )  # fmt: skip
    return done.stdout.strip()


def fill(folder: Path, files: Mapping[str, str] = FILES) -> Path:
    """Write files below a folder."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def commit(folder: Path) -> Path:
    """Commit everything below a folder; the first time it becomes a repository."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "all")
    return folder
