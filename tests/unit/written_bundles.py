"""Repositories as `init` leaves them."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from dbx_cd.cli import init as command
from dbx_cd.dbt.artifacts import Manifest
from dbx_cd.errors import SetupError
from dbx_cd.setup.bundle_options import BUNDLE_FILE, NOBODY
from dbx_cd.setup.init import init, plan_init

VARIANTS = {
    "as packaged": [],
    "other names": ["--staging", "qa", "--production", "production"],
    "one more gate": ["--staging", "dev", "--gate", "uat", "--production", "live"],
    "serverless": ["--compute", "serverless", "--sres", "on-call"],
    "two more gates": ["--staging", "dev", "--gate", "uat", "--gate", "pre-prod", "--production", "live"],
}


def without_dbt(*_: object) -> Manifest:
    """The bundle is the same whatever ships."""
    raise SetupError("no dbt here")


def written(folder: Path, *options: str, inside: str = "") -> Path:
    """A repository with a dbt project, as `init` leaves it, with an application id for each identity."""
    (folder / inside).mkdir(parents=True, exist_ok=True)
    (folder / inside / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    parser = argparse.ArgumentParser()
    command.add_to(parser.add_subparsers())
    asked = command.asked_by(parser.parse_args(["init", str(folder), *options]))
    init(plan_init(asked, parse=without_dbt), say=lambda _: None)
    bundle = folder / BUNDLE_FILE
    for name in re.findall(rf"\n  (\w+):\n.*\n    default: {NOBODY}", bundle.read_text()):
        text = bundle.read_text()
        bundle.write_text(re.sub(rf"(\n  {name}:\n.*\n    default: ){NOBODY}", rf"\g<1>id-of-{name}", text))
    return folder
