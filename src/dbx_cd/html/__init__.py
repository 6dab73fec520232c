"""Pages, and parts of them, made from plain values: this package knows no record."""

from dbx_cd.html.chart import sparkline
from dbx_cd.html.diff import code_diff, marked, marked_list
from dbx_cd.html.page import page, section
from dbx_cd.html.parts import badge, code, fold, join, paragraph, table, trusted

__all__ = [
    "badge",
    "code",
    "code_diff",
    "fold",
    "join",
    "marked",
    "marked_list",
    "page",
    "paragraph",
    "section",
    "sparkline",
    "table",
    "trusted",
]
