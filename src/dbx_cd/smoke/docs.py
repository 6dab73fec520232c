"""Great Expectations' Data Docs as a folder of pages that can be attached to a release."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from dbx_cd import html

_UNSAFE = re.compile(r"[^\w.-]+")


@dataclass(frozen=True)
class DataDocsPage:
    """The results of one table, or of one query."""

    title: str
    """The table's name, or the check's."""
    content: str
    """The page itself, as HTML."""
    failed: int
    """How many of its checks did not pass."""
    checks: int
    """How many checks it shows."""


def write_data_docs(folder: Path, pages: Iterable[DataDocsPage]) -> list[Path]:
    """Write the pages and an index of them into a folder, failures first; returns the files, the index first.

    Every name begins with the folder's, so that pages of several environments can be attached to one release.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    links: list[tuple[object, ...]] = []
    for number, page in enumerate(sorted(pages, key=lambda p: (not p.failed, p.title)), start=1):
        name = f"{folder.name}-{number:03}-{_UNSAFE.sub('-', page.title)[:80]}.html"
        files.append(folder / name)
        files[-1].write_text(page.content, encoding="utf-8")
        link = Markup('<a href="{}">{}</a>').format(name, page.title)
        links.append((html.badge("fail" if page.failed else "pass"), link, page.checks, page.failed))
    index = folder / f"{folder.name}.html"
    table = html.table(("", "table or query", "checks", "not passed"), links)
    index.write_text(str(html.page("Data Docs", table)), encoding="utf-8")
    return [index, *files]
