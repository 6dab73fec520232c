"""`init`: notebooks and job definition, copied into a project's repository."""

from __future__ import annotations

import argparse
import shutil
from importlib import resources
from pathlib import Path

from dbx_cd.errors import ConfigError


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("init", help="copy notebooks and job definition into a project's repository")
    parser.add_argument("directory", nargs="?", default=".", metavar="DIR")
    parser.set_defaults(command=init)


def init(options: argparse.Namespace) -> int:
    """Copy the notebooks and the job's definition into a project's repository; nothing there is overwritten."""
    repository = Path(options.directory)
    if not repository.is_dir():
        raise ConfigError("no such folder", where=repository, next_step="give the root of the project's repository")
    bundle = Path(str(resources.files("dbx_cd") / "bundle"))
    files = sorted(path.relative_to(bundle) for path in _files(bundle))
    present = [str(name) for name in files if (repository / name).exists()]
    if present:
        raise ConfigError(
            f"already there: {', '.join(present)}", where=repository, next_step="remove or keep them by hand"
        )
    for name in files:
        (repository / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(bundle / name, repository / name)
        print(repository / name)
    return 0


def _files(folder: Path) -> list[Path]:
    found: list[Path] = []
    for path in folder.iterdir():
        if path.is_dir():
            found += [] if path.name == "__pycache__" else _files(path)
        else:
            found.append(path)
    return found
