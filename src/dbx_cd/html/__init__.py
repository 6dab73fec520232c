"""Pages, and parts of them, made from plain values: this package knows no record."""

from dbx_cd.html.chart import sparkline
from dbx_cd.html.diff import code_diff, marked, marked_list
from dbx_cd.html.lineage import Box, lineage_picture
from dbx_cd.html.page import page, section
from dbx_cd.html.parts import badge, code, fold, join, paragraph, table, trusted
from dbx_cd.html.timeline import Span, timeline_picture

__all__ = [
    "Box",
    "Span",
    "badge",
    "code",
    "code_diff",
    "fold",
    "join",
    "lineage_picture",
    "marked",
    "marked_list",
    "page",
    "paragraph",
    "section",
    "sparkline",
    "table",
    "timeline_picture",
    "trusted",
]
