"""The files of a project's bundle, rendered from one template each, for options.

The templates have delimiters of their own: `${...}` is the bundle's, `{{...}}` the job's, and `${{...}}` GitHub's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dbx_cd.setup.bundle_options import BundleOptions
from dbx_cd.yaml_text import load_yaml


def packaged_folder() -> Path:
    """Where the notebooks and other files that are the same for all projects lie in this package."""
    return Path(str(resources.files("dbx_cd") / "bundle"))


def bundle_text(options: BundleOptions) -> str:
    """`databricks.yml`: the bundle, its target and its variables."""
    return _rendered("databricks.yml.jinja", options)


def job_text(options: BundleOptions) -> str:
    """The definition of the job, with four tasks more for each gated target before production."""
    return _rendered("dbx_cd.job.yml.jinja", options)


def production_job_text(options: BundleOptions) -> str:
    """The definition of the job that builds what has a gate, where that is one of its own."""
    return _rendered("dbx_cd_production.job.yml.jinja", options)


def ci_text(options: BundleOptions) -> str:
    """The workflow of GitHub Actions that triggers the job."""
    return _rendered("cd.yml.jinja", options)


def variable_names(options: BundleOptions) -> frozenset[str]:
    """The names of all variables that the job refers to, whichever file declares them."""
    text = job_text(replace(options, is_bundle_ours=False, declared_elsewhere=frozenset()))
    return frozenset(map(str, load_yaml(text)["variables"]))


def with_environment(notebook: str, options: BundleOptions) -> str:
    """A notebook with the environment in its header, where notebooks run on serverless compute; else as it is.

    A person who opens it there gets the environment of the header; a task of the job, the job's own. The platform
    writes such a header itself, below the first line (PEP 723, with a table `tool.databricks.environment`).

    Args:
        notebook: in source format.
        options: what for.
    """
    if options.compute != "serverless":
        return notebook
    first, _, rest = notebook.partition("\n")
    return f"{first}\n{_rendered('environment.jinja', options)}{rest}"


def _rendered(template: str, options: BundleOptions) -> str:
    return _templates().get_template(template).render(options=options).rstrip() + "\n"


@cache
def _templates() -> Environment:
    environment = Environment(
        block_start_string="[%", block_end_string="%]",
        variable_start_string="[[", variable_end_string="]]",
        comment_start_string="[#", comment_end_string="#]",
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined, autoescape=False,
        loader=FileSystemLoader(Path(str(resources.files("dbx_cd") / "setup" / "templates"))),
    )  # fmt: skip
    environment.filters |= {"scalar": _scalar, "needs": _needs}
    return environment


def _scalar(value: Any) -> str:
    """A value in YAML, on one line: text without quotes where YAML reads it back as the same text."""
    if isinstance(value, str):
        try:
            is_plain = load_yaml(f"- {value}\n- x") == [value, "x"] and "\n" not in value and value not in (".", "..")
        except yaml.YAMLError:
            is_plain = False
        return value if is_plain else json.dumps(value, ensure_ascii=False)  # YAML reads JSON
    return json.dumps(value, ensure_ascii=False)


def _needs(keys: Sequence[str]) -> str:
    """`depends_on` of a task."""
    return f"[{', '.join(f'{{task_key: {key}}}' for key in keys)}]"
