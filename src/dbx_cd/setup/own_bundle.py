"""The bundle of the repository that a folder is in: the name of its Workflow's job, and the values of its variables."""

from __future__ import annotations

from pathlib import Path

from dbx_cd.errors import ConfigError
from dbx_cd.setup.bundle_options import BUNDLE_FILE, JOB_FILE
from dbx_cd.setup.bundle_reading import bundle_file, read_bundle
from dbx_cd.setup.bundled_job import JOB_KEY


def own_job_name(folder: Path) -> str | None:
    """What the Workflow's job is called by the bundle of the repository that a folder is in.

    Args:
        folder: a folder in a working tree.

    Returns:
        Its name; None where the repository has no definition of the job, or one that does not say it.
    """
    for root in _up_to_the_root(folder):
        if (root / JOB_FILE).is_file():
            return _job_name(root)
    return None


def own_variables(folder: Path) -> dict[str, str]:
    """The variables of the bundle that a folder is in, by name, as a deploy to its default target takes them.

    A value that refers to something else (`${...}`) is known at the deploy alone, and left out.

    Args:
        folder: a folder in a working tree; the bundle is in it or above it, within the repository.

    Returns:
        The values; none where there is no bundle.

    Raises:
        ConfigError: a file of the bundle cannot be read.
    """
    root = next((root for root in _up_to_the_root(folder) if bundle_file(root) is not None), None)
    if root is None:
        return {}
    values = read_bundle(root).variables
    known = {name: str(value) for name, value in values.items() if isinstance(value, str | int)}
    return {name: value for name, value in known.items() if value and "${" not in value}


def _up_to_the_root(folder: Path) -> list[Path]:
    """A folder and those above it, as far as its repository goes."""
    place = folder.resolve()
    found = [place]
    while not (found[-1] / ".git").exists() and found[-1].parent != found[-1]:
        found.append(found[-1].parent)
    return found


def _job_name(repository: Path) -> str | None:
    try:
        texts = {} if bundle_file(repository) is not None else {BUNDLE_FILE: "{}"}
        job = read_bundle(repository, texts=texts, also=(JOB_FILE,)).defined_jobs.get(JOB_KEY, {})
    except ConfigError:
        return None
    name = job.get("name")
    return name if isinstance(name, str) and "${" not in name else None
