"""What the Workflow's job is called by a repository's own bundle."""

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
    place = folder.resolve()
    for root in (place, *place.parents):
        if (root / JOB_FILE).is_file():
            return _job_name(root)
        if (root / ".git").exists():
            break
    return None


def _job_name(repository: Path) -> str | None:
    try:
        texts = {} if bundle_file(repository) is not None else {BUNDLE_FILE: "{}"}
        job = read_bundle(repository, texts=texts, also=(JOB_FILE,)).defined_jobs.get(JOB_KEY, {})
    except ConfigError:
        return None
    name = job.get("name")
    return name if isinstance(name, str) and "${" not in name else None
