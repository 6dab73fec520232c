"""`diff`: what changed in the project between two sets of artifacts."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from dbx_cd import html
from dbx_cd.artifacts.store import ArtifactStore
from dbx_cd.artifacts.version import ArtifactVersion
from dbx_cd.config import CdConfig
from dbx_cd.errors import ArtifactError

_WHAT = (
    "prod: what `latest` of that target serves; prod/20260131T120000.000000Z: that version; prod@RELEASE: the newest"
    " successful build of that release in the target"
)


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "diff",
        help="what changed in the project between two sets of artifacts, such as those of prod and stg",
        description="What changed in the project from one set of artifacts to another: nodes, columns, contracts,"
        " tests, edges, config, macros and code. Names of catalogs and schemas are left out. The exit code is 0 whether"
        " or not something changed.",
    )
    parser.add_argument("old", metavar="OLD", help=_WHAT)
    parser.add_argument("new", metavar="NEW", help="likewise")
    parser.add_argument(
        "--root", metavar="DIR", help="folder of the artifacts (default: `artifacts_root` of dbx_cd.yml)"
    )
    parser.add_argument("--project", default=".", metavar="DIR", help="folder of dbx_cd.yml (default: here)")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="print it as JSON")
    shown.add_argument("--html", type=Path, metavar="FILE", help="write it as a page, and print one line")
    parser.set_defaults(command=diff)


def diff(options: argparse.Namespace) -> int:
    """Compare, and print or write what changed."""
    root = Path(options.root or CdConfig.load(options.project).artifacts_root)
    if not root.is_dir():
        raise ArtifactError(
            "no such folder of artifacts",
            where=root,
            next_step="run this where the Volume is mounted, such as in a terminal of the workspace; or copy the folder"
            f" (databricks fs cp -r dbfs:{root} artifacts) and give --root",
        )
    store = ArtifactStore(root)
    found = store.diff(_version(store, options.old), _version(store, options.new))
    if options.html is not None:
        page = html.page(f"{found.old} → {found.new}", html.trusted(found.to_html()))
        try:
            options.html.write_text(page, encoding="utf-8")
        except OSError as exc:
            raise ArtifactError(
                f"the page cannot be written: {exc}",
                where=options.html,
                next_step="give a file in a folder that is there",
            ) from exc
        print(found)
    elif options.json:
        print(json.dumps(found.to_dict(), indent=1, ensure_ascii=False))
    else:
        print(found.text())
    return 0


def _version(store: ArtifactStore, text: str) -> ArtifactVersion:
    target, slash, timestamp = text.rstrip("/").partition("/")
    if slash and timestamp != "latest":
        return store.get(target, timestamp)
    target, at, release = target.partition("@")
    return store.find(target, release) if at else store.latest(target)
