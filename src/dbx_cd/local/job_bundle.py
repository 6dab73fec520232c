"""The Workflow's definition: the project's own bundle files, else the packaged ones, with variables filled in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from databricks.sdk.service.jobs import JobSettings

from dbx_cd.setup.bundle import bundle_text, job_text, packaged_folder
from dbx_cd.setup.bundle_options import BUNDLE_FILE, JOB_FILE, PRODUCTION_JOB_FILE, BundleOptions, TargetNames
from dbx_cd.setup.bundle_reading import read_bundle
from dbx_cd.setup.bundled_job import JOB_KEY, PRODUCTION_JOB_KEY, BundledJob, bundled_job


def load_job(
    repository: Path, *, variables: Mapping[str, str], names: TargetNames | None = None, job: str = JOB_KEY
) -> JobSettings:
    """The job's settings as the Jobs API takes them; parameters and errors are those of `load_bundled_job`."""
    return load_bundled_job(repository, variables=variables, names=names, job=job).settings


def load_bundled_job(
    repository: Path, *, variables: Mapping[str, str], names: TargetNames | None = None, job: str = JOB_KEY
) -> BundledJob:
    """The job's settings as the Jobs API takes them, and its permissions.

    Args:
        repository: root of the project's repository; its own files win over the packaged ones.
        variables: values for the bundle's `${var.name}`, over their defaults.
        names: what the targets are called where the repository has no job of its own.
        job: key of the job below `resources.jobs`.

    Raises:
        ConfigError: a file is malformed, a variable has no value, a key is not one of the Jobs API, or a line of the
            permissions gives no level to exactly one principal.
    """
    own = (repository / JOB_FILE).is_file()
    base = repository if own else packaged_folder()
    options = BundleOptions(targets=names or TargetNames())
    texts = {} if own else {BUNDLE_FILE: bundle_text(options), JOB_FILE: job_text(options)}
    file = PRODUCTION_JOB_FILE if job == PRODUCTION_JOB_KEY else JOB_FILE
    bundle = read_bundle(base, variables=variables, texts=texts, also=(file,))
    return bundled_job(bundle, job=job, file=base / file)
