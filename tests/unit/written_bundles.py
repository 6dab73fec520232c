"""Repositories with the files of a bundle, as `init` writes them for options."""

from __future__ import annotations

import argparse
import itertools
import re
import shutil
from pathlib import Path

from dbx_cd.cli import init as command
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.errors import SetupError
from dbx_cd.setup.bundle import bundle_text, job_text, packaged_folder, production_job_text
from dbx_cd.setup.bundle_options import (
    BUNDLE_FILE,
    JOB_FILE,
    NOBODY,
    PRODUCTION_JOB_FILE,
    BundleOptions,
    TargetNames,
)
from dbx_cd.setup.init import init, plan_init

NAMES = (
    TargetNames(),
    TargetNames("qa", "production"),
    TargetNames("dev", "live", ("uat",)),
    TargetNames("dev", "live", ("uat", "pre-prod")),
)
VARIANTS = [
    BundleOptions(targets=targets, compute=compute, identities=identities)  # type: ignore[arg-type]
    for targets, compute, identities in itertools.product(NAMES, ("cluster", "serverless"), (1, 2))
]
VARIANTS += [
    BundleOptions(project="shop", project_dir="dbt/shop", cloud="azure", git_provider="gitLab", sres="sres"),
    BundleOptions(project="shop", project_dir="dbt/shop", compute="serverless", identities=2, sres="sres"),
    BundleOptions(is_bundle_ours=False),
    BundleOptions(is_bundle_ours=False, compute="serverless", identities=2),
]
THEIRS = "bundle: {name: theirs}\ninclude: [resources/*.yml]\ntargets: {live: {default: true, mode: production}}\n"


def said(options: BundleOptions) -> str:
    """A variant in a few words."""
    words = (len(options.targets.all), options.targets.staging, options.compute, options.identities, options.job_name)
    return "-".join(map(str, words)) + "-theirs" * (not options.is_bundle_ours)


def written(folder: Path, options: BundleOptions = BundleOptions()) -> Path:  # noqa: B008
    """A repository with a dbt project and the files of a bundle, its service principals filled in."""
    project = folder / options.project_dir
    project.mkdir(parents=True, exist_ok=True)
    (project / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    if options.targets != TargetNames():
        (project / "dbx_cd.yml").write_text(options.targets.setting)
    shutil.copytree(packaged_folder() / "notebooks", folder / "notebooks")
    texts = {JOB_FILE: job_text(options), BUNDLE_FILE: bundle_text(options) if options.is_bundle_ours else THEIRS}
    if options.identities == 2:
        texts[PRODUCTION_JOB_FILE] = production_job_text(options)
    for name, text in texts.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(with_ids(text))
    return folder


def with_ids(text: str) -> str:
    """A file of a bundle with an application id for each identity, as the team fills them in."""
    return re.sub(rf"(\n  (\w+):\n.*\n    default: ){NOBODY}", r"\g<1>id-of-\2", text)


def without_dbt(*_: object) -> Manifest:
    """The bundle is the same whatever ships."""
    raise SetupError("no dbt here")


def initialized(folder: Path, *options: str, inside: str = "") -> Path:
    """A repository with a dbt project, as `init` itself leaves it, with an application id for each identity."""
    (folder / inside).mkdir(parents=True, exist_ok=True)
    (folder / inside / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    parser = argparse.ArgumentParser()
    command.add_to(parser.add_subparsers())
    asked = command.asked_by(parser.parse_args(["init", str(folder), *options]))
    init(plan_init(asked, parse=without_dbt), say=lambda _: None)
    for path in (folder / BUNDLE_FILE, *(folder / "resources").glob("*.yml")):
        path.write_text(with_ids(path.read_text()))
    return folder
