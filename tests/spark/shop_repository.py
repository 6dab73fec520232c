"""The example shop in a git repository of a test's own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import yaml

SHOP = Path(__file__).resolve().parents[2] / "examples" / "shop"


class Repository:
    """A git repository whose commits a test makes."""

    def __init__(self, folder: Path, *, source: Path = SHOP) -> None:
        self.folder = folder
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("target", "logs", "dbt_packages"))
        self.git("init", "--quiet", "--initial-branch", "main")
        self.git("config", "user.name", "test")
        self.git("config", "user.email", "test@example.org")

    def commit(self, message: str) -> str:
        """Commit everything; returns the SHA."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.git("rev-parse", "HEAD")

    def apply(self, patch: str, *, reverse: bool = False) -> None:
        """Apply one of the example's demo patches."""
        self.git("apply", *(["--reverse"] if reverse else []), f"demo/{patch}.patch")

    def set(self, **settings: str) -> None:
        """Give keys of `dbx_cd.yml` other values, as YAML."""
        path = self.folder / "dbx_cd.yml"
        found = yaml.safe_load(path.read_text())
        changed = found | {name: yaml.safe_load(value) for name, value in settings.items()}
        path.write_text(yaml.safe_dump(changed, sort_keys=False))

    def git(self, *arguments: str) -> str:
        """Run git in the repository; returns what it printed."""
        done = subprocess.run(["git", *arguments], cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()
